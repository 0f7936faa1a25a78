//! Random interleavings of everything that can happen to a worker, with crashes and restarts of the host at any point.
//!
//! The world here performs actions late, out of order and not always well, as the shell may. It checks at every step that
//! no container is started twice and that no ended task comes back, and at the end that all is as wished.

#![expect(clippy::expect_used, reason = "a test fails loudly")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use shoal_proto::model::{AssignmentSet, NetworkId, Revision, TaskAssignment, TaskId, TaskState, Timestamp};
use shoal_worker_core::{
    Action, AdoptedContainer, AdoptedState, CoreConfig, EndpointInfo, Failure, FailureKind, Input, Operation, PullId,
    Saved, WorkerCore,
};
use support::{
    at, description, exit, me, network, network_id, payload, payload_id, publish, publish_port, refer, task, task_id,
};

/// Small, so that everything meets everything.
const TASKS: u8 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Created,
    Running,
    Exited(i32),
    Lost,
}

/// All that is outside of the core.
struct World {
    core: WorkerCore,
    saved: Saved,
    now: i64,
    wished: AssignmentSet,
    known: AssignmentSet,
    revision: Revision,
    /// The core was told the one secret.
    knows_secret: bool,
    connected: bool,
    applied: Revision,
    todo: Vec<Action>,
    inputs: Vec<Input>,
    containers: BTreeMap<TaskId, Life>,
    endpoints: BTreeSet<TaskId>,
    networks: BTreeSet<NetworkId>,
    told: BTreeMap<TaskId, TaskState>,
    timer: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Event {
    Perform(usize, bool),
    Deliver(usize),
    Wish(u8, u8),
    Tell,
    ContainerEnds(u8, i32),
    Unhealthy(u8),
    Crash,
    Reboot,
    Disconnect,
    Later(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(n, well)| Event::Perform(n, well)),
        12 => any::<usize>().prop_map(Event::Deliver),
        4 => (0..TASKS, any::<u8>()).prop_map(|(task, wish)| Event::Wish(task, wish)),
        4 => Just(Event::Tell),
        1 => (0..TASKS, prop_oneof![Just(0), Just(1), Just(137)]).prop_map(|(task, code)| Event::ContainerEnds(task, code)),
        1 => (0..TASKS).prop_map(Event::Unhealthy),
        1 => Just(Event::Crash),
        1 => Just(Event::Reboot),
        1 => Just(Event::Disconnect),
        2 => any::<u16>().prop_map(Event::Later),
    ]
}

impl World {
    fn new() -> Self {
        let core = WorkerCore::new(CoreConfig::new(me(), description()), Saved::default());
        let mut world = Self {
            core,
            saved: Saved::default(),
            now: 1,
            wished: AssignmentSet::default(),
            known: AssignmentSet::default(),
            revision: Revision(0),
            knows_secret: false,
            connected: false,
            applied: Revision(0),
            todo: Vec::new(),
            inputs: Vec::new(),
            containers: BTreeMap::new(),
            endpoints: BTreeSet::new(),
            networks: BTreeSet::new(),
            told: BTreeMap::new(),
            timer: None,
        };
        world.handle(Input::Adopted(Vec::new()));
        world
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Perform(n, well) if !self.todo.is_empty() => {
                let action = self.todo.remove(n % self.todo.len());
                self.perform(action, well);
            }
            Event::Deliver(n) if !self.inputs.is_empty() => self.deliver(n),
            Event::Wish(n, wish) => self.wish(n, wish),
            Event::Tell => self.tell(),
            Event::ContainerEnds(n, code) => self.end_container(task_id(n), code),
            Event::Unhealthy(n) => self.inputs.push(Input::Unhealthy { task: task_id(n) }),
            Event::Crash => self.crash(),
            Event::Reboot => {
                self.todo.clear();
                self.containers
                    .values_mut()
                    .filter(|life| !matches!(life, Life::Exited(_)))
                    .for_each(|life| *life = Life::Lost);
                self.endpoints.clear();
                self.networks.clear();
                self.crash();
            }
            Event::Disconnect if self.connected => {
                self.connected = false;
                self.handle(Input::SessionDown);
            }
            Event::Later(ms) => {
                self.now += i64::from(ms);
                self.tick();
            }
            _ => {}
        }
    }

    /// The timer, as the shell keeps it.
    fn tick(&mut self) {
        if self.timer.is_some_and(|due| at(self.now) >= due) {
            self.timer = None;
            self.handle(Input::Tick);
        }
    }

    /// Inputs of one task keep their order; others overtake each other.
    fn deliver(&mut self, n: usize) {
        let n = n % self.inputs.len();
        let subject = subject(&self.inputs[n]);
        let first =
            self.inputs.iter().position(|input| subject.is_some() && self::subject(input) == subject).unwrap_or(n);
        let input = self.inputs.remove(first);
        self.handle(input);
    }

    fn wish(&mut self, n: u8, wish: u8) {
        let id = task_id(n);
        let desired = self.wished.tasks.get(&id).map(|assigned| assigned.task.desired);
        let attached = n.is_multiple_of(2).then_some(1);
        let next = match (desired, wish % 4) {
            // Ids are never used twice: a task that was told of does not come anew.
            (None, _) if self.told.contains_key(&id) => return,
            (None, 0) => Some(TaskState::Ready),
            (None, _) => Some(TaskState::Running),
            (Some(TaskState::Ready), 0..=2) => Some(TaskState::Running),
            (Some(_), 0 | 1) => Some(TaskState::Shutdown),
            (Some(TaskState::Shutdown), _) => None,
            (Some(desired), _) => Some(desired),
        };
        match next {
            Some(desired) => {
                let mut assigned = task(n, desired, attached);
                if n.is_multiple_of(3) {
                    refer(&mut assigned, 1);
                }
                self.wished.tasks.insert(id, assigned);
            }
            None => drop(self.wished.tasks.remove(&id)),
        }
        let running: Vec<_> = (0..TASKS)
            .filter(|n| {
                self.wished.tasks.get(&task_id(*n)).is_some_and(|assigned| assigned.task.desired == TaskState::Running)
            })
            .filter(|n| n.is_multiple_of(2))
            .collect();
        self.wished.networks.clear();
        if self.wished.tasks.keys().any(|id| (0..TASKS).any(|n| n.is_multiple_of(2) && task_id(n) == *id)) {
            self.wished.networks.insert(network_id(1), network(1));
        }
        let backends: Vec<_> = running.into_iter().map(|n| (n, true)).collect();
        publish(&mut self.wished, &backends);
        publish_port(&mut self.wished, 80);
    }

    fn tell(&mut self) {
        if !self.connected {
            self.connected = true;
            self.revision = Revision(0);
            self.known = AssignmentSet::default();
            self.handle(Input::SessionUp);
        }
        let mut diff = self.known.difference(&self.wished, self.revision);
        // The secret comes after the tasks that wait for it.
        let wants_secret = self.known.tasks.values().any(refers);
        if diff.base == Revision(0) {
            self.knows_secret = false;
        } else if wants_secret != self.knows_secret {
            self.knows_secret = wants_secret;
            diff.payloads.insert(payload_id(1), wants_secret.then(|| Arc::new(payload(1))));
        }
        if !diff.is_empty() {
            self.revision = diff.result;
            self.known = self.wished.clone();
            self.told.extend(
                self.known
                    .tasks
                    .keys()
                    .map(|id| (*id, TaskState::New))
                    .filter(|(id, _)| !self.told.contains_key(id))
                    .collect::<Vec<_>>(),
            );
            self.handle(Input::Assignments(diff));
        }
    }

    /// Tasks first, then what they wait for.
    fn tell_all(&mut self) {
        self.tell();
        self.tell();
    }

    fn end_container(&mut self, id: TaskId, code: i32) {
        if let Some(life @ Life::Running) = self.containers.get_mut(&id) {
            *life = Life::Exited(code);
            self.inputs.push(Input::ContainerExited { task: id, exit: exit(code, false, self.now) });
        }
    }

    /// The process ends; what it had begun may or may not have been done.
    fn crash(&mut self) {
        for action in std::mem::take(&mut self.todo) {
            if self.now % 2 == 0 {
                self.perform(action, true);
            }
        }
        self.inputs.clear();
        self.connected = false;
        self.timer = None;
        self.core = WorkerCore::new(CoreConfig::new(me(), description()), self.saved.clone());
        let found = self.containers.iter().map(|(id, life)| AdoptedContainer {
            task: *id,
            container: format!("c-{id}"),
            state: match life {
                Life::Created => AdoptedState::Created,
                Life::Running => AdoptedState::Running { pid: 1, started_at: at(1), healthy: true },
                Life::Exited(code) => AdoptedState::Exited(exit(*code, false, 1)),
                Life::Lost => AdoptedState::Lost,
            },
            endpoint: self.endpoints.contains(id).then(EndpointInfo::default),
        });
        let found: Vec<AdoptedContainer> = found.collect();
        self.endpoints.retain(|id| found.iter().any(|container| container.task == *id));
        self.handle(Input::NetworksFound(self.networks.iter().copied().collect()));
        self.handle(Input::Adopted(found));
    }

    fn handle(&mut self, input: Input) {
        for action in self.core.handle(at(self.now), input) {
            match action {
                Action::PersistAssignments(set) => self.saved.assignments = Some((*set).clone()),
                Action::PersistEnded(ended) => self.saved.ended = (*ended).clone(),
                Action::Report { sequence, reports } => {
                    assert!(self.connected, "a report without a session");
                    for report in reports {
                        let before = self.told.entry(report.task).or_insert(TaskState::New);
                        // Below the end a report may sink after a crash; the managers drop it. An end is an end.
                        assert!(!before.is_terminal() || *before == report.status.state, "{} came back", report.task);
                        *before = report.status.state;
                    }
                    self.inputs.push(Input::ReportsAcknowledged { sequence });
                }
                Action::Applied { revision } => self.applied = revision,
                Action::Resync => panic!("nothing was lost, yet the whole set is wanted"),
                Action::ArmTimer { at } => self.timer = Some(at),
                Action::CancelPull { pull } => {
                    self.todo.retain(|other| !matches!(other, Action::Pull { pull: id, .. } if *id == pull));
                }
                action => self.todo.push(action),
            }
        }
    }

    fn perform(&mut self, action: Action, well: bool) {
        let result = if well { self.succeed(action) } else { fail(&action) };
        self.inputs.extend(result);
    }

    fn succeed(&mut self, action: Action) -> Vec<Input> {
        match action {
            Action::Pull { pull, .. } => vec![Input::ImageReady { pull, image: "sha256:1".to_owned() }],
            Action::EnsureNetwork { network, .. } => {
                self.networks.insert(network);
                vec![Input::NetworkReady { network }]
            }
            Action::RemoveNetwork { network } => {
                self.networks.remove(&network);
                vec![Input::NetworkRemoved { network }]
            }
            Action::SetPeers { network, .. } => vec![Input::PeersSet { network }],
            Action::SetServices(_) => vec![Input::ServicesSet],
            Action::Verify { number } => vec![Input::Verified { number, outcome: Ok(Vec::new()) }],
            Action::Probe { .. } => vec![Input::Silent { hosts: BTreeSet::new() }],
            Action::CreateEndpoint(plan) => {
                let networks = plan.attachments.iter().all(|attachment| self.networks.contains(&attachment.network));
                assert!(networks, "an endpoint on a network that is not there");
                self.endpoints.insert(plan.task);
                vec![Input::EndpointReady { task: plan.task, endpoint: EndpointInfo::default() }]
            }
            Action::RemoveEndpoint { task } => {
                assert!(self.containers.get(&task) != Some(&Life::Running), "a running container lost its network");
                self.endpoints.remove(&task);
                vec![Input::EndpointRemoved { task }]
            }
            Action::CreateContainer { task, files, .. } => {
                assert_eq!(files.len(), task.spec.container.payloads.len(), "a container without its secret");
                self.containers.entry(task.id).or_insert(Life::Created);
                vec![Input::ContainerCreated { task: task.id, container: format!("c-{}", task.id) }]
            }
            Action::StartContainer { task, .. } => {
                let life = self.containers.get_mut(&task).expect("there is a container to start");
                assert_eq!(*life, Life::Created, "{task} is started twice");
                *life = Life::Running;
                vec![Input::ContainerStarted { task, pid: 1, awaits_health: false }]
            }
            Action::AwaitPorts { task, ports, .. } => vec![Input::PortsAwaited { task, silent: ports }],
            Action::StopContainer { task, .. } => {
                let mut results = Vec::new();
                if let Some(life @ Life::Running) = self.containers.get_mut(&task) {
                    *life = Life::Exited(143);
                    results.push(Input::ContainerExited { task, exit: exit(143, false, self.now) });
                }
                results.push(Input::StopDone { task });
                results
            }
            Action::RemoveContainer { task, .. } => {
                assert!(self.containers.get(&task) != Some(&Life::Running), "{task} is removed while it runs");
                self.containers.remove(&task);
                vec![Input::ContainerRemoved { task }]
            }
            other => panic!("not for the world: {other}"),
        }
    }

    /// Serves everything, well, until nothing is left to do and no timer is due within an hour.
    fn settle(&mut self) {
        self.tell_all();
        for _ in 0..10_000 {
            if !self.connected {
                self.tell_all();
            } else if !self.inputs.is_empty() {
                self.deliver(0);
            } else if !self.todo.is_empty() {
                let action = self.todo.remove(0);
                self.perform(action, true);
            } else if self.known != self.wished {
                self.tell();
            } else if let Some(due) = self.timer {
                self.now = self.now.max(due.0 / 1_000_000 + 1);
                self.tick();
            } else {
                return;
            }
        }
        panic!("does not come to rest");
    }

    fn check_rest(&self) {
        for (id, assigned) in &self.wished.tasks {
            let state = self.core.status(*id).map_or(TaskState::New, |status| status.state);
            let runs = self.containers.get(id) == Some(&Life::Running);
            match assigned.task.desired {
                TaskState::Running => {
                    assert!(runs == (state == TaskState::Running) && state >= TaskState::Running, "{id} is {state:?}")
                }
                TaskState::Ready => assert!(!runs && state >= TaskState::Ready, "{id} is {state:?}"),
                _ => assert!(!runs && state.is_terminal(), "{id} is {state:?}"),
            }
            assert_eq!(self.told.get(id), Some(&state), "the leader knows the last state of {id}");
        }
        let stray = self.containers.keys().find(|id| !self.wished.tasks.contains_key(id));
        assert_eq!(stray, None, "a container of no task");
        let used =
            self.endpoints.iter().find(|id| !matches!(self.containers.get(id), Some(Life::Running | Life::Created)));
        assert_eq!(used, None, "an endpoint of no container");
        assert_eq!(self.networks.is_empty(), self.wished.networks.is_empty());
        assert_eq!(self.applied, self.revision, "the host shows what it was told");
    }
}

fn subject(input: &Input) -> Option<TaskId> {
    match input {
        Input::EndpointReady { task, .. }
        | Input::EndpointRemoved { task }
        | Input::ContainerCreated { task, .. }
        | Input::ContainerStarted { task, .. }
        | Input::ContainerExited { task, .. }
        | Input::StopDone { task }
        | Input::PortsAwaited { task, .. }
        | Input::ContainerRemoved { task }
        | Input::OperationFailed { task, .. } => Some(*task),
        _ => None,
    }
}

fn refers(assigned: &TaskAssignment) -> bool {
    !assigned.task.spec.container.payloads.is_empty()
}

fn fail(action: &Action) -> Vec<Input> {
    let failure = Failure { message: "not now".to_owned(), kind: FailureKind::Temporary };
    let failed = |task: TaskId, operation| Input::OperationFailed { task, operation, failure: failure.clone() };
    vec![match action {
        Action::Pull { pull, .. } => Input::ImageFailed { pull: PullId(pull.0), failure },
        Action::EnsureNetwork { network, .. }
        | Action::RemoveNetwork { network }
        | Action::SetPeers { network, .. } => Input::NetworkFailed { network: *network, failure },
        Action::SetServices(_) => Input::ServicesFailed { failure },
        Action::Verify { number } => Input::Verified { number: *number, outcome: Err(failure) },
        Action::Probe { hosts, .. } => Input::Silent { hosts: hosts.keys().copied().collect() },
        Action::CreateEndpoint(plan) => failed(plan.task, Operation::CreateEndpoint),
        Action::RemoveEndpoint { task } => failed(*task, Operation::RemoveEndpoint),
        Action::CreateContainer { task, .. } => failed(task.id, Operation::CreateContainer),
        Action::AwaitPorts { task, ports, .. } => Input::PortsAwaited { task: *task, silent: ports.clone() },
        Action::StartContainer { task, .. } => failed(*task, Operation::StartContainer),
        Action::StopContainer { task, .. } => failed(*task, Operation::StopContainer),
        Action::RemoveContainer { task, .. } => failed(*task, Operation::RemoveContainer),
        other => panic!("not for the world: {other}"),
    }]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn comes_to_rest_as_wished(events in prop::collection::vec(event(), 0..160)) {
        let mut world = World::new();
        for event in events {
            world.play(event);
        }
        world.settle();
        world.check_rest();
    }
}
