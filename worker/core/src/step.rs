//! The next step of a task: from what is wanted and what is known, nothing else.
//!
//! [`decide`] is a function; it is asked again after every step that needs no answer from outside, so a lost wake-up costs
//! delay only. Leaves noting and performing to the core.

use std::borrow::Cow;
use std::collections::BTreeSet;

use shoal_proto::model::{LocalNetwork, TaskState, Timestamp};

use crate::task::{ContainerFact, Ending, ImageFact, PortsFact, Stop, TaskMachine};
use crate::{CoreLimits, EndpointPlan, NetworkNamespace, Operation};

/// The next step of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing until an input comes.
    Wait,
    /// Nothing until this time, or until an input comes.
    WaitUntil(Timestamp),
    /// Note that it came this far.
    Reach(TaskState, Cow<'static, str>),
    /// Note how it ended.
    End(Ending),
    /// Wait for its image.
    WantImage,
    /// Wait for its image no longer.
    LeaveImage,
    /// Wait until its published ports are listened on.
    AwaitPorts(BTreeSet<u16>),
    /// Note that a stop is wanted.
    BeginStop,
    /// Note that this host's kernel sends it no new connections.
    NoteLeft,
    /// Do this.
    Perform(Operation),
    /// Nothing is left of it.
    Forget,
}

/// What a decision needs to know beside the task itself.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Timestamp,
    pub(crate) limits: &'a CoreLimits,
    /// All networks of its endpoint stand.
    pub(crate) networks_ready: bool,
    /// All its secrets and configs are known.
    pub(crate) payloads_ready: bool,
    /// The kernel may still send it new connections.
    pub(crate) may_serve: bool,
    /// Its published TCP ports, as it should listen on them.
    pub(crate) published: BTreeSet<u16>,
}

/// Names the next step.
pub(crate) fn decide(machine: &TaskMachine, around: &Surroundings<'_>) -> Step {
    if machine.operation.is_some() {
        Step::Wait
    } else if machine.is_wanted() {
        decide_up(machine, around)
    } else {
        decide_down(machine, around)
    }
}

fn decide_up(machine: &TaskMachine, around: &Surroundings<'_>) -> Step {
    let state = machine.status.state;
    match &machine.container {
        ContainerFact::Exited(exit) => return Step::End(machine.ending_by_exit(exit.as_ref())),
        ContainerFact::Running { .. } if state < TaskState::Starting => {
            return Step::Reach(TaskState::Starting, "starting".into());
        }
        ContainerFact::Running { healthy: true } if state < TaskState::Running => return decide_ready(machine, around),
        ContainerFact::Running { .. } => return Step::Wait,
        ContainerFact::Absent | ContainerFact::Created | ContainerFact::Spoilt => {}
    }
    if let Some(at) = machine.retry.wait(around.now) {
        return Step::WaitUntil(at);
    }
    if state < TaskState::Preparing {
        return Step::Reach(TaskState::Preparing, "preparing".into());
    }
    let lacks_endpoint = machine.needs_endpoint() && machine.endpoint.is_none();
    match &machine.container {
        ContainerFact::Spoilt => Step::Perform(Operation::RemoveContainer),
        // Its namespace is gone: it would run without a network.
        ContainerFact::Created if lacks_endpoint => Step::Perform(Operation::RemoveContainer),
        ContainerFact::Created => decide_start(machine),
        _ => match machine.image {
            ImageFact::Unknown => Step::WantImage,
            ImageFact::Waiting(_) => Step::Wait,
            ImageFact::Ready(_) if !around.payloads_ready => Step::Wait,
            ImageFact::Ready(_) if lacks_endpoint && !around.networks_ready => Step::Wait,
            ImageFact::Ready(_) if lacks_endpoint => Step::Perform(Operation::CreateEndpoint),
            ImageFact::Ready(_) => Step::Perform(Operation::CreateContainer),
        },
    }
}

/// Connections are led to a task once something answers them: without a health check, once its ports are listened on.
fn decide_ready(machine: &TaskMachine, around: &Surroundings<'_>) -> Step {
    let message: Cow<'static, str> = match &machine.ports {
        PortsFact::Unasked if machine.needs_endpoint() && !around.published.is_empty() => {
            return Step::AwaitPorts(around.published.clone());
        }
        PortsFact::Awaited => return Step::Wait,
        PortsFact::Known { silent } if !silent.is_empty() => {
            let ports: Vec<String> = silent.iter().map(u16::to_string).collect();
            let waited = around.limits.listen_max.as_secs();
            format!("started; nothing listened on TCP {} within {waited} s", ports.join(", ")).into()
        }
        PortsFact::Unasked | PortsFact::Known { .. } => "started".into(),
    };
    Step::Reach(TaskState::Running, message)
}

fn decide_start(machine: &TaskMachine) -> Step {
    let desired = machine.task.as_ref().map_or(TaskState::New, |task| task.desired);
    match machine.status.state {
        state if state < TaskState::Ready => Step::Reach(TaskState::Ready, "prepared".into()),
        _ if desired < TaskState::Running => Step::Wait,
        state if state < TaskState::Starting => Step::Reach(TaskState::Starting, "starting".into()),
        _ => Step::Perform(Operation::StartContainer),
    }
}

fn decide_down(machine: &TaskMachine, around: &Surroundings<'_>) -> Step {
    if matches!(machine.image, ImageFact::Waiting(_)) {
        return Step::LeaveImage;
    }
    if machine.is_running() {
        return decide_stop(machine, around);
    }
    if !machine.status.state.is_terminal() && machine.task.is_some() {
        return Step::End(ending_on_request(machine));
    }
    if let Some(at) = machine.retry.wait(around.now) {
        return Step::WaitUntil(at);
    }
    if machine.endpoint.is_some() {
        return Step::Perform(Operation::RemoveEndpoint);
    }
    match machine.container {
        // Kept for its logs until the managers forget the task.
        _ if !machine.withdrawn => Step::Wait,
        ContainerFact::Absent => Step::Forget,
        _ => Step::Perform(Operation::RemoveContainer),
    }
}

/// Out of the service set first, here and, as the managers say, everywhere; then the signal. What is no task of the
/// managers any more gets a pause instead, in which the other hosts hear of it.
fn decide_stop(machine: &TaskMachine, around: &Surroundings<'_>) -> Step {
    let Some(Stop { since, served, left_at }) = machine.stop else { return Step::BeginStop };
    let latest = since + around.limits.drain_max;
    let due = match left_at {
        _ if !served || around.now >= latest => around.now,
        _ if around.may_serve => latest,
        _ if machine.drained => around.now,
        _ if !machine.withdrawn => latest,
        None => return Step::NoteLeft,
        Some(at) => (at + around.limits.drain).min(latest),
    };
    match machine.retry.wait(around.now).max((due > around.now).then_some(due)) {
        Some(at) => Step::WaitUntil(at),
        None => Step::Perform(Operation::StopContainer),
    }
}

fn ending_on_request(machine: &TaskMachine) -> Ending {
    match &machine.condemned {
        None => Ending { state: TaskState::Shutdown, message: "shutdown", error: String::new() },
        Some(error) if machine.status.state < TaskState::Starting => {
            Ending { state: TaskState::Rejected, message: "preparing", error: error.clone() }
        }
        Some(error) => Ending { state: TaskState::Failed, message: "started", error: error.clone() },
    }
}

impl TaskMachine {
    /// Whether it has a network namespace of its own.
    pub(crate) fn needs_endpoint(&self) -> bool {
        self.namespace() == NetworkNamespace::Endpoint
    }

    pub(crate) fn namespace(&self) -> NetworkNamespace {
        match self.local_network {
            LocalNetwork::Host => NetworkNamespace::Host,
            LocalNetwork::Bridge | LocalNetwork::None => NetworkNamespace::Endpoint,
        }
    }

    /// Its endpoint as the assignment wishes it: the swarm's networks first, the bridge for the way out last.
    pub(crate) fn endpoint_plan(&self) -> EndpointPlan {
        let task = self.task.as_ref();
        EndpointPlan {
            task: self.id,
            attachments: task.map(|task| task.attachments.clone()).unwrap_or_default(),
            bridge: self.local_network == LocalNetwork::Bridge,
            host_ports: task.map(|task| task.host_ports.clone()).unwrap_or_default(),
            nameservers: task.map(|task| task.spec.container.dns.nameservers.clone()).unwrap_or_default(),
        }
    }
}
