//! What the core is told: assignments from the leader, results of its actions, and observations of containers.
//!
//! Leaves what follows from them to the machines. Every input may come late, twice or never: the core ignores what it
//! did not wait for. Results name the task or pull that the action named.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use shoal_proto::model::{AssignmentDiff, NetworkId, NodeId, PortConfig, TaskExit, TaskId, Timestamp};

use crate::PullId;

/// One thing that the core is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A leader answered. Revisions start anew; all statuses are reported again.
    SessionUp,
    /// No leader is in reach. The last assignments stay in force.
    SessionDown,
    /// Assignments from the leader of this session, in the order in which it sent them.
    Assignments(AssignmentDiff),
    /// The leader has all reports up to this one.
    ReportsAcknowledged {
        /// The sequence number of a `Report`.
        sequence: u64,
    },
    /// Networks that an earlier process left in the kernel; those that nobody wants are removed. Before `Adopted`.
    NetworksFound(Vec<NetworkId>),
    /// All containers of this worker that were found at start. Comes once; nothing is done to tasks before it.
    Adopted(Vec<AdoptedContainer>),
    /// A pull is done; the image is on this host.
    ImageReady {
        /// Of which action.
        pull: PullId,
        /// Names the image on this host for `CreateContainer`.
        image: String,
    },
    /// A pull failed, and no local image serves.
    ImageFailed {
        /// Of which action.
        pull: PullId,
        /// Why.
        failure: Failure,
    },
    /// `EnsureNetwork` is done.
    NetworkReady {
        /// Which.
        network: NetworkId,
    },
    /// `RemoveNetwork` is done.
    NetworkRemoved {
        /// Which.
        network: NetworkId,
    },
    /// `EnsureNetwork`, `RemoveNetwork` or `SetPeers` failed.
    NetworkFailed {
        /// Which.
        network: NetworkId,
        /// Why.
        failure: Failure,
    },
    /// `SetPeers` is done.
    PeersSet {
        /// Of which network.
        network: NetworkId,
    },
    /// `SetServices` is done.
    ServicesSet,
    /// `SetServices` failed; the old set still serves.
    ServicesFailed {
        /// Why.
        failure: Failure,
    },
    /// Which hosts do not answer probes on the data path: all of them, whenever they change.
    Silent {
        /// Of those that `Probe` named last.
        hosts: BTreeSet<NodeId>,
    },
    /// `Verify` is done.
    Verified {
        /// Of which action.
        number: u64,
        /// What differed, a line each, and was told anew; or why it could not be compared.
        outcome: Result<Vec<String>, Failure>,
    },
    /// `CreateEndpoint` is done.
    EndpointReady {
        /// Whose.
        task: TaskId,
        /// What it got.
        endpoint: EndpointInfo,
    },
    /// `RemoveEndpoint` is done.
    EndpointRemoved {
        /// Whose.
        task: TaskId,
    },
    /// `CreateContainer` is done.
    ContainerCreated {
        /// Whose.
        task: TaskId,
        /// The container's id, a function of the task's.
        container: String,
    },
    /// `StartContainer` is done.
    ContainerStarted {
        /// Whose.
        task: TaskId,
        /// Its first process, in the host's numbering.
        pid: i32,
        /// Whether it has a health check, so that it runs only once `Healthy` came.
        awaits_health: bool,
    },
    /// A container ended, asked or not.
    ContainerExited {
        /// Whose.
        task: TaskId,
        /// How.
        exit: ContainerExit,
    },
    /// `StopContainer` is done. Comes after `ContainerExited`; alone it says that the container was not there.
    StopDone {
        /// Whose.
        task: TaskId,
    },
    /// `RemoveContainer` is done.
    ContainerRemoved {
        /// Whose.
        task: TaskId,
    },
    /// An operation on a task failed.
    OperationFailed {
        /// Whose.
        task: TaskId,
        /// Which.
        operation: Operation,
        /// Why.
        failure: Failure,
    },
    /// `AwaitPorts` is over.
    PortsAwaited {
        /// Whose.
        task: TaskId,
        /// Those that nothing listened on when the limit had passed.
        silent: BTreeSet<u16>,
    },
    /// A container passed its health check.
    Healthy {
        /// Whose.
        task: TaskId,
    },
    /// A container failed its health checks too often.
    Unhealthy {
        /// Whose.
        task: TaskId,
    },
    /// The time that `ArmTimer` asked for has come, or any other time: never harmful.
    Tick,
}

impl Input {
    /// The task that it concerns alone.
    pub(crate) fn task(&self) -> Option<TaskId> {
        match self {
            Self::EndpointReady { task, .. }
            | Self::EndpointRemoved { task }
            | Self::ContainerCreated { task, .. }
            | Self::ContainerStarted { task, .. }
            | Self::ContainerExited { task, .. }
            | Self::StopDone { task }
            | Self::ContainerRemoved { task }
            | Self::OperationFailed { task, .. }
            | Self::PortsAwaited { task, .. }
            | Self::Healthy { task }
            | Self::Unhealthy { task } => Some(*task),
            _ => None,
        }
    }
}

/// An operation on one task. A task has at most one under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// `CreateEndpoint`.
    CreateEndpoint,
    /// `CreateContainer`.
    CreateContainer,
    /// `StartContainer`.
    StartContainer,
    /// `StopContainer`.
    StopContainer,
    /// `RemoveEndpoint`.
    RemoveEndpoint,
    /// `RemoveContainer`.
    RemoveContainer,
}

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For people: the whole chain of causes, the outermost first.
    pub message: String,
    /// Whether trying again may help.
    pub kind: FailureKind,
}

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// It may: the cause is outside and may pass.
    Temporary,
    /// It will not: the request itself can't be served here.
    Fatal,
}

/// A container found at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedContainer {
    /// Whose it is.
    pub task: TaskId,
    /// Its id.
    pub container: String,
    /// How it was found.
    pub state: AdoptedState,
    /// Its endpoint, when that still stands.
    pub endpoint: Option<EndpointInfo>,
}

/// How a container was found at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdoptedState {
    /// Made, never started.
    Created,
    /// Running all the while.
    Running {
        /// Its first process.
        pid: i32,
        /// Since when.
        started_at: Timestamp,
        /// Whether its last known health was good; true without a health check.
        healthy: bool,
    },
    /// It ended and the keeper knows how.
    Exited(ContainerExit),
    /// It is gone and nobody saw how it ended: the host was restarted. Its task starts again.
    Lost,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerExit {
    /// Exit status, or 128 + signal; and whether the kernel ended it for want of memory.
    pub exit: TaskExit,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When it started; zero when it did not.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What the core needs to know of a task's endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointInfo {
    /// Ports in host mode, with all numbers chosen.
    pub ports: Vec<PortConfig>,
}
