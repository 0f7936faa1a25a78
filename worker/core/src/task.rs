//! What is known of one task and of what it has on this host, and the inputs that change it.
//!
//! Leaves what to do about it to `step`, and performing to the shell. Invariants: at most one operation is under way; the
//! reported state only rises; an ended task never starts again.

use std::collections::BTreeSet;

use shoal_proto::model::{
    LocalNetwork, NetworkId, PortStatus, Task, TaskAssignment, TaskExit, TaskId, TaskState, TaskStatus, Timestamp,
};

use crate::payloads::Payloads;
use crate::retry::Retry;
use crate::{
    Action, AdoptedContainer, AdoptedState, ContainerExit, CoreConfig, CoreLimits, EndpointInfo, Failure, FailureKind,
    Operation, PullId,
};

/// One task of this worker.
#[derive(Debug, Clone)]
pub(crate) struct TaskMachine {
    pub(crate) id: TaskId,
    /// As last assigned; `None` for a container that was found and belongs to no assigned task.
    pub(crate) task: Option<Task>,
    pub(crate) local_network: LocalNetwork,
    /// No longer assigned: all of it goes, then the machine.
    pub(crate) withdrawn: bool,
    pub(crate) status: TaskStatus,
    pub(crate) image: ImageFact,
    pub(crate) endpoint: Option<EndpointInfo>,
    pub(crate) container: ContainerFact,
    pub(crate) container_id: Option<String>,
    pub(crate) ports: PortsFact,
    /// Why it must end although it is wanted: it is unhealthy, or was given up.
    pub(crate) condemned: Option<String>,
    pub(crate) stop: Option<Stop>,
    /// No host sends it new connections any more, as the managers say.
    pub(crate) drained: bool,
    pub(crate) operation: Option<Operation>,
    pub(crate) retry: Retry,
    /// When the next step is due without an input.
    pub(crate) wake: Option<Timestamp>,
}

/// What is known of a task's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageFact {
    Unknown,
    Waiting(PullId),
    Ready(String),
}

/// What is known of a task's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContainerFact {
    Absent,
    Created,
    Running {
        healthy: bool,
    },
    Exited(Option<ContainerExit>),
    /// Not to be used: it vanished with a restart of the host, or its start failed half-way.
    Spoilt,
}

/// What is known of a task's published ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortsFact {
    Unasked,
    Awaited,
    Known { silent: BTreeSet<u16> },
}

/// The way to a task's stop signal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    pub(crate) since: Timestamp,
    /// Hosts may send it new connections.
    pub(crate) served: bool,
    /// When this host's kernel no longer sent it new connections.
    pub(crate) left_at: Option<Timestamp>,
}

impl TaskMachine {
    /// A task that was assigned, with how it ended if that is known from before.
    pub(crate) fn assigned(assigned: TaskAssignment, ended: Option<TaskStatus>, now: Timestamp) -> Self {
        let TaskAssignment { task, local_network } = assigned;
        let known_ended = ended.or_else(|| task.status.state.is_terminal().then(|| task.status.clone()));
        let status = known_ended.unwrap_or_else(|| initial_status(now));
        let id = task.id;
        Self { task: Some(task), local_network, withdrawn: false, ..Self::unassigned(id, status) }
    }

    /// A container that was found and belongs to no assigned task.
    pub(crate) fn stray(id: TaskId, now: Timestamp) -> Self {
        Self::unassigned(id, initial_status(now))
    }

    fn unassigned(id: TaskId, status: TaskStatus) -> Self {
        Self {
            id,
            task: None,
            local_network: LocalNetwork::default(),
            withdrawn: true,
            status,
            image: ImageFact::Unknown,
            endpoint: None,
            container: ContainerFact::Absent,
            container_id: None,
            ports: PortsFact::Unasked,
            condemned: None,
            stop: None,
            drained: false,
            operation: None,
            retry: Retry::default(),
            wake: None,
        }
    }

    /// Takes over what was found at start.
    pub(crate) fn adopt(&mut self, found: AdoptedContainer) {
        self.container_id = Some(found.container.clone());
        self.status.container_id = Some(found.container);
        if let Some(endpoint) = found.endpoint {
            self.set_endpoint(endpoint);
        }
        self.container = match found.state {
            AdoptedState::Created => ContainerFact::Created,
            AdoptedState::Exited(exit) => ContainerFact::Exited(Some(exit)),
            AdoptedState::Lost => ContainerFact::Spoilt,
            AdoptedState::Running { pid, started_at, healthy } => {
                self.status.pid = Some(pid);
                self.raise(if healthy { TaskState::Running } else { TaskState::Starting }, "started", started_at);
                ContainerFact::Running { healthy }
            }
        };
    }

    /// Takes over what is wanted now.
    pub(crate) fn assign(&mut self, assigned: TaskAssignment) {
        self.task = Some(assigned.task);
        self.local_network = assigned.local_network;
        self.withdrawn = false;
    }

    /// Whether hosts may have been told to send it new connections.
    pub(crate) fn was_announced(&self) -> bool {
        let attached = self.task.as_ref().is_some_and(|task| !task.attachments.is_empty());
        attached && self.status.state == TaskState::Running
    }

    /// Notes that its stop begins; `led_to`: this host may send it new connections. Says whether its status changed.
    pub(crate) fn begin_stop(&mut self, led_to: bool, now: Timestamp) -> bool {
        let served = led_to || self.was_announced();
        self.stop = Some(Stop { since: now, served, left_at: None });
        // The managers do not know yet that it goes.
        self.status.draining |= self.condemned.is_some() && served;
        self.status.draining
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.container, ContainerFact::Running { .. })
    }

    /// Whether new connections may be sent to it.
    pub(crate) fn serves(&self) -> bool {
        self.container == (ContainerFact::Running { healthy: true })
            && self.status.state == TaskState::Running
            && self.is_wanted()
    }

    /// Whether it should go on, as opposed to end or stay ended.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.withdrawn
            && self.condemned.is_none()
            && !self.status.state.is_terminal()
            && self.task.as_ref().is_some_and(|task| task.desired < TaskState::Shutdown)
    }

    /// Whether its endpoint stands or may stand, and is attached to this network.
    pub(crate) fn has_endpoint_on(&self, network: NetworkId) -> bool {
        let stands = self.endpoint.is_some() || self.operation == Some(Operation::CreateEndpoint);
        let mut attachments = self.task.iter().flat_map(|task| &task.attachments);
        stands && attachments.any(|attachment| attachment.network == network)
    }

    /// Raises the observed state; a state that is not higher is left alone. Says whether it rose.
    pub(crate) fn raise(&mut self, state: TaskState, message: &str, at: Timestamp) -> bool {
        if state <= self.status.state {
            return false;
        }
        self.status.state = state;
        self.status.timestamp = at;
        message.clone_into(&mut self.status.message);
        true
    }

    /// Ends the task for good.
    pub(crate) fn end(&mut self, ending: Ending, now: Timestamp) {
        let exit = match &self.container {
            ContainerFact::Exited(Some(exit)) => Some(exit.clone()),
            _ => None,
        };
        let at = exit.as_ref().map(|exit| exit.finished_at).filter(|at| *at > Timestamp::default());
        self.raise(ending.state, ending.message, at.unwrap_or(now));
        self.status.error = ending.error;
        self.status.exit = exit.map(|exit| exit.exit);
        self.status.pid = None;
        self.status.ports = PortStatus::default();
        self.status.draining = false;
    }

    pub(crate) fn set_endpoint(&mut self, endpoint: EndpointInfo) {
        if !self.status.state.is_terminal() {
            self.status.ports = PortStatus { ports: endpoint.ports.clone(), host_address: None };
        }
        self.endpoint = Some(endpoint);
    }

    /// The container was made.
    pub(crate) fn created(&mut self, container: String) {
        self.status.container_id = Some(container.clone());
        self.container_id = Some(container);
        self.container = ContainerFact::Created;
    }

    /// The container was started. One that has ended meanwhile stays ended.
    pub(crate) fn started(&mut self, pid: i32, awaits_health: bool) {
        if self.container == ContainerFact::Created {
            self.status.pid = Some(pid);
            self.container = ContainerFact::Running { healthy: !awaits_health };
            // A health check says better than a socket when it is ready.
            self.ports = if awaits_health { PortsFact::Known { silent: BTreeSet::new() } } else { PortsFact::Unasked };
        }
    }

    /// The container ended. Says whether that was news.
    pub(crate) fn exited(&mut self, exit: Option<ContainerExit>) -> bool {
        let starting = self.operation == Some(Operation::StartContainer) && self.container == ContainerFact::Created;
        let runs = self.is_running() || starting;
        if runs {
            self.container = ContainerFact::Exited(exit);
            self.status.pid = None;
        }
        runs
    }

    /// Notes the failure of the operation under way. Says whether there was one.
    pub(crate) fn failed(
        &mut self,
        operation: Operation,
        failure: &Failure,
        now: Timestamp,
        limits: &CoreLimits,
    ) -> bool {
        if self.operation != Some(operation) {
            return false;
        }
        self.operation = None;
        if operation == Operation::CreateContainer {
            // It may be the image that is gone.
            self.image = ImageFact::Unknown;
        }
        if operation == Operation::StartContainer && self.container == ContainerFact::Created {
            // What is left of it can't be started again.
            self.container = ContainerFact::Spoilt;
        }
        self.note_failure(failure, now, limits);
        true
    }

    /// Counts a failure; on the way up one that trying again will not mend, or one too many, condemns the task.
    pub(crate) fn note_failure(&mut self, failure: &Failure, now: Timestamp, limits: &CoreLimits) {
        self.retry.failed(now, limits);
        let hopeless = failure.kind == FailureKind::Fatal || self.retry.is_exhausted(limits);
        if self.is_wanted() && hopeless {
            self.condemned = Some(failure.message.clone());
            self.retry.succeeded();
        } else if self.is_wanted() {
            // Seen by people while it is tried again.
            self.status.error.clone_from(&failure.message);
        }
    }

    /// The step that failed before has succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.retry.succeeded();
        if !self.status.state.is_terminal() {
            self.status.error.clear();
        }
    }

    /// Whether the answer is to the operation under way, which then is over.
    pub(crate) fn finish(&mut self, operation: Operation) -> bool {
        let finished = self.operation == Some(operation);
        if finished {
            self.operation = None;
            self.succeeded();
        }
        finished
    }

    /// The operation as an action, complete. `None` when it makes no sense for what is known: there is no container; an
    /// error when the spec can't be made into a container here.
    pub(crate) fn action_for(
        &self,
        operation: Operation,
        config: &CoreConfig,
        payloads: &Payloads,
    ) -> Result<Option<Action>, Failure> {
        if operation == Operation::CreateContainer {
            let (ImageFact::Ready(image), Some(task)) = (self.image.clone(), &self.task) else { return Ok(None) };
            let (task, files) = payloads.prepare(task, &config.description)?;
            return Ok(Some(Action::CreateContainer { task, image, namespace: self.namespace(), files }));
        }
        Ok(self.plain_action(operation, &config.limits))
    }

    fn plain_action(&self, operation: Operation, limits: &CoreLimits) -> Option<Action> {
        let (task, container) = (self.id, self.container_id.clone());
        let spec = self.task.as_ref().map(|task| &task.spec.container);
        Some(match operation {
            Operation::CreateEndpoint => Action::CreateEndpoint(self.endpoint_plan()),
            Operation::RemoveEndpoint => Action::RemoveEndpoint { task },
            Operation::CreateContainer => return None,
            Operation::StartContainer => Action::StartContainer { task, container: container? },
            Operation::StopContainer => Action::StopContainer {
                task,
                container: container?,
                signal: spec.and_then(|spec| spec.stop_signal.clone()),
                grace: spec.and_then(|spec| spec.stop_grace_period).unwrap_or(limits.stop_grace),
            },
            Operation::RemoveContainer => Action::RemoveContainer { task, container: container?, last: self.withdrawn },
        })
    }

    /// How a task whose container ended by itself is told.
    pub(crate) fn ending_by_exit(&self, exit: Option<&ContainerExit>) -> Ending {
        match exit.map(|exit| exit.exit) {
            Some(TaskExit { code: 0, .. }) => {
                Ending { state: TaskState::Complete, message: "finished", error: String::new() }
            }
            Some(exit) => Ending { state: TaskState::Failed, message: "started", error: self.exit_text(exit) },
            None => {
                let error = "task: the container ended and nobody saw how".to_owned();
                Ending { state: TaskState::Failed, message: "started", error }
            }
        }
    }

    fn exit_text(&self, exit: TaskExit) -> String {
        let code = exit.code;
        if !exit.oom_killed {
            return format!("task: non-zero exit ({code})");
        }
        let limit = self.task.as_ref().map_or(0, |task| task.spec.resources.limits.memory_bytes);
        if limit > 0 {
            format!("task: non-zero exit ({code}): out of memory, the limit is {limit} bytes")
        } else {
            format!("task: non-zero exit ({code}): out of memory")
        }
    }
}

/// How a task ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) state: TaskState,
    pub(crate) message: &'static str,
    pub(crate) error: String,
}

fn initial_status(now: Timestamp) -> TaskStatus {
    TaskStatus {
        timestamp: now,
        state: TaskState::Accepted,
        message: "accepted".to_owned(),
        error: String::new(),
        container_id: None,
        pid: None,
        exit: None,
        ports: PortStatus::default(),
        draining: false,
    }
}
