//! What a leader remembers beyond the tables: derived from what it saw, thrown away with its leadership, missed by
//! nobody but for precision.

use std::collections::{BTreeMap, VecDeque};

use shoal_proto::model::{NodeId, ServiceId, Task, TaskId, TaskState, Timestamp, Version};

use crate::limits::{FAILURE_WINDOW, FAILURES_REMEMBERED};

/// A leader's memory.
#[derive(Debug, Default)]
pub struct Memory {
    /// When tasks that have ended began to run.
    ran_from: BTreeMap<TaskId, Timestamp>,
    failures: BTreeMap<ServiceId, VecDeque<Failure>>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    version: Version,
    node: NodeId,
    at: Timestamp,
}

impl Memory {
    /// Follows a task from one version to the next.
    pub fn observe(&mut self, before: Option<&Task>, after: Option<&Task>, now: Timestamp) {
        let Some(after) = after else {
            if let Some(gone) = before {
                self.ran_from.remove(&gone.id);
            }
            return;
        };
        let was_up = before.filter(|before| before.status.state == TaskState::Running);
        if let Some(before) = was_up.filter(|_| after.status.state.is_terminal()) {
            self.ran_from.insert(after.id, before.status.timestamp);
        }
        let failed = |task: &Task| matches!(task.status.state, TaskState::Failed | TaskState::Rejected);
        if let Some(node) = after.node.filter(|_| failed(after) && !before.is_some_and(failed)) {
            let failures = self.failures.entry(after.service).or_default();
            failures.push_back(Failure { version: after.spec_version, node, at: now });
            while failures.len() > FAILURES_REMEMBERED
                || failures.front().is_some_and(|oldest| now.since(oldest.at) >= FAILURE_WINDOW)
            {
                failures.pop_front();
            }
        }
    }

    /// The service is no more.
    pub fn forget_service(&mut self, service: ServiceId) {
        self.failures.remove(&service);
    }

    /// Recent failures of one version of a service, by node.
    #[must_use]
    pub fn failures(&self, service: ServiceId, version: Version, now: Timestamp) -> BTreeMap<NodeId, usize> {
        let mut counts = BTreeMap::new();
        let recent = |failure: &&Failure| failure.version == version && now.since(failure.at) < FAILURE_WINDOW;
        for failure in self.failures.get(&service).into_iter().flatten().filter(recent) {
            *counts.entry(failure.node).or_default() += 1;
        }
        counts
    }

    /// When a task that ended began to run. `None`: not seen, or it never ran.
    #[must_use]
    pub fn running_since(&self, task: TaskId) -> Option<Timestamp> {
        self.ran_from.get(&task).copied()
    }
}
