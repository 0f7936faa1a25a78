//! Keeps a replicated service at its number of slots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shoal_proto::model::{NodeId, Service, Task, TaskState, Timestamp};

use super::condition::is_live;
use super::plan::{Plan, Step};
use super::restart::is_settled;
use crate::store::{Slot, Tables};

/// For one service with so many replicas.
#[must_use]
pub fn decide(tables: &Tables, service: &Service, replicas: u64, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let (kept, dead): (Vec<_>, Vec<_>) = tables
        .service_slots(service.id)
        .partition(|(_, tasks)| tasks.iter().any(|task| is_live(task)) || is_settled(service, tasks, now));
    for (_, tasks) in &dead {
        remove_all(tasks, &mut plan);
    }
    let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
    if kept.len() > wanted {
        for (_, tasks) in scale_down_order(kept).into_iter().skip(wanted) {
            remove_all(&tasks, &mut plan);
        }
        return plan;
    }
    let taken: BTreeSet<u64> = kept.iter().map(|(slot, _)| slot.number()).collect();
    let free = (1..).filter(|number| !taken.contains(number));
    for number in free.take(wanted - kept.len()) {
        plan.push(Step::Create { service: service.id, slot: Slot::Number(number), desired: TaskState::Running });
    }
    plan
}

type SlotTasks<'a> = (Slot, Vec<&'a Arc<Task>>);

/// Slots in the order in which they are kept: running ones first, spread over nodes.
fn scale_down_order(mut slots: Vec<SlotTasks<'_>>) -> Vec<SlotTasks<'_>> {
    slots.sort_by_key(|(slot, tasks)| (!is_running(tasks), slot.number()));
    let mut copies: BTreeMap<NodeId, u64> = BTreeMap::new();
    let mut ranked: Vec<(u64, SlotTasks<'_>)> = Vec::with_capacity(slots.len());
    for slot in slots {
        let live: Vec<_> = slot.1.iter().filter(|task| is_live(task)).collect();
        let rank = match live.as_slice() {
            [task] => task.node.map_or(u64::MAX, |node| {
                let copy = copies.entry(node).or_default();
                *copy += 1;
                *copy
            }),
            _ => u64::MAX,
        };
        ranked.push((rank, slot));
    }
    // Stable: within a rank, the order from before.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, slot)| slot).collect()
}

fn is_running(tasks: &[&Arc<Task>]) -> bool {
    tasks.iter().any(|task| is_live(task) && task.status.state == TaskState::Running)
}

pub(super) fn remove_all(tasks: &[&Arc<Task>], plan: &mut Plan) {
    for task in tasks.iter().filter(|task| task.desired < TaskState::Remove) {
        plan.push(Step::Desire { task: task.id, state: TaskState::Remove });
    }
}
