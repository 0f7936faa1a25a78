//! Which tasks the leader must hear of: numbers the reports, and repeats them until they are acknowledged.
//!
//! Holds no statuses: a report is made of what is true when it is sent, which is what coalesces changes. Reports are
//! idempotent, so a session begins by reporting everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shoal_proto::model::{TaskId, Timestamp};

/// Which tasks the leader must hear of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox {
    connected: bool,
    changed: BTreeSet<TaskId>,
    /// Sent in this session and not acknowledged, with the number of the report.
    sent: BTreeMap<TaskId, u64>,
    sent_at: Timestamp,
    sequence: u64,
}

impl Outbox {
    /// A leader answered: it hears of all these.
    pub(crate) fn connect(&mut self, all: impl Iterator<Item = TaskId>) {
        self.connected = true;
        self.sent.clear();
        self.changed = all.collect();
    }

    /// Whether a leader listens.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The session ended; what changes meanwhile is told to the next leader.
    pub(crate) fn disconnect(&mut self) {
        self.connected = false;
        self.sent.clear();
    }

    /// A task's status changed.
    pub(crate) fn changed(&mut self, task: TaskId) {
        self.changed.insert(task);
    }

    /// The managers forgot a task.
    pub(crate) fn forget(&mut self, task: TaskId) {
        self.changed.remove(&task);
        self.sent.remove(&task);
    }

    /// The leader has all reports up to `sequence`.
    pub(crate) fn acknowledged(&mut self, sequence: u64) {
        self.sent.retain(|_, sent| *sent > sequence);
    }

    /// Marks what was not acknowledged in time to be sent again.
    pub(crate) fn repeat(&mut self, now: Timestamp, after: Duration) {
        if self.repeat_at(after).is_some_and(|at| now >= at) {
            self.changed.extend(std::mem::take(&mut self.sent).into_keys());
        }
    }

    /// When reports should be sent again if nothing is heard.
    pub(crate) fn repeat_at(&self, after: Duration) -> Option<Timestamp> {
        (self.connected && !self.sent.is_empty()).then(|| self.sent_at + after)
    }

    /// Takes what is to be sent now, with its number.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<(u64, BTreeSet<TaskId>)> {
        if !self.connected || self.changed.is_empty() {
            return None;
        }
        let tasks = std::mem::take(&mut self.changed);
        self.sequence += 1;
        self.sent_at = now;
        self.sent.extend(tasks.iter().map(|task| (*task, self.sequence)));
        Some((self.sequence, tasks))
    }
}
