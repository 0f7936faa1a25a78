//! What can happen in a world.

use bytes::Bytes;
use shoal_manager_core::{Answer, SessionId, SnapshotOutcome};
use shoal_proto::model::{Availability, ControlError, ControlRequest, NodeId, Role, TaskId, Timestamp};

use crate::host::Asker;
use crate::network::HostId;
use crate::stream::Direction;

/// One thing that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// To a daemon, in the life that it was planned in.
    Daemon { host: HostId, generation: u64, what: Daemon },
    /// A message of the consensus arrives.
    Message { from: HostId, to: HostId, message: Bytes, snapshot: Option<Bytes> },
    /// A worker's wish for a stream arrives at a manager.
    Opening { agent: HostId, generation: u64, attempt: u64, manager: HostId },
    /// Frames of a stream arrive.
    Frames { session: SessionId, direction: Direction },
    /// The manager's end of a stream looks whether the other one lives.
    KeepAlive { session: SessionId },
    /// A container's process ends, unless it has already.
    Ends { host: HostId, task: TaskId, start: u64, code: i32 },
    /// A question arrives at a manager.
    Asked { at: HostId, question: Box<Question> },
    /// An answer arrives.
    Answered { asker: Asker, outcome: Outcome },
    /// A client goes on, unless it is elsewhere by then.
    Client { client: usize, attempt: u64 },
    /// A host's daemon starts.
    Boot { host: HostId },
    /// Something breaks.
    Fault,
    /// A cut heals.
    Heal { cut: u64 },
    /// No faults from now on.
    Calm,
    /// Somebody looks whether all is as wished.
    Look,
}

/// What happens to one daemon.
#[derive(Debug)]
pub(crate) enum Daemon {
    /// The plane's time goes on.
    Tick,
    /// The plane takes what waits for it.
    Wake,
    /// The next output is performed.
    Perform,
    /// The write under way is on disk.
    Synced,
    /// The sending of a snapshot has ended.
    SnapshotSent { raft_id: u64, outcome: SnapshotOutcome },
    /// The worker has found what is there.
    Adopt,
    /// The worker's files are written.
    Saved,
    /// A worker's operation is done, or has failed.
    Done { operation: u64 },
    /// The tick that a worker asked for.
    Timer { at: Timestamp },
    /// The worker asks the next manager.
    Seek { attempt: u64 },
    /// That manager did not answer, or is none.
    SeekFailed { attempt: u64 },
    /// That manager does not lead.
    Redirected { attempt: u64, leader: Option<String> },
    /// The worker is alive.
    Beat { session: SessionId },
    /// The worker looks whether the leader is.
    Silence { session: SessionId },
    /// The node looks at its place in the swarm.
    Node,
}

/// What is asked of a manager.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Control(ControlRequest),
    Admit {
        node: NodeId,
        role: Role,
        availability: Availability,
    },
    Join {
        node: NodeId,
        address: String,
    },
    /// A new certificate.
    Renew {
        node: NodeId,
    },
}

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) asker: Asker,
    /// The manager that carries it to the leader.
    pub(crate) via: Option<HostId>,
    pub(crate) ask: Ask,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Replied {
    Plane {
        answer: Answer,
        index: u64,
    },
    /// The role of the new certificate.
    Certificate(Role),
}

/// An answer or why there is none.
pub(crate) type Outcome = Result<Replied, ControlError>;
