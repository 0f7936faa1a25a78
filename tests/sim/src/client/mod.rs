//! Clients: they make services, change and remove them, and move nodes about, one operation after the other.
//!
//! A client owns its services, so that what it was promised can be lost to nobody else. It knows that a request without
//! an answer may have taken effect: it reads before it tries again. What it wishes for is drawn by [`workload`].

mod workload;

use shoal_manager_core::Answer;
use shoal_proto::model::{
    Availability, ControlError, ControlErrorKind, ControlReply, ControlRequest, Labels, NetworkSpec, NodeId, NodeSpec,
    PayloadId, PayloadKind, PayloadReference, Role, Rollback, ServiceId, ServiceMode, ServiceSpec, Version,
};

use crate::draw::Draw;
use crate::event::{Outcome, Replied};
use crate::limits::SERVICES_A_CLIENT;

/// The label that says which operation wrote an object last.
pub(crate) const OPERATION: &str = "operation";

/// The first client also moves nodes about.
const OPERATOR: usize = 0;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) draw: Draw,
    /// Counts requests: answers to earlier ones are ignored.
    pub(crate) attempt: u64,
    /// A request is under way.
    pub(crate) waiting: bool,
    /// No new operations.
    pub(crate) resting: bool,
    services: Vec<String>,
    /// Secrets and configs that it knows to be there.
    payloads: Vec<PayloadReference>,
    names: u64,
    operations: u64,
    nodes: Nodes,
    work: Option<Work>,
}

/// What the operator knows of nodes.
#[derive(Debug, Default)]
struct Nodes {
    all: Vec<NodeId>,
    away: Vec<NodeId>,
    roles_move: bool,
}

/// An operation under way.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) operation: u64,
    pub(crate) wish: Wish,
    step: Step,
    /// The first attempt that belongs to it.
    first_attempt: u64,
    /// An attempt may have taken effect although it was not answered.
    doubtful: bool,
}

/// What an operation is for.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Create { name: String, spec: Box<ServiceSpec> },
    Change { name: String, change: Change },
    Remove { name: String },
    Network { name: String, remove: bool },
    Payload { kind: PayloadKind, name: String, remove: bool },
    Node { node: NodeId, change: NodeChange },
}

/// A change of a service.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Scale(u64),
    Image(u64),
    Force,
    /// On this network, or off it.
    Network(String),
    /// With this secret or config, or without it.
    Payload(PayloadReference),
}

/// A change of a node.
#[derive(Debug, Clone)]
pub(crate) enum NodeChange {
    Availability(Availability),
    Role(Role),
    Zone(&'static str),
}

#[derive(Debug, Clone)]
enum Step {
    /// Reads what is there.
    Read,
    /// Writes.
    Write(Box<ControlRequest>),
}

/// What a client does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// At once.
    Now,
    /// After a pause.
    Pause,
    /// The operation is over: it was done, or can't be.
    Over,
}

/// A write that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Promise {
    Service { name: String, operation: u64 },
    ServiceGone { name: String },
    Node { node: NodeId, operation: u64 },
}

impl Client {
    pub(crate) fn new(number: usize, mut draw: Draw) -> Self {
        let roles_move = draw.happens(500);
        Self {
            number,
            draw,
            attempt: 0,
            waiting: false,
            resting: false,
            services: Vec::new(),
            payloads: Vec::new(),
            names: 0,
            operations: 0,
            nodes: Nodes { roles_move, ..Nodes::default() },
            work: None,
        }
    }

    /// The nodes that the operator may move about.
    pub(crate) fn learn_nodes(&mut self, nodes: impl Iterator<Item = NodeId>) {
        self.nodes.all = nodes.collect();
    }

    /// Whether it has nothing to do and will begin nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.resting && self.work.is_none()
    }

    pub(crate) fn work(&self) -> Option<&Work> {
        self.work.as_ref()
    }

    /// Begins an operation when none is under way; `None` when it rests.
    pub(crate) fn begin(&mut self) -> Option<&Work> {
        if self.work.is_none() && !self.resting {
            self.operations += 1;
            let wish = self.draw_wish();
            let step = match &wish {
                Wish::Create { spec, .. } => {
                    let mut spec = spec.clone();
                    spec.labels.insert(OPERATION.to_owned(), self.operations.to_string());
                    Step::Write(Box::new(ControlRequest::CreateService { spec }))
                }
                Wish::Remove { name } => {
                    Step::Write(Box::new(ControlRequest::RemoveService { reference: name.clone() }))
                }
                Wish::Network { name, remove: true } => {
                    Step::Write(Box::new(ControlRequest::RemoveNetwork { reference: name.clone() }))
                }
                Wish::Network { name, remove: false } => {
                    let spec = NetworkSpec { name: name.clone(), ..NetworkSpec::default() };
                    Step::Write(Box::new(ControlRequest::CreateNetwork { spec: Box::new(spec) }))
                }
                Wish::Payload { kind, name, remove: true } => {
                    Step::Write(Box::new(ControlRequest::RemovePayload { kind: *kind, reference: name.clone() }))
                }
                Wish::Payload { kind, name, remove: false } => {
                    let spec = Box::new(workload::payload_spec(name.clone()));
                    Step::Write(Box::new(ControlRequest::CreatePayload { kind: *kind, spec }))
                }
                Wish::Change { .. } | Wish::Node { .. } => Step::Read,
            };
            let first_attempt = self.attempt + 1;
            self.work = Some(Work { operation: self.operations, wish, step, first_attempt, doubtful: false });
        }
        self.work.as_ref()
    }

    /// What it asks now.
    pub(crate) fn request(&self) -> Option<ControlRequest> {
        let work = self.work.as_ref()?;
        Some(match (&work.step, &work.wish) {
            (Step::Write(request), _) => (**request).clone(),
            (Step::Read, Wish::Node { node, .. }) => ControlRequest::GetNode { reference: node.to_string() },
            (Step::Read, Wish::Create { name, .. } | Wish::Change { name, .. } | Wish::Remove { name }) => {
                ControlRequest::GetService { reference: name.clone() }
            }
            // These are written without looking.
            (Step::Read, Wish::Payload { kind, name, .. }) => {
                ControlRequest::GetPayload { kind: *kind, reference: name.clone() }
            }
            (Step::Read, Wish::Network { name, .. }) => ControlRequest::GetNetwork { reference: name.clone() },
        })
    }

    /// What an answer to this attempt promises, if it is a write's.
    pub(crate) fn promise(&self, attempt: u64, answer: &Answer) -> Option<Promise> {
        let work = self.work.as_ref().filter(|work| attempt >= work.first_attempt)?;
        let operation = work.operation;
        match (answer, &work.wish) {
            (Answer::Control(ControlReply::ServiceCreated { .. }), Wish::Create { name, .. })
            | (Answer::Control(ControlReply::Done), Wish::Change { name, .. }) => {
                Some(Promise::Service { name: name.clone(), operation })
            }
            (Answer::Control(ControlReply::ServiceRemoved { .. }), Wish::Remove { name }) => {
                Some(Promise::ServiceGone { name: name.clone() })
            }
            (Answer::Control(ControlReply::Done), Wish::Node { node, .. }) => {
                Some(Promise::Node { node: *node, operation })
            }
            _ => None,
        }
    }

    /// No answer came in time.
    pub(crate) fn gave_up_waiting(&mut self) -> Next {
        self.in_doubt();
        Next::Now
    }

    /// An answer came.
    pub(crate) fn hear(&mut self, outcome: Outcome) -> Next {
        let reply = match outcome {
            Ok(Replied::Plane { answer: Answer::Control(reply), .. }) => reply,
            Ok(_) => return self.over(),
            Err(error) => return self.refused(&error),
        };
        match reply {
            ControlReply::Service(view) => {
                let service = view.service;
                self.read(service.id, service.meta.version, service.spec)
            }
            ControlReply::Node(view) => self.read_node(view.node.id, view.node.meta.version, view.node.spec),
            ControlReply::PayloadCreated { payload } => {
                self.note_payload(payload);
                self.over()
            }
            _ => {
                self.note_done();
                self.over()
            }
        }
    }

    fn note_payload(&mut self, id: PayloadId) {
        if let Some(Wish::Payload { kind, name, .. }) = self.work.as_ref().map(|work| &work.wish) {
            self.payloads.push(workload::refer(*kind, id, name.clone()));
        }
    }

    fn refused(&mut self, error: &ControlError) -> Next {
        let Some(work) = &mut self.work else { return Next::Over };
        match (error.kind, &work.wish) {
            (ControlErrorKind::Unavailable, _) => {
                self.in_doubt();
                Next::Pause
            }
            (ControlErrorKind::OutOfSequence, _) => {
                work.step = Step::Read;
                Next::Now
            }
            // It was removed by an attempt that was not answered.
            (ControlErrorKind::NotFound, Wish::Remove { .. } | Wish::Payload { .. }) => {
                self.note_done();
                self.over()
            }
            // It was made by an attempt that was not answered.
            (ControlErrorKind::Conflict, Wish::Create { .. }) if work.doubtful => {
                self.note_done();
                self.over()
            }
            _ => self.over(),
        }
    }

    /// Writes what follows from what was read.
    fn read(&mut self, service: ServiceId, version: Version, mut spec: ServiceSpec) -> Next {
        let Some(work) = &mut self.work else { return Next::Over };
        let done = written_by(&spec.labels) >= work.operation;
        let Wish::Change { change, .. } = &work.wish else { return self.over() };
        if done {
            return self.over();
        }
        spec.labels.insert(OPERATION.to_owned(), work.operation.to_string());
        change.apply(&mut spec);
        let spec = Box::new(spec);
        let request = ControlRequest::UpdateService { service, version, spec, rollback: Rollback::No };
        work.step = Step::Write(Box::new(request));
        Next::Now
    }

    fn read_node(&mut self, node: NodeId, version: Version, mut spec: NodeSpec) -> Next {
        let Some(work) = &mut self.work else { return Next::Over };
        let done = written_by(&spec.labels) >= work.operation;
        let Wish::Node { change, .. } = &work.wish else { return self.over() };
        if done {
            self.note_done();
            return self.over();
        }
        spec.labels.insert(OPERATION.to_owned(), work.operation.to_string());
        change.apply(&mut spec);
        work.step = Step::Write(Box::new(ControlRequest::UpdateNode { node, version, spec }));
        Next::Now
    }

    /// A write may have taken effect: changes are read before they are made again.
    fn in_doubt(&mut self) {
        if let Some(work) = &mut self.work {
            work.doubtful |= matches!(work.step, Step::Write(_));
            if matches!(work.wish, Wish::Change { .. } | Wish::Node { .. }) {
                work.step = Step::Read;
            }
        }
    }

    fn note_done(&mut self) {
        match self.work.as_ref().map(|work| &work.wish) {
            Some(Wish::Create { name, .. }) => {
                let name = name.clone();
                self.services.retain(|other| *other != name);
                self.services.push(name);
            }
            Some(Wish::Remove { name }) => self.services.retain(|other| other != name),
            Some(Wish::Payload { kind, name, .. }) => {
                self.payloads.retain(|held| held.kind != *kind || held.name != *name);
            }
            Some(Wish::Node { node, change: NodeChange::Availability(availability) }) => {
                self.nodes.away.retain(|other| other != node);
                if *availability != Availability::Active {
                    self.nodes.away.push(*node);
                }
            }
            _ => {}
        }
    }

    fn over(&mut self) -> Next {
        self.work = None;
        Next::Over
    }

    fn draw_wish(&mut self) -> Wish {
        let room = self.services.len() < SERVICES_A_CLIENT;
        if self.number == OPERATOR && !self.nodes.all.is_empty() && self.draw.happens(400) {
            return self.draw_node_wish();
        }
        if self.draw.happens(if self.operations < 3 { 700 } else { 60 }) {
            let remove = self.operations > 3 && self.draw.happens(400);
            return Wish::Network { name: workload::network(&mut self.draw), remove };
        }
        if self.draw.happens(100) {
            let (kind, name) = workload::payload(&mut self.draw, self.number);
            return Wish::Payload { kind, name, remove: self.draw.happens(300) };
        }
        let held = self.draw.one_of(&self.services).cloned();
        match (held, self.draw.number(0..100)) {
            (None, _) => self.draw_creation(),
            (Some(_), 0..25) if room => self.draw_creation(),
            (Some(name), 25..33) => Wish::Remove { name },
            (Some(name), 33..70) => Wish::Change { name, change: Change::Scale(workload::replicas(&mut self.draw)) },
            (Some(name), 70..74) => Wish::Change { name, change: Change::Force },
            (Some(name), 80..88) if !self.payloads.is_empty() => self.draw_payload_change(name),
            (Some(name), 74..80) => Wish::Change { name, change: Change::Network(workload::network(&mut self.draw)) },
            (Some(name), _) => Wish::Change { name, change: Change::Image(self.draw.number(0..6)) },
        }
    }

    fn draw_creation(&mut self) -> Wish {
        self.names += 1;
        // A name that was given up may be taken again.
        let number = if self.draw.happens(200) { self.draw.number(1..self.names + 1) } else { self.names };
        let name = format!("c{}-s{number}", self.number);
        let mut spec = Box::new(workload::service(&mut self.draw, name.clone(), self.number));
        if self.draw.happens(300) {
            spec.task.container.payloads.extend(self.draw.one_of(&self.payloads).cloned());
        }
        Wish::Create { name, spec }
    }

    fn draw_payload_change(&mut self, name: String) -> Wish {
        match self.draw.one_of(&self.payloads).cloned() {
            Some(payload) => Wish::Change { name, change: Change::Payload(payload) },
            None => self.draw_creation(),
        }
    }

    fn draw_node_wish(&mut self) -> Wish {
        let any = self.draw.one_of(&self.nodes.all).copied();
        let away = self.draw.one_of(&self.nodes.away).copied();
        // Most hosts stay, so that services have room.
        let may_go = self.nodes.away.len() < self.nodes.all.len() / 5;
        let (node, change) = match (any, away, self.draw.number(0..100)) {
            (_, Some(node), 0..35) => (node, NodeChange::Availability(Availability::Active)),
            (Some(node), _, 0..60) if may_go => {
                let pause = self.draw.happens(200);
                (node, NodeChange::Availability(if pause { Availability::Pause } else { Availability::Drain }))
            }
            (Some(node), _, 60..80) if self.nodes.roles_move => {
                let role = if self.draw.happens(400) { Role::Manager } else { Role::Worker };
                // Managers are among the first: they are moved more often than chance would.
                let few = &self.nodes.all[..self.nodes.all.len().min(5)];
                (self.draw.one_of(few).copied().unwrap_or(node), NodeChange::Role(role))
            }
            (Some(node), _, _) => (node, NodeChange::Zone(if self.draw.happens(500) { "a" } else { "b" })),
            (None, _, _) => return self.draw_creation(),
        };
        Wish::Node { node, change }
    }
}

impl Change {
    fn apply(&self, spec: &mut ServiceSpec) {
        match self {
            Self::Scale(replicas) => {
                if let ServiceMode::Replicated { replicas: held } = &mut spec.mode {
                    *held = *replicas;
                }
            }
            Self::Image(version) => spec.task.container.image = workload::image(*version),
            Self::Force => spec.task.force_update += 1,
            Self::Network(network) => {
                let held = spec.task.networks.len();
                spec.task.networks.retain(|wish| wish.target == "host");
                if held == 0 {
                    spec.task.networks.push(workload::on_network(network.clone()));
                }
            }
            Self::Payload(payload) => {
                let held = &mut spec.task.container.payloads;
                let before = held.len();
                held.retain(|reference| reference.name != payload.name);
                if held.len() == before {
                    held.push(payload.clone());
                }
            }
        }
    }
}

impl NodeChange {
    fn apply(&self, spec: &mut NodeSpec) {
        match self {
            Self::Availability(availability) => spec.availability = *availability,
            Self::Role(role) => spec.role = *role,
            Self::Zone(zone) => drop(spec.labels.insert("zone".to_owned(), (*zone).to_owned())),
        }
    }
}

/// Which operation wrote an object last; zero: none of ours.
pub(crate) fn written_by(labels: &Labels) -> u64 {
    labels.get(OPERATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}
