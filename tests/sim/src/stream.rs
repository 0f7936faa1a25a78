//! Streams between workers and managers: frames in order, none lost, until the stream breaks.
//!
//! Owns what is on its way and which ends are open. Over a cut frames wait, as TCP repeats them, until the cut heals or
//! an end gives up.

use std::collections::{BTreeSet, VecDeque};

use shoal_manager_core::CloseReason;
use shoal_proto::model::{AssignmentDiff, NodeId, Revision, TaskReport, Timestamp, Verification};

use crate::host::News;
use crate::network::HostId;

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) agent: HostId,
    pub(crate) node: NodeId,
    /// Which life of the worker's daemon.
    pub(crate) agent_generation: u64,
    pub(crate) manager: HostId,
    /// From the worker.
    pub(crate) up: Channel<Up>,
    /// To the worker.
    pub(crate) down: Channel<Down>,
    pub(crate) agent_open: bool,
    pub(crate) manager_open: bool,
    /// When the manager's end heard from the worker's host last: keep-alives are part of it.
    pub(crate) manager_heard: Timestamp,
}

/// The direction of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// Said by a worker.
#[derive(Debug)]
pub(crate) enum Up {
    Heartbeat,
    Reports(Vec<TaskReport>),
    Applied(Revision),
    Silent(BTreeSet<NodeId>),
    Verified(Verification),
    Closed,
}

/// Said by a manager.
#[derive(Debug)]
pub(crate) enum Down {
    Welcome,
    Assign(Box<AssignmentDiff>),
    News(News),
    HeartbeatReply,
    Closed {
        reason: Option<CloseReason>,
        /// host:port, when the reason is that another one leads.
        leader: Option<String>,
    },
}

/// Frames on their way in one direction.
#[derive(Debug)]
pub(crate) struct Channel<F> {
    frames: VecDeque<(Timestamp, F)>,
    last: Timestamp,
}

impl<F> Channel<F> {
    pub(crate) fn new() -> Self {
        Self { frames: VecDeque::new(), last: Timestamp(0) }
    }

    /// Sends a frame that would arrive at `at`, but not before those sent earlier. When it will.
    pub(crate) fn send(&mut self, at: Timestamp, frame: F) -> Timestamp {
        self.last = self.last.max(at);
        self.frames.push_back((self.last, frame));
        self.last
    }

    /// Takes the next frame that has arrived.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<F> {
        self.frames.pop_front_if(|(at, _)| *at <= now).map(|(_, frame)| frame)
    }

    /// Whether frames are on their way.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl Stream {
    /// Whether nobody will look at it again.
    pub(crate) fn is_over(&self) -> bool {
        !self.agent_open && !self.manager_open
    }
}
