//! The host that the tests drive: a plane, a disk, and one worker.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use shoal_manager_core::{Answer, ControlPlane, Input, NewSwarm, Output, PlaneConfig, RequestId, Restored, SessionId};
use shoal_proto::model::{
    AssignmentSet, Availability, ClusterId, ClusterSpec, ControlError, ControlReply, ControlRequest, Id, JoinTokens,
    NodeDescription, NodeId, PayloadAssignment, PayloadId, PortConfig, PortProtocol, PortStatus, PublishMode,
    ResourceReservations, Revision, RootCa, Sensitive, ServiceMode, ServiceSpec, TaskReport, TaskState, TaskStatus,
    Timestamp,
};

/// A plane, a disk, and one worker that does what it is told.
pub(crate) struct Host {
    pub(crate) plane: ControlPlane,
    pub(crate) now: Timestamp,
    pub(crate) disk: Restored,
    pub(crate) replies: Vec<(RequestId, Result<Answer, ControlError>)>,
    pub(crate) told: AssignmentSet,
    /// Secrets and configs that it was told.
    pub(crate) payloads: BTreeMap<PayloadId, Arc<PayloadAssignment>>,
    /// The last set it was told.
    pub(crate) shown: Revision,
    /// The comparison that it was asked for last.
    pub(crate) asked: Option<u64>,
    /// Its kernel shows nothing until it is told to.
    pub(crate) is_slow: bool,
    pub(crate) next_request: u64,
}

pub(crate) const NODE: u128 = 7;
pub(crate) const SESSION: SessionId = SessionId(5);

pub(crate) fn node() -> NodeId {
    NodeId::from_random(NODE)
}

pub(crate) fn description() -> NodeDescription {
    NodeDescription {
        hostname: "one".to_owned(),
        resources: ResourceReservations { nano_cpus: 2_000_000_000, memory_bytes: 1 << 30 },
        ..NodeDescription::default()
    }
}

impl Host {
    pub(crate) fn start(disk: Restored, seed: u64) -> Self {
        let config = PlaneConfig::new(9, node(), [seed, 2, 3, 4]);
        let plane = ControlPlane::new(config, disk.clone()).unwrap();
        let now = Timestamp(1_700_000_000_000_000_000);
        Self {
            plane,
            now,
            disk,
            replies: Vec::new(),
            told: AssignmentSet::default(),
            payloads: BTreeMap::new(),
            shown: Revision(0),
            asked: None,
            is_slow: false,
            next_request: 0,
        }
    }

    pub(crate) fn swarm() -> Self {
        let mut host = Self::start(Restored::default(), 1);
        let swarm = NewSwarm {
            cluster: ClusterId::from_random(1),
            spec: ClusterSpec::default(),
            root_ca: RootCa { certificate_pem: String::new(), key_pem: Sensitive::default() },
            join_tokens: JoinTokens { worker: Sensitive::default(), manager: Sensitive::default() },
            default_address_pool: Vec::new(),
            subnet_size: 24,
            data_path_port: 4789,
            description: description(),
            availability: Availability::Active,
            manager_address: "10.0.0.1:2377".to_owned(),
            data_path_address: "10.0.0.1".to_owned(),
        };
        host.input(Input::Bootstrap { id: RequestId(0), swarm: Box::new(swarm) });
        host.open();
        host
    }

    pub(crate) fn open(&mut self) {
        self.told = AssignmentSet::default();
        self.payloads.clear();
        let observed_address = IpAddr::from([10, 0, 0, 1]);
        let description = description();
        self.input(Input::SessionOpened {
            node: node(),
            session: SESSION,
            description,
            observed_address,
            data_path_address: None,
        });
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.plane.handle(self.now, input) {
                match output {
                    Output::Persist(persist) => {
                        let number = persist.number;
                        if let Some(snapshot) = persist.snapshot {
                            self.disk.snapshot = Some(snapshot);
                            self.disk.entries.clear();
                        }
                        if let Some(first) = persist.entries.first() {
                            self.disk.entries.retain(|entry| entry.index < first.index);
                        }
                        self.disk.entries.extend(persist.entries);
                        self.disk.hard_state = persist.hard_state.or(self.disk.hard_state.take());
                        inputs.push(Input::Persisted { number });
                    }
                    Output::SaveSnapshot(snapshot) => self.disk.snapshot = Some(snapshot),
                    Output::Compact { through } => self.disk.entries.retain(|entry| entry.index > through),
                    Output::Reply { id, outcome, .. } => self.replies.push((id, outcome)),
                    Output::Assign { node: to, session, mut diff } if to == node() => {
                        for (id, payload) in std::mem::take(&mut diff.payloads) {
                            match payload {
                                Some(payload) => self.payloads.insert(id, payload),
                                None => self.payloads.remove(&id),
                            };
                        }
                        let revision = diff.result;
                        self.asked = diff.verify.or(self.asked);
                        self.told.apply(diff);
                        self.shown = revision;
                        if !self.is_slow {
                            inputs.push(Input::Applied { node: to, session, revision });
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// The worker's kernel shows all that it was told.
    pub(crate) fn show(&mut self) {
        self.input(Input::Applied { node: node(), session: SESSION, revision: self.shown });
    }

    pub(crate) fn ask(&mut self, request: ControlRequest) -> Result<ControlReply, ControlError> {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.input(Input::Request { id, request });
        let place = self.replies.iter().position(|(of, _)| *of == id).unwrap();
        self.replies.swap_remove(place).1.map(|answer| match answer {
            Answer::Control(reply) => reply,
            other => panic!("answered {other:?}"),
        })
    }

    pub(crate) fn report(&mut self, state: TaskState) {
        let status = |task: &shoal_proto::model::Task| TaskStatus {
            timestamp: self.now,
            state: if task.desired > TaskState::Running { TaskState::Shutdown } else { state },
            message: String::new(),
            error: String::new(),
            container_id: None,
            pid: None,
            exit: None,
            ports: PortStatus::default(),
            draining: false,
        };
        let tasks = self.told.tasks.values();
        let reports = tasks.map(|it| TaskReport { task: it.task.id, status: status(&it.task) }).collect();
        self.input(Input::Reports { node: node(), session: SESSION, reports });
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(50);
            self.input(Input::Heartbeat { node: node(), session: SESSION });
            self.input(Input::Tick);
        }
    }

    pub(crate) fn running(&self) -> usize {
        self.plane.tables().tasks().filter(|task| task.status.state == TaskState::Running).count()
    }
}

pub(crate) fn web(replicas: u64) -> ServiceSpec {
    let port = PortConfig {
        name: String::new(),
        protocol: PortProtocol::Tcp,
        target_port: 80,
        published_port: 8080,
        mode: PublishMode::Ingress,
    };
    let mut spec = ServiceSpec { name: "web".to_owned(), ..ServiceSpec::default() };
    spec.task.container.image = "reg.example/web:1".to_owned();
    spec.mode = ServiceMode::Replicated { replicas };
    spec.endpoint.ports.push(port);
    spec
}

pub(crate) fn get(host: &mut Host) -> shoal_proto::model::ServiceView {
    match host.ask(ControlRequest::GetService { reference: "web".to_owned() }).unwrap() {
        ControlReply::Service(view) => *view,
        other => panic!("answered {other:?}"),
    }
}
