//! What a control plane wants done.
//!
//! The order of outputs is part of their meaning: each is performed when those before it are done. A message that rests
//! on something durable stands behind the [`Persist`] that makes it so; a shell that performs outputs in order, one by
//! one, can't send too early.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_proto::model::{
    AssignmentDiff, Cluster, ClusterId, ControlError, ControlReply, Network, NetworkId, Node, NodeId, Payload,
    PayloadId, Role, Service, ServiceId, Task, TaskId,
};

use crate::{RequestId, SessionId};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Write to the log, then feed [`crate::Input::Persisted`] back.
    Persist(Persist),
    /// Keep a snapshot of this plane's own making; older ones may go.
    SaveSnapshot(SnapshotRecord),
    /// Entries up to and with this index may be forgotten; a snapshot covers them.
    Compact {
        /// The last one that may go.
        through: u64,
    },
    /// Send to another manager. May be lost, repeated or reordered.
    Send {
        /// Its number in the consensus.
        to: u64,
        /// An encoded `eraftpb.Message`.
        message: Bytes,
        /// The data of the snapshot that the message names. When it is there, the shell feeds
        /// [`crate::Input::SnapshotSent`] back.
        snapshot: Option<Bytes>,
    },
    /// Answers a request.
    Reply {
        /// Which.
        id: RequestId,
        /// The answer, or why not.
        outcome: Result<Answer, ControlError>,
        /// The log index that the answer reflects.
        index: u64,
    },
    /// Tell a worker what it should know and do.
    Assign {
        /// Which.
        node: NodeId,
        /// Its stream.
        session: SessionId,
        /// From what it was told last.
        diff: AssignmentDiff,
    },
    /// End a worker's stream. No [`crate::Input::SessionClosed`] is needed.
    CloseSession {
        /// Which.
        node: NodeId,
        /// Its stream.
        session: SessionId,
        /// Why.
        reason: CloseReason,
    },
    /// Who leads, whenever it changes.
    Leadership(Leadership),
    /// The managers, whenever they or their addresses change: all of them, this one included.
    Members(Vec<Member>),
    /// Objects changed. In the order of the log; none is left out, except when a snapshot takes the log's place
    /// ([`ChangeSet::resynced`]).
    Changed(ChangeSet),
}

/// Written durably, as one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persist {
    /// To be fed back.
    pub number: u64,
    /// From the leader: the log begins anew after it.
    pub snapshot: Option<SnapshotRecord>,
    /// Consecutive; they take the place of all from the first one's index on.
    pub entries: Vec<LogEntry>,
    /// Term, vote and commit index.
    pub hard_state: Option<Bytes>,
    /// Whether it must be on disk before what follows. A hard state of which only the commit index changed need not be.
    pub must_sync: bool,
}

/// One entry of the log. Opaque to the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its place, from 1, without gaps.
    pub index: u64,
    /// The term of the leader that made it.
    pub term: u64,
    /// An encoded `eraftpb.Entry`.
    pub bytes: Bytes,
}

/// The whole state at an index. Opaque to the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// The last entry that it covers.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Tables and membership.
    pub bytes: Bytes,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`crate::Input::Request`].
    Control(ControlReply),
    /// To [`crate::Input::Bootstrap`].
    Bootstrapped {
        /// The new swarm.
        cluster: ClusterId,
    },
    /// To [`crate::Input::AdmitNode`].
    Admitted {
        /// The node.
        node: NodeId,
        /// Its role; that of its first admission when it was admitted before.
        role: Role,
    },
    /// To [`crate::Input::JoinMember`].
    Joined {
        /// Its number in the consensus.
        raft_id: u64,
        /// All managers, itself included.
        members: Vec<Member>,
    },
    /// To [`crate::Input::LeaveMember`].
    Left,
}

/// A manager's place in the consensus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number in the consensus.
    pub raft_id: u64,
    /// Its node.
    pub node: NodeId,
    /// host:port.
    pub address: String,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// This plane, and it has caught up with all that was decided before: it takes requests and sessions.
    Leader,
    /// Another one, or nobody known. Sessions were closed and pending requests answered before this.
    Follower {
        /// The leader, when it is known.
        leader: Option<Member>,
    },
}

/// Why a worker's stream is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// This manager does not lead: the worker should look for the leader.
    NotLeader,
    /// The node is not of the swarm, or no longer.
    UnknownNode,
    /// The node opened another one.
    Replaced,
    /// This stream is not the node's: it should open another.
    UnknownSession,
    /// It was silent for too long.
    Silent,
}

/// What one entry of the log changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSet {
    /// The entry.
    pub index: u64,
    /// A snapshot took the log's place: the changes are creations of all that exists now, and what is not among them is
    /// gone.
    pub resynced: bool,
    /// In order.
    pub changes: Vec<Change>,
}

/// One object's change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The swarm.
    Cluster(Difference<Cluster>),
    /// A node.
    Node(Difference<Node>),
    /// A service.
    Service(Difference<Service>),
    /// A network.
    Network(Difference<Network>),
    /// A secret or a config.
    Payload(Difference<Payload>),
    /// A task.
    Task(Difference<Task>),
}

/// An object before and after. At least one is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference<T> {
    /// `None`: it was made.
    pub before: Option<Arc<T>>,
    /// `None`: it was removed.
    pub after: Option<Arc<T>>,
}

/// Names an object of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ObjectKey {
    Cluster,
    Node(NodeId),
    Network(NetworkId),
    Service(ServiceId),
    Task(TaskId),
    Payload(PayloadId),
}
