//! What waits to be told to the leader: the latest status of each task, and the latest revision that is applied.
//!
//! The driver puts, the session takes; neither ever waits for the other. A status that is replaced before it was sent is
//! never sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use shoal_proto::model::{NodeId, Revision, TaskId, TaskReport, TaskStatus, Verification};
use tokio::sync::Notify;

/// What waits to be told to the leader.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

/// What was taken to be sent.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Waiting {
    reports: BTreeMap<TaskId, TaskStatus>,
    /// The number of the last report that is in it.
    pub(crate) sequence: Option<u64>,
    pub(crate) applied: Option<Revision>,
    pub(crate) silent: Option<BTreeSet<NodeId>>,
    pub(crate) verified: Option<Verification>,
    pub(crate) resync: bool,
}

impl Outgoing {
    /// Reports of the core, under its number.
    pub(crate) fn report(&self, sequence: u64, reports: Vec<TaskReport>) {
        self.put(|waiting| {
            waiting.reports.extend(reports.into_iter().map(|report| (report.task, report.status)));
            waiting.sequence = Some(sequence);
        });
    }

    /// The host shows this revision.
    pub(crate) fn applied(&self, revision: Revision) {
        self.put(|waiting| waiting.applied = Some(revision));
    }

    /// These hosts do not answer.
    pub(crate) fn silent(&self, hosts: BTreeSet<NodeId>) {
        self.put(|waiting| waiting.silent = Some(hosts));
    }

    /// What came of the comparison that the leader asked for.
    pub(crate) fn verified(&self, verification: Verification) {
        self.put(|waiting| waiting.verified = Some(verification));
    }

    /// The whole set is wanted.
    pub(crate) fn resync(&self) {
        self.put(|waiting| waiting.resync = true);
    }

    /// Forgets all that waits: a session begins, and the core says everything anew.
    pub(crate) fn clear(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
    }

    /// Waits until there is something, and takes all of it. Safe to be dropped and called again.
    pub(crate) async fn take(&self) -> Waiting {
        loop {
            let changed = self.changed.notified();
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if waiting != Waiting::default() {
                return waiting;
            }
            changed.await;
        }
    }

    fn put(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }
}

impl Waiting {
    pub(crate) fn reports(self) -> Vec<TaskReport> {
        self.reports.into_iter().map(|(task, status)| TaskReport { task, status }).collect()
    }

    pub(crate) fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }
}
