//! What workers' operations come to: how long they take, whether they fail, and what they do to the kernel.

use std::collections::BTreeSet;
use std::ops::Range;

use shoal_proto::model::{NodeState, TaskId};
use shoal_worker_core::{Action, Input, NetworkNamespace, Operation};

use super::World;
use crate::event::{Daemon, Event};
use crate::host::{Effect, Host, Kernel, Misuse, fatal, temporary};
use crate::limits::HEARD_LONG_AGO;
use crate::network::HostId;

impl World {
    pub(super) fn begin_operation(&mut self, host: HostId, action: Action) {
        let now = self.queue.now();
        let of = &mut self.hosts[host.0];
        let Some(agent) = &mut of.agent else { return };
        if let Action::CancelPull { pull } = action {
            agent.operations.retain(|_, other| !matches!(other, Action::Pull { pull: of, .. } if *of == pull));
            return;
        }
        let stop = match &action {
            Action::StopContainer { task, grace, .. } => Some((*task, *grace)),
            _ => None,
        };
        let present = matches!(&action, Action::Pull { image, .. } if of.kernel.images.contains(image));
        if let Some((task, _)) = stop {
            self.check_drained(host, task);
        }
        let of = &mut self.hosts[host.0];
        let Some(agent) = &mut of.agent else { return };
        let latency = self.draw.micros(if present { 500..3_000 } else { micros(&action) });
        let operation = agent.begin(action);
        if let Some((task, grace)) = stop
            && let Some(container) = of.kernel.containers.get_mut(&task).filter(|container| container.is_running())
        {
            // The stop is over when the container is.
            container.stopping = true;
            let start = container.start;
            let stubborn = self.draw.happens(20);
            let after = if stubborn { grace } else { self.draw.millis(1..300).min(grace) };
            let code = if stubborn { 137 } else { 143 };
            if !self.climate.operation_fails(&mut self.draw) {
                self.queue.plan_at(now + after, Event::Ends { host, task, start, code });
                return;
            }
        }
        self.plan(latency, host, Daemon::Done { operation });
    }

    /// A stop that rests on the managers' word finds no host that leads connections to the task. Hosts that were not
    /// heard of a while ago were not asked.
    fn check_drained(&mut self, host: HostId, task: TaskId) {
        let of = &self.hosts[host.0];
        let Some(assignments) = of.agent.as_ref().map(|agent| agent.core.assignments()) else { return };
        let Some(service) = assignments.tasks.get(&task).map(|assigned| assigned.task.service) else { return };
        if !assignments.drained.contains_key(&task) {
            return;
        }
        let now = self.queue.now();
        let nodes = &self.checks.history.claims().nodes;
        let heard = |node| {
            let status = nodes.get(&node).map(|node| &node.status);
            status.is_some_and(|status| status.state == NodeState::Ready && now.since(status.since) > HEARD_LONG_AGO)
        };
        let leads = |other: &&Host| {
            let services = other.kernel.services.as_ref();
            heard(other.node) && services.is_some_and(|services| services.leads_to(service, task))
        };
        if let Some(other) = self.hosts.iter().find(leads) {
            let found = format!("{host:?} stops {task}, to which {:?} still leads connections", other.id);
            self.checks.violate("a drained task gets no connections", found);
        }
    }

    /// A container's process ends.
    pub(super) fn container_ends(&mut self, host: HostId, task: TaskId, start: u64, code: i32) {
        let of = &mut self.hosts[host.0];
        let now = of.clock(self.queue.now());
        let Some(exit) = of.kernel.end_container(task, start, code, now) else { return };
        self.trace.note(self.queue.now(), "exit", host.0 as u64, || format!("{host:?} {task} exits with {code}"));
        if !of.up {
            return;
        }
        self.tell_agent(host, Input::ContainerExited { task, exit });
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        if let Some(operation) = agent.stop_of(task) {
            agent.operations.remove(&operation);
            self.tell_agent(host, Input::StopDone { task });
        }
    }

    pub(super) fn operation_done(&mut self, host: HostId, operation: u64) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        let Some(action) = agent.operations.remove(&operation) else { return };
        let fails = self.climate.operation_fails(&mut self.draw);
        let input = if fails { self.failed(&action) } else { self.performed(host, &action) };
        self.trace.note(self.queue.now(), "done", host.0 as u64, || format!("{host:?} {action}: {fails}"));
        if let Some(input) = input {
            self.tell_agent(host, input);
        }
    }

    /// The operation's effect on the kernel, and its answer.
    pub(super) fn performed(&mut self, host: HostId, action: &Action) -> Option<Input> {
        let of = &mut self.hosts[host.0];
        let now = of.clock(self.queue.now());
        match perform(&mut of.kernel, action, now) {
            Ok(input) => input,
            Err(Misuse(text)) => {
                self.checks.violate("a worker asks for what can be done", format!("{host:?}: {text}"));
                None
            }
        }
    }

    fn failed(&mut self, action: &Action) -> Option<Input> {
        self.climate.tally.failures += 1;
        let hopeless = self.draw.happens(100);
        let text = "the simulator wills it".to_owned();
        let failure = if hopeless { fatal(text) } else { temporary(text) };
        let (task, operation) = match action {
            Action::Pull { pull, .. } => return Some(Input::ImageFailed { pull: *pull, failure }),
            Action::EnsureNetwork { network, .. }
            | Action::RemoveNetwork { network }
            | Action::SetPeers { network, .. } => return Some(Input::NetworkFailed { network: *network, failure }),
            Action::SetServices(_) => return Some(Input::ServicesFailed { failure }),
            Action::Verify { number } => return Some(Input::Verified { number: *number, outcome: Err(failure) }),
            // Not a failure: a program that is slow.
            Action::AwaitPorts { task, ports, .. } => {
                return Some(Input::PortsAwaited { task: *task, silent: ports.clone() });
            }
            Action::CreateEndpoint(plan) => (plan.task, Operation::CreateEndpoint),
            Action::RemoveEndpoint { task } => (*task, Operation::RemoveEndpoint),
            Action::CreateContainer { task, .. } => (task.id, Operation::CreateContainer),
            Action::StartContainer { task, .. } => (*task, Operation::StartContainer),
            Action::StopContainer { task, .. } => (*task, Operation::StopContainer),
            Action::RemoveContainer { task, .. } => (*task, Operation::RemoveContainer),
            _ => return None,
        };
        Some(Input::OperationFailed { task, operation, failure })
    }
}

fn micros(action: &Action) -> Range<u64> {
    match action {
        Action::Pull { .. } => 50_000..1_500_000,
        Action::StartContainer { .. } => 3_000..60_000,
        Action::AwaitPorts { .. } => 1_000..2_000_000,
        Action::SetServices(_) | Action::SetPeers { .. } => 100..3_000,
        _ => 500..10_000,
    }
}

/// What an action does, and what answers it.
fn perform(kernel: &mut Kernel, action: &Action, now: shoal_proto::model::Timestamp) -> Result<Option<Input>, Misuse> {
    Ok(Some(match action {
        Action::Pull { pull, image, .. } => {
            kernel.images.insert(image.clone());
            Input::ImageReady { pull: *pull, image: image.clone() }
        }
        Action::EnsureNetwork { network, assignment } => {
            kernel.ensure_network(*network, assignment.clone());
            Input::NetworkReady { network: *network }
        }
        Action::RemoveNetwork { network } => {
            kernel.remove_network(*network)?;
            Input::NetworkRemoved { network: *network }
        }
        Action::SetPeers { network, peers } => {
            kernel.set_peers(*network, peers.clone())?;
            Input::PeersSet { network: *network }
        }
        Action::SetServices(services) => {
            kernel.services = Some(services.clone());
            Input::ServicesSet
        }
        Action::CreateEndpoint(plan) => {
            let (task, created) = (plan.task, kernel.create_endpoint(plan));
            answer(task, Operation::CreateEndpoint, created, |endpoint| Input::EndpointReady { task, endpoint })?
        }
        Action::RemoveEndpoint { task } => {
            kernel.remove_endpoint(*task)?;
            Input::EndpointRemoved { task: *task }
        }
        Action::CreateContainer { task, image, namespace, .. } => {
            let id = task.id;
            let endpoint = *namespace == NetworkNamespace::Endpoint;
            let created = kernel.create_container(id, image, endpoint);
            let container = Kernel::container_id(id);
            answer(id, Operation::CreateContainer, created, |()| Input::ContainerCreated { task: id, container })?
        }
        Action::StartContainer { task, .. } => {
            let started = kernel.start_container(*task, now);
            let ready = |(pid, _)| Input::ContainerStarted { task: *task, pid, awaits_health: false };
            answer(*task, Operation::StartContainer, started, ready)?
        }
        Action::Verify { number } => Input::Verified { number: *number, outcome: Ok(Vec::new()) },
        Action::AwaitPorts { task, .. } => Input::PortsAwaited { task: *task, silent: BTreeSet::new() },
        Action::StopContainer { task, .. } => {
            if kernel.containers.get(task).is_some_and(|container| container.is_running()) {
                let failure = temporary("the signal could not be sent".to_owned());
                return Ok(Some(Input::OperationFailed { task: *task, operation: Operation::StopContainer, failure }));
            }
            Input::StopDone { task: *task }
        }
        Action::RemoveContainer { task, .. } => {
            kernel.remove_container(*task)?;
            Input::ContainerRemoved { task: *task }
        }
        _ => return Ok(None),
    }))
}

fn answer<T>(
    task: TaskId,
    operation: Operation,
    effect: Effect<T>,
    done: impl FnOnce(T) -> Input,
) -> Result<Input, Misuse> {
    Ok(match effect? {
        Ok(value) => done(value),
        Err(failure) => Input::OperationFailed { task, operation, failure },
    })
}
