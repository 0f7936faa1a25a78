//! A worker's process: the real core, what waits for its disk, its operations under way, and its search for the leader.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use shoal_manager_core::SessionId;
use shoal_proto::model::{NodeDescription, NodeId, TaskId, Timestamp};
use shoal_worker_core::{Action, CoreConfig, Input, Saved, WorkerCore};

use crate::limits::RECONNECT;

/// A worker's process.
#[derive(Debug)]
pub(crate) struct AgentProcess {
    pub(crate) core: WorkerCore,
    /// Waits while the disk is written.
    pub(crate) inbox: VecDeque<Input>,
    /// Begin when the disk is written; empty while it is not.
    pub(crate) held_back: Vec<Action>,
    /// The disk is being written.
    pub(crate) saving: bool,
    pub(crate) operations: BTreeMap<u64, Action>,
    pub(crate) operations_begun: u64,
    /// The last tick that was asked for, by the host's clock.
    pub(crate) timer: Option<Timestamp>,
    pub(crate) seek: Seek,
    pub(crate) session: Option<LiveSession>,
}

/// The search for the leader.
#[derive(Debug)]
pub(crate) struct Seek {
    /// Counts attempts: answers to earlier ones are ignored.
    pub(crate) attempt: u64,
    /// Told by a manager that was not the leader.
    pub(crate) hint: Option<String>,
    pub(crate) turn: usize,
    pub(crate) redirects: u32,
    pub(crate) pause: Duration,
    /// The stream that was opened and is not welcomed yet.
    pub(crate) opening: Option<SessionId>,
}

/// A session that was welcomed.
#[derive(Debug)]
pub(crate) struct LiveSession {
    pub(crate) id: SessionId,
    /// When the leader was heard last, by the world's clock.
    pub(crate) heard: Timestamp,
    /// For each heartbeat under way, the last report that went before it: its answer acknowledges that.
    pub(crate) heartbeats: VecDeque<Option<u64>>,
    pub(crate) last_report: Option<u64>,
}

impl AgentProcess {
    /// A process that has just started with what the disk held.
    pub(crate) fn new(node: NodeId, saved: Saved) -> Self {
        Self {
            core: WorkerCore::new(CoreConfig::new(node, NodeDescription::default()), saved),
            inbox: VecDeque::new(),
            held_back: Vec::new(),
            saving: false,
            operations: BTreeMap::new(),
            operations_begun: 0,
            timer: None,
            seek: Seek { attempt: 0, hint: None, turn: 0, redirects: 0, pause: RECONNECT.0, opening: None },
            session: None,
        }
    }

    /// Notes that an operation is under way; its number.
    pub(crate) fn begin(&mut self, action: Action) -> u64 {
        self.operations_begun += 1;
        self.operations.insert(self.operations_begun, action);
        self.operations_begun
    }

    /// The stop of this task that is under way.
    pub(crate) fn stop_of(&self, task: TaskId) -> Option<u64> {
        let is_stop = |action: &Action| matches!(action, Action::StopContainer { task: of, .. } if *of == task);
        self.operations.iter().find(|(_, action)| is_stop(action)).map(|(number, _)| *number)
    }
}

impl Seek {
    /// Whom to ask now, of these.
    pub(crate) fn next(&mut self, managers: &[String]) -> Option<String> {
        if let Some(hint) = self.hint.take() {
            return Some(hint);
        }
        let candidate = managers.get(self.turn % managers.len().max(1)).cloned();
        self.turn = self.turn.wrapping_add(1);
        candidate
    }
}
