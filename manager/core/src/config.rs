//! What a plane starts from: its place in the consensus, its timing, and what its log held.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_proto::codec::CodecError;
use shoal_proto::model::NodeId;

use crate::{LogEntry, SnapshotRecord};

/// A plane's identity and timing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlaneConfig {
    /// Its number in the consensus: drawn for a new swarm's first node, told by [`crate::Answer::Joined`] to others.
    /// Never zero, never used by another.
    pub raft_id: u64,
    /// Its node.
    pub node: NodeId,
    /// 256 random bits, fresh at each start: identifiers and election timeouts are drawn from them.
    pub seed: [u64; 4],
    /// Between two [`crate::Input::Tick`]s.
    pub tick: Duration,
    /// Ticks without a leader before an election, at least; at most half as many more.
    pub election_ticks: usize,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_ticks: usize,
}

impl PlaneConfig {
    /// Timing that gives a new leader well under a second: ticks of 50 ms, elections after 10 to 16.
    #[must_use]
    pub fn new(raft_id: u64, node: NodeId, seed: [u64; 4]) -> Self {
        Self { raft_id, node, seed, tick: Duration::from_millis(50), election_ticks: 10, heartbeat_ticks: 2 }
    }
}

/// What the log held when it was opened. Nothing at all: a plane that waits to be bootstrapped or to be joined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The last hard state.
    pub hard_state: Option<Bytes>,
    /// The newest snapshot.
    pub snapshot: Option<SnapshotRecord>,
    /// Consecutive; those that the snapshot covers are skipped.
    pub entries: Vec<LogEntry>,
}

/// What the log held can't be what a plane wrote.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The snapshot is of another version, or damaged.
    #[error("read the snapshot at index {index}")]
    Snapshot {
        /// Its place in the log.
        index: u64,
        /// What the decoder said.
        #[source]
        source: CodecError,
    },
    /// An entry or the hard state is of another version, or damaged.
    #[error("read the {what}")]
    Record {
        /// Which record.
        what: &'static str,
        /// What the decoder said.
        #[source]
        source: protobuf::ProtobufError,
    },
    /// Entries are missing between the snapshot and the first entry, or between entries.
    #[error("read entry {found} of the log: entry {expected} is missing before it")]
    Gap {
        /// The one that should be there.
        expected: u64,
        /// The one that is.
        found: u64,
    },
    /// The configuration is not one that the consensus accepts.
    #[error("start the consensus")]
    Consensus(#[from] raft::Error),
}
