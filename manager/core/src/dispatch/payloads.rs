//! Which secrets and configs a worker has been told: those that its tasks refer to, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shoal_proto::model::{AssignmentDiff, Payload, PayloadAssignment, PayloadId, Task, TaskId};

use crate::limits::PAYLOAD_BYTES_A_DIFFERENCE;
use crate::store::Tables;

/// The secrets and configs of one session.
#[derive(Debug, Default)]
pub(super) struct PayloadsTold {
    /// Who refers to them.
    users: BTreeMap<PayloadId, BTreeSet<TaskId>>,
    by_task: BTreeMap<TaskId, BTreeSet<PayloadId>>,
    told: BTreeSet<PayloadId>,
    /// Those that came or went, and have not been told.
    stale: BTreeSet<PayloadId>,
}

impl PayloadsTold {
    /// Notes what a task refers to: nothing once it has ended or is another node's.
    pub(super) fn refer(&mut self, id: TaskId, task: Option<&Task>) {
        let wanted: BTreeSet<PayloadId> = task.into_iter().flat_map(needed).collect();
        let held = self.by_task.remove(&id).unwrap_or_default();
        for gone in held.difference(&wanted) {
            if let Some(users) = self.users.get_mut(gone) {
                users.remove(&id);
                if users.is_empty() {
                    self.users.remove(gone);
                    self.stale.insert(*gone);
                }
            }
        }
        for come in wanted.difference(&held) {
            self.users.entry(*come).or_default().insert(id);
            self.stale.insert(*come);
        }
        if !wanted.is_empty() {
            self.by_task.insert(id, wanted);
        }
    }

    /// Puts into the difference all that went, and what is new up to a bound. Says whether there is more.
    pub(super) fn tell(&mut self, tables: &Tables, diff: &mut AssignmentDiff) -> bool {
        let wanted = |id: PayloadId| tables.payload(id).filter(|_| self.users.contains_key(&id));
        let (come, gone): (BTreeSet<PayloadId>, BTreeSet<PayloadId>) =
            std::mem::take(&mut self.stale).into_iter().partition(|id| wanted(*id).is_some());
        diff.payloads.extend(gone.into_iter().filter(|id| self.told.remove(id)).map(|id| (id, None)));
        let mut bytes = 0;
        for id in come {
            if bytes >= PAYLOAD_BYTES_A_DIFFERENCE {
                self.stale.insert(id);
            } else if let Some(payload) = wanted(id).filter(|_| self.told.insert(id)) {
                bytes += payload.spec.data.len();
                diff.payloads.insert(id, Some(Arc::new(assignment(payload))));
            }
        }
        !self.stale.is_empty()
    }
}

/// A task that has ended never starts again, and reads nothing.
fn needed(task: &Task) -> impl Iterator<Item = PayloadId> {
    let references = if task.status.state.is_terminal() { &[] } else { task.spec.container.payloads.as_slice() };
    references.iter().map(|reference| reference.id)
}

fn assignment(payload: &Payload) -> PayloadAssignment {
    PayloadAssignment { kind: payload.kind, data: payload.spec.data.clone(), template: payload.spec.template }
}
