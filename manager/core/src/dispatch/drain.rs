//! Tasks on their way out of balancing: who has still to acknowledge, until nobody sends them new connections.
//!
//! A task leaves the endpoints of its service when it is not wanted any more, or its worker says that it goes; the worker gives it no stop signal before
//! every host that is heard of has said that its kernel shows so, or its own deadline has passed. Derived from the
//! tables and from what sessions said: a new leader asks everybody again.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_proto::model::{Drained, NodeId, Revision, ServiceId, Task, TaskId, TaskState};

use super::assemble::{can_answer, is_backend};
use crate::output::Difference;
use crate::store::Tables;

/// All tasks on their way out.
#[derive(Debug, Default)]
pub(super) struct Drains {
    leaving: BTreeMap<TaskId, Leaving>,
}

/// One of them.
#[derive(Debug)]
struct Leaving {
    service: ServiceId,
    node: NodeId,
    /// The log's index by which it left.
    index: u64,
    /// Which set each host has still to acknowledge.
    owed: BTreeMap<NodeId, Revision>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The hosts are about to be told.
    Decided,
    Told,
    Drained,
}

impl Drains {
    /// Those that the tables show. Who has heard of them is not known.
    pub(super) fn of(tables: &Tables) -> Self {
        let entry = |task: &Arc<Task>| Some((task.id, Leaving::of(task, tables.index(), Progress::Told)?));
        Self { leaving: tables.tasks().filter(|task| is_leaving(task)).filter_map(entry).collect() }
    }

    /// Takes note of a task's change; names a task and its node whose worker's knowledge is stale by that.
    pub(super) fn follow(&mut self, task: &Difference<Task>, index: u64) -> Option<(TaskId, NodeId)> {
        let (before, after) = (task.before.as_deref(), task.after.as_deref());
        if let Some(after) = after
            && is_leaving(after)
        {
            if before.is_some_and(is_backend) {
                self.leaving.extend(Leaving::of(after, index, Progress::Decided).map(|leaving| (after.id, leaving)));
            }
            return None;
        }
        let id = task.id(|task| task.id)?;
        self.leaving.remove(&id).map(|leaving| (id, leaving.node))
    }

    /// A host's stream begins: it will be told a set without those that are leaving.
    pub(super) fn opened(&mut self, node: NodeId) {
        for leaving in self.open() {
            leaving.owed.insert(node, Revision(1));
        }
    }

    /// A host's stream has ended: what it was told by it will never be acknowledged.
    pub(super) fn closed(&mut self, node: NodeId) {
        for leaving in self.open() {
            leaving.owed.remove(&node);
        }
    }

    /// A host's kernel shows this set.
    pub(super) fn acknowledged(&mut self, node: NodeId, revision: Revision) {
        for leaving in self.open() {
            if leaving.owed.get(&node).is_some_and(|owed| *owed <= revision) {
                leaving.owed.remove(&node);
            }
        }
    }

    /// The hosts were told of all that was decided; `owed` says what they have not acknowledged of a service.
    pub(super) fn told(&mut self, owed: impl Fn(ServiceId) -> BTreeMap<NodeId, Revision>) {
        for leaving in self.open().filter(|leaving| leaving.progress == Progress::Decided) {
            leaving.owed = owed(leaving.service);
            leaving.progress = Progress::Told;
        }
    }

    /// Those that every host has acknowledged by now, and their nodes. A host that is heard of and has no stream could
    /// send connections anywhere.
    pub(super) fn settle(
        &mut self,
        has_stream: impl Fn(NodeId) -> bool,
        hosts: impl Iterator<Item = NodeId>,
    ) -> Vec<(TaskId, NodeId)> {
        if self.open().next().is_none() {
            return Vec::new();
        }
        let all_heard = hosts.into_iter().all(has_stream);
        let mut settled = Vec::new();
        for (id, leaving) in &mut self.leaving {
            if all_heard && leaving.progress == Progress::Told && leaving.owed.is_empty() {
                leaving.progress = Progress::Drained;
                settled.push((*id, leaving.node));
            }
        }
        settled
    }

    /// Whether, and since which change, no host sends the task new connections.
    pub(super) fn drained(&self, task: TaskId) -> Option<Drained> {
        let leaving = self.leaving.get(&task).filter(|leaving| leaving.progress == Progress::Drained)?;
        Some(Drained { index: leaving.index })
    }

    fn open(&mut self) -> impl Iterator<Item = &mut Leaving> {
        self.leaving.values_mut().filter(|leaving| leaving.progress != Progress::Drained)
    }
}

impl Leaving {
    fn of(task: &Task, index: u64, progress: Progress) -> Option<Self> {
        Some(Self { service: task.service, node: task.node?, index, owed: BTreeMap::new(), progress })
    }
}

/// Whether the task runs, answers for its service in some kernels perhaps, and should not any more.
fn is_leaving(task: &Task) -> bool {
    can_answer(task) && (task.desired >= TaskState::Shutdown || task.status.draining)
}
