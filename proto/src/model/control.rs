//! What the doors (Docker's API, the command line) ask of the leader, and what it answers.
//!
//! Requests are whole: they name the version that they change, and everything random in what they make is drawn by the
//! shell that proposes them. A refusal has a kind, which the doors map onto their own status, and one message that names
//! the field, the value and the remedy.

use serde::{Deserialize, Serialize};

use super::{
    Cluster, ClusterSpec, HostVerification, Network, NetworkId, NetworkSpec, Node, NodeId, NodeSpec, Payload,
    PayloadId, PayloadKind, PayloadSpec, Reachability, Service, ServiceId, ServiceSpec, Task, TaskState, TokenRotation,
    Version,
};

/// What people write for an object: its id, its name, or an unambiguous prefix of its id.
pub type Reference = String;

/// Asked of the leader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the objects' own")]
pub enum ControlRequest {
    /// The swarm itself. Answer: `Cluster`.
    GetCluster,
    /// Replaces the settings. Answer: `Done`.
    UpdateCluster { version: Version, spec: Box<ClusterSpec>, rotation: TokenRotation },
    /// Answer: `Nodes`.
    ListNodes,
    /// Answer: `Node`.
    GetNode { reference: Reference },
    /// Answer: `Done`.
    UpdateNode { node: NodeId, version: Version, spec: NodeSpec },
    /// Answer: `Done`.
    RemoveNode { reference: Reference, force: bool },
    /// Answer: `ServiceCreated`.
    CreateService { spec: Box<ServiceSpec> },
    /// Answer: `Done`.
    UpdateService { service: ServiceId, version: Version, spec: Box<ServiceSpec>, rollback: Rollback },
    /// Answered when no host leads connections to it any more, or not soon. Answer: `ServiceRemoved`.
    RemoveService { reference: Reference },
    /// Answer: `Services`.
    ListServices,
    /// Answer: `Service`.
    GetService { reference: Reference },
    /// Answer: `Tasks`.
    ListTasks { filter: TaskFilter },
    /// Answer: `Task`.
    GetTask { reference: Reference },
    /// Answer: `NetworkCreated`.
    CreateNetwork { spec: Box<NetworkSpec> },
    /// Answer: `Done`.
    RemoveNetwork { reference: Reference },
    /// Answer: `Networks`.
    ListNetworks,
    /// Answer: `Network`.
    GetNetwork { reference: Reference },
    /// Has every host compare its kernel with what it was told; answered when all have, or some not soon. Answer:
    /// `NetworksVerified`.
    VerifyNetworks,
    /// Answer: `PayloadCreated`.
    CreatePayload { kind: PayloadKind, spec: Box<PayloadSpec> },
    /// Replaces the labels; the data must be absent or the same. Answer: `Done`.
    UpdatePayload { kind: PayloadKind, reference: Reference, version: Version, spec: Box<PayloadSpec> },
    /// Answer: `Done`.
    RemovePayload { kind: PayloadKind, reference: Reference },
    /// Secrets come without their data. Answer: `Payloads`.
    ListPayloads { kind: PayloadKind },
    /// A secret comes without its data. Answer: `Payload`.
    GetPayload { kind: PayloadKind, reference: Reference },
}

/// Which spec an update brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rollback {
    /// The one given.
    #[default]
    No,
    /// The service's previous one.
    Previous,
}

/// Which tasks: all that match every list that is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskFilter {
    /// Of these services.
    pub services: Vec<Reference>,
    /// On these nodes.
    pub nodes: Vec<Reference>,
    /// With these ids or prefixes of ids.
    pub ids: Vec<Reference>,
    /// Whose names begin so.
    pub names: Vec<String>,
    /// With these desired states.
    pub desired: Vec<TaskState>,
}

/// The leader's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "variants are the objects' own names")]
pub enum ControlReply {
    Done,
    Cluster(Box<Cluster>),
    Nodes(Vec<NodeView>),
    Node(Box<NodeView>),
    /// With warnings for people.
    ServiceCreated {
        service: ServiceId,
        warnings: Vec<String>,
    },
    /// With warnings for people: which hosts may still lead connections to it.
    ServiceRemoved {
        warnings: Vec<String>,
    },
    Services(Vec<ServiceView>),
    Service(Box<ServiceView>),
    Tasks(Vec<Task>),
    Task(Box<Task>),
    NetworkCreated {
        network: NetworkId,
    },
    Networks(Vec<Network>),
    Network(Box<Network>),
    /// Of every node.
    NetworksVerified(Vec<HostVerification>),
    PayloadCreated {
        payload: PayloadId,
    },
    Payloads(Vec<Payload>),
    Payload(Box<Payload>),
}

/// A node with what only the leader knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// As stored.
    pub node: Node,
    /// Whether this manager leads.
    pub leader: bool,
    /// Whether the leader hears of this manager.
    pub reachability: Reachability,
}

/// A service with counts of its tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// As stored.
    pub service: Service,
    /// Counted now.
    pub status: ServiceStatus,
}

/// Counts of a service's tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// In state running.
    pub running: u64,
    /// Wanted.
    pub desired: u64,
    /// Of a job, ended well in its current iteration.
    pub completed: u64,
}

/// A request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ControlError {
    /// Who is at fault.
    pub kind: ControlErrorKind,
    /// Names the field, the value and the remedy.
    pub message: String,
}

/// Who is at fault for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlErrorKind {
    /// The request breaks a rule, whatever the state.
    Invalid,
    /// No such object.
    NotFound,
    /// A reference fits several objects.
    Ambiguous,
    /// The name is taken.
    Conflict,
    /// Not in this state of the swarm.
    FailedPrecondition,
    /// The object changed since it was read.
    OutOfSequence,
    /// There is no leader, or it changed meanwhile: the request may be made again.
    Unavailable,
    /// Shoal's own fault.
    Internal,
}

impl ControlError {
    /// A refusal of the given kind.
    #[must_use]
    pub fn new(kind: ControlErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
