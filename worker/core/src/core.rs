//! The core itself: owns the assignments and the machines, routes each input, and collects what is to be done.
//!
//! Invariant: what one call of `handle` persists comes before what it does and tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shoal_proto::model::{
    AssignmentDiff, AssignmentSet, NetworkId, NodeId, PayloadId, PortProtocol, Revision, ServiceSet, Task, TaskId,
    TaskReport, TaskStatus, Timestamp,
};

use crate::datapath::{DataPath, NetworkOutcome};
use crate::images::Images;
use crate::outbox::Outbox;
use crate::payloads::Payloads;
use crate::reach::Reach;
use crate::step::{Step, Surroundings, decide};
use crate::task::{ContainerFact, ImageFact, PortsFact, TaskMachine};
use crate::turn::Turn;
use crate::verifier::Verifier;
use crate::{Action, AdoptedContainer, CoreConfig, Failure, Input, Operation, PullId, Saved};

/// All that a worker decides.
#[derive(Debug, Clone)]
pub struct WorkerCore {
    config: CoreConfig,
    assignments: Arc<AssignmentSet>,
    /// Beside the assignments: never on disk.
    payloads: Payloads,
    /// The assignments are a manager's, not only what an empty disk left us with.
    told: bool,
    /// Of this session; `None` until its whole set has come.
    revision: Option<Revision>,
    /// The last that was said to be applied in this session.
    applied: Option<Revision>,
    ended: Arc<BTreeMap<TaskId, TaskStatus>>,
    /// The containers of this worker are known.
    adopted: bool,
    tasks: BTreeMap<TaskId, TaskMachine>,
    images: Images,
    datapath: DataPath,
    reach: Reach,
    verifier: Verifier,
    outbox: Outbox,
    armed: Option<Timestamp>,
}

impl WorkerCore {
    /// A core that holds what the disk held. It acts on nothing until [`Input::Adopted`].
    #[must_use]
    pub fn new(config: CoreConfig, saved: Saved) -> Self {
        let told = saved.assignments.is_some();
        Self {
            config,
            assignments: Arc::new(saved.assignments.unwrap_or_default()),
            payloads: Payloads::default(),
            told,
            revision: None,
            applied: None,
            ended: Arc::new(saved.ended),
            adopted: false,
            tasks: BTreeMap::new(),
            images: Images::default(),
            datapath: DataPath::default(),
            reach: Reach::default(),
            verifier: Verifier::default(),
            outbox: Outbox::default(),
            armed: None,
        }
    }

    /// Takes one input and says what is to be done, in order.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Action> {
        let mut turn = Turn { now, ..Turn::default() };
        self.take(input, &mut turn);
        if self.adopted {
            self.step_tasks(&mut turn);
            self.step_datapath(&mut turn);
        }
        self.tell(&mut turn);
        self.arm(&mut turn);
        turn.actions
    }

    /// The secrets and configs that the worker holds.
    pub fn payloads(&self) -> impl Iterator<Item = PayloadId> {
        self.payloads.ids()
    }

    /// What the worker was last told.
    #[must_use]
    pub fn assignments(&self) -> &AssignmentSet {
        &self.assignments
    }

    /// How far a task is; `None` when it is not this worker's.
    #[must_use]
    pub fn status(&self, task: TaskId) -> Option<&TaskStatus> {
        self.tasks.get(&task).filter(|machine| machine.task.is_some()).map(|machine| &machine.status)
    }

    /// Whether nothing is left of any task and any network: all were withdrawn and cleaned up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.adopted && self.assignments.tasks.is_empty() && self.tasks.is_empty() && self.datapath.is_empty()
    }

    /// Who and within which limits.
    #[must_use]
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    fn take(&mut self, input: Input, turn: &mut Turn) {
        match input {
            Input::SessionUp => {
                self.revision = None;
                self.applied = None;
                self.reach.forget_told();
                self.verifier.forget();
                self.outbox.connect(self.tasks.values().filter(|m| m.task.is_some() && !m.withdrawn).map(|m| m.id));
            }
            Input::SessionDown => {
                self.revision = None;
                self.applied = None;
                self.verifier.forget();
                self.outbox.disconnect();
            }
            Input::Assignments(diff) => self.assign(diff, turn),
            Input::ReportsAcknowledged { sequence } => self.outbox.acknowledged(sequence),
            Input::NetworksFound(found) => self.datapath.adopt(found),
            Input::Adopted(found) => self.adopt(found, turn),
            Input::ImageReady { pull, image } => self.image_ready(pull, &image, turn),
            Input::ImageFailed { pull, failure } => self.image_failed(pull, &failure, turn),
            Input::NetworkReady { network } => self.network_done(network, NetworkOutcome::Ready, turn),
            Input::NetworkRemoved { network } => self.network_done(network, NetworkOutcome::Removed, turn),
            Input::PeersSet { network } => self.network_done(network, NetworkOutcome::PeersSet, turn),
            Input::NetworkFailed { network, .. } => self.datapath.failed(network, turn.now, &self.config.limits),
            Input::ServicesSet => {
                self.datapath.services_done();
                turn.touched.extend(self.tasks.keys());
            }
            Input::ServicesFailed { .. } => self.datapath.services_failed(turn.now, &self.config.limits),
            Input::Verified { number, outcome } => {
                if let Some(revision) = self.revision {
                    let held = (revision, &*self.assignments);
                    turn.actions.extend(self.verifier.done(number, outcome, held));
                }
            }
            Input::Silent { hosts } => turn.services_changed |= self.reach.set_silent(hosts),
            Input::Tick => {
                self.armed = None;
                self.outbox.repeat(turn.now, self.config.limits.report_repeat);
                turn.touched.extend(self.tasks.keys());
                turn.services_changed = true;
            }
            observed => self.observe(observed, turn),
        }
    }

    /// Inputs that concern one task.
    fn observe(&mut self, input: Input, turn: &mut Turn) {
        let Some(id) = input.task() else { return };
        let Some(machine) = self.tasks.get_mut(&id) else { return };
        turn.touched.insert(id);
        let (served, error) = (machine.serves(), machine.status.error.clone());
        match input {
            Input::EndpointReady { endpoint, .. } if machine.finish(Operation::CreateEndpoint) => {
                machine.set_endpoint(endpoint);
            }
            Input::EndpointRemoved { .. } if machine.finish(Operation::RemoveEndpoint) => machine.endpoint = None,
            Input::ContainerCreated { container, .. } if machine.finish(Operation::CreateContainer) => {
                machine.created(container);
            }
            Input::ContainerStarted { pid, awaits_health, .. } if machine.finish(Operation::StartContainer) => {
                machine.started(pid, awaits_health);
            }
            Input::ContainerExited { exit, .. } => {
                machine.exited(Some(exit));
            }
            Input::StopDone { .. } if machine.finish(Operation::StopContainer) => {
                machine.exited(None);
            }
            Input::ContainerRemoved { .. } if machine.finish(Operation::RemoveContainer) => {
                machine.container = ContainerFact::Absent;
                machine.container_id = None;
            }
            Input::OperationFailed { operation, failure, .. } => {
                machine.failed(operation, &failure, turn.now, &self.config.limits);
            }
            Input::PortsAwaited { silent, .. } if machine.ports == PortsFact::Awaited => {
                machine.ports = PortsFact::Known { silent };
            }
            Input::Healthy { .. } => {
                if let ContainerFact::Running { healthy } = &mut machine.container {
                    *healthy = true;
                }
            }
            Input::Unhealthy { .. } if machine.is_wanted() && machine.is_running() => {
                machine.condemned = Some("task: unhealthy container".to_owned());
            }
            _ => {}
        }
        turn.services_changed |= served != machine.serves();
        if error != machine.status.error && !machine.withdrawn {
            self.outbox.changed(id);
        }
    }

    fn assign(&mut self, mut diff: AssignmentDiff, turn: &mut Turn) {
        if diff.base != Revision(0) && self.revision != Some(diff.base) {
            self.revision = None;
            turn.actions.push(Action::Resync);
            return;
        }
        self.revision = Some(diff.result);
        self.told = true;
        if let Some(number) = diff.verify {
            self.verifier.ask(number);
        }
        self.payloads.apply(diff.base == Revision(0), std::mem::take(&mut diff.payloads));
        let before = Arc::clone(&self.assignments);
        Arc::make_mut(&mut self.assignments).apply(diff);
        if before != self.assignments {
            turn.actions.push(Action::PersistAssignments(Arc::clone(&self.assignments)));
        }
        if self.adopted {
            self.take_over(turn);
        }
    }

    /// Brings machines and data path in line with the assignments.
    fn take_over(&mut self, turn: &mut Turn) {
        for (id, machine) in &mut self.tasks {
            machine.withdrawn |= !self.assignments.tasks.contains_key(id);
        }
        for (id, assigned) in &self.assignments.tasks {
            let assigned = assigned.clone();
            match self.tasks.get_mut(id) {
                Some(machine) => {
                    if machine.withdrawn {
                        // It was found before its task was known, or comes back before all of it was gone.
                        self.outbox.changed(*id);
                    }
                    machine.assign(assigned);
                }
                None => {
                    let machine = TaskMachine::assigned(assigned, self.ended.get(id).cloned(), turn.now);
                    self.tasks.insert(*id, machine);
                    self.outbox.changed(*id);
                }
            }
        }
        for (id, machine) in &mut self.tasks {
            machine.drained = self.assignments.drained.contains_key(id);
        }
        self.datapath.assign(&self.assignments);
        turn.services_changed = true;
        turn.touched.extend(self.tasks.keys());
    }

    fn adopt(&mut self, found: Vec<AdoptedContainer>, turn: &mut Turn) {
        if std::mem::replace(&mut self.adopted, true) {
            return;
        }
        Arc::make_mut(&mut self.ended).retain(|task, _| self.assignments.tasks.contains_key(task));
        self.take_over(turn);
        for container in found {
            let id = container.task;
            self.tasks.entry(id).or_insert_with(|| TaskMachine::stray(id, turn.now)).adopt(container);
        }
        turn.touched.extend(self.tasks.keys());
    }

    fn image_ready(&mut self, pull: PullId, image: &str, turn: &mut Turn) {
        for id in self.images.ended(pull) {
            if let Some(machine) = self.tasks.get_mut(&id) {
                // Failures stay counted: what failed before may be what comes next.
                machine.image = ImageFact::Ready(image.to_owned());
                turn.touched.insert(id);
            }
        }
    }

    fn image_failed(&mut self, pull: PullId, failure: &Failure, turn: &mut Turn) {
        for id in self.images.ended(pull) {
            if let Some(machine) = self.tasks.get_mut(&id) {
                machine.image = ImageFact::Unknown;
                machine.note_failure(failure, turn.now, &self.config.limits);
                self.outbox.changed(id);
                turn.touched.insert(id);
            }
        }
    }

    fn network_done(&mut self, network: NetworkId, outcome: NetworkOutcome, turn: &mut Turn) {
        self.datapath.done(network, outcome);
        turn.touched.extend(self.tasks.keys());
    }

    fn step_tasks(&mut self, turn: &mut Turn) {
        for id in std::mem::take(&mut turn.touched) {
            while self.step_task(id, turn) {}
        }
    }

    /// Performs one step of a task. Says whether another may follow.
    fn step_task(&mut self, id: TaskId, turn: &mut Turn) -> bool {
        let Some(machine) = self.tasks.get(&id) else { return false };
        if !self.told && machine.task.is_none() {
            // Whose container this is will be known with the first assignments.
            return false;
        }
        let step = decide(machine, &self.surroundings(machine, turn.now));
        self.note(id, step, turn)
    }

    fn surroundings(&self, machine: &TaskMachine, now: Timestamp) -> Surroundings<'_> {
        let task = machine.task.as_ref();
        let mut attachments = task.iter().flat_map(|task| &task.attachments);
        Surroundings {
            now,
            limits: &self.config.limits,
            networks_ready: attachments.all(|attachment| self.datapath.is_ready(attachment.network)),
            payloads_ready: task.is_none_or(|task| self.payloads.has_all_of(task)),
            may_serve: task.is_some_and(|task| self.datapath.may_serve(task.service, task.id)),
            published: task.map(|task| self.published(task)).unwrap_or_default(),
        }
    }

    /// The TCP ports of a task's namespace that connections from outside are led to.
    fn published(&self, task: &Task) -> BTreeSet<u16> {
        let by_mesh = self.assignments.services.get(&task.service).map(|service| &service.ports);
        let ports = by_mesh.into_iter().flatten().chain(&task.host_ports);
        ports.filter(|port| port.protocol == PortProtocol::Tcp).map(|port| port.target_port).collect()
    }

    fn note(&mut self, id: TaskId, step: Step, turn: &mut Turn) -> bool {
        let Some(machine) = self.tasks.get_mut(&id) else { return false };
        let served = machine.serves();
        match step {
            Step::Wait => {
                machine.wake = None;
                return false;
            }
            Step::WaitUntil(at) => {
                machine.wake = Some(at);
                return false;
            }
            Step::Reach(state, message) => {
                machine.raise(state, &message, turn.now);
                self.outbox.changed(id);
            }
            Step::End(ending) => {
                machine.end(ending, turn.now);
                if !machine.withdrawn {
                    let status = machine.status.clone();
                    Arc::make_mut(&mut self.ended).insert(id, status);
                    turn.ended_changed = true;
                    self.outbox.changed(id);
                }
            }
            Step::WantImage => {
                let Some(task) = &machine.task else { return false };
                let container = &task.spec.container;
                let (pull, action) = self.images.want(id, &container.image, container.pull_credentials.as_ref());
                machine.image = ImageFact::Waiting(pull);
                turn.actions.extend(action);
            }
            Step::LeaveImage => {
                if let ImageFact::Waiting(pull) = std::mem::replace(&mut machine.image, ImageFact::Unknown) {
                    turn.actions.extend(self.images.leave(id, pull));
                }
            }
            Step::AwaitPorts(ports) => {
                machine.ports = PortsFact::Awaited;
                turn.actions.push(Action::AwaitPorts { task: id, ports, limit: self.config.limits.listen_max });
            }
            Step::BeginStop => {
                let led_to = machine.task.as_ref().is_some_and(|task| self.datapath.may_serve(task.service, id));
                if machine.begin_stop(led_to, turn.now) {
                    self.outbox.changed(id);
                }
                turn.services_changed = true;
            }
            Step::NoteLeft => {
                if let Some(stop) = &mut machine.stop {
                    stop.left_at = Some(turn.now);
                }
            }
            Step::Perform(operation) => {
                if !self.begin(id, operation, turn) {
                    return false;
                }
            }
            Step::Forget => {
                self.tasks.remove(&id);
                self.outbox.forget(id);
                if self.ended.contains_key(&id) {
                    Arc::make_mut(&mut self.ended).remove(&id);
                    turn.ended_changed = true;
                }
                return false;
            }
        }
        turn.services_changed |= self.tasks.get(&id).is_some_and(|machine| served != machine.serves());
        true
    }

    /// Has an operation performed. Says whether anything has changed.
    fn begin(&mut self, id: TaskId, operation: Operation, turn: &mut Turn) -> bool {
        let Some(machine) = self.tasks.get_mut(&id) else { return false };
        match machine.action_for(operation, &self.config, &self.payloads) {
            Ok(None) => return false,
            Ok(Some(action)) => {
                machine.operation = Some(operation);
                turn.actions.push(action);
            }
            Err(failure) => {
                machine.note_failure(&failure, turn.now, &self.config.limits);
                self.outbox.changed(id);
            }
        }
        true
    }

    fn step_datapath(&mut self, turn: &mut Turn) {
        if turn.services_changed {
            self.datapath.assign_services(self.services_wanted());
        }
        turn.actions.extend(self.reach.probe(self.config.node, self.datapath.mesh()));
        let tasks = &self.tasks;
        let in_use = |network| tasks.values().any(|machine| machine.has_endpoint_on(network));
        if self.told {
            turn.actions.extend(self.datapath.step(turn.now, in_use));
        }
        if let Some(revision) = self.revision
            && self.applied != Some(revision)
            && self.datapath.is_settled()
        {
            self.applied = Some(revision);
            turn.actions.push(Action::Applied { revision });
        }
        if self.revision.is_some() && self.datapath.is_settled() {
            turn.actions.extend(self.verifier.step());
        }
    }

    /// The assigned services without those tasks of this node that should get no new connections.
    fn services_wanted(&self) -> ServiceSet {
        let AssignmentSet { services: mut published, mut names, .. } = AssignmentSet::clone(&self.assignments);
        let serves = |task: &TaskId, node: NodeId| {
            node != self.config.node || self.tasks.get(task).is_some_and(TaskMachine::serves)
        };
        for service in published.values_mut() {
            service.backends.retain(|task, backend| serves(task, backend.node));
            self.reach.leave_out_silent(&mut service.backends, |backend| backend.node);
        }
        for service in names.values_mut() {
            service.tasks.retain(|id, task| serves(id, task.node));
            self.reach.leave_out_silent(&mut service.tasks, |task| task.node);
        }
        ServiceSet { published, names }
    }

    /// Adds what is to be told, after what is to be on disk first.
    fn tell(&mut self, turn: &mut Turn) {
        if turn.ended_changed {
            turn.actions.insert(0, Action::PersistEnded(Arc::clone(&self.ended)));
        }
        if self.outbox.is_connected() {
            turn.actions.extend(self.reach.tell());
        }
        if let Some((sequence, tasks)) = self.outbox.take(turn.now) {
            let statuses = tasks.iter().filter_map(|task| self.tasks.get(task));
            let reports =
                statuses.map(|machine| TaskReport { task: machine.id, status: machine.status.clone() }).collect();
            turn.actions.push(Action::Report { sequence, reports });
        }
    }

    fn arm(&mut self, turn: &mut Turn) {
        let waits = self.tasks.values().filter_map(|machine| machine.wake);
        let repeat = self.outbox.repeat_at(self.config.limits.report_repeat);
        let next = waits.chain(self.datapath.wake(turn.now)).chain(repeat).min();
        if next != self.armed {
            self.armed = next;
            turn.actions.extend(next.map(|at| Action::ArmTimer { at }));
        }
    }
}
