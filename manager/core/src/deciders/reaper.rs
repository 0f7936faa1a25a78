//! Forgets tasks: removed ones once they are down, and the oldest of a slot when there are too many.

use shoal_proto::model::{Task, TaskState};

use super::condition::is_live;
use super::plan::{Plan, Step};
use crate::store::{SlotKey, Tables};

/// For one slot.
#[must_use]
pub fn decide(tables: &Tables, slot: SlotKey) -> Plan {
    let mut plan = Plan::default();
    let tasks = tables.slot_tasks(slot);
    for task in &tasks {
        let state = task.status.state;
        // What never reached a node has nobody to stop it.
        if task.desired >= TaskState::Shutdown && state < TaskState::Assigned {
            plan.push(Step::Observe {
                task: task.id,
                state: TaskState::Shutdown,
                message: "shutdown before placement",
            });
        }
        let node_is_gone = task.node.is_some_and(|node| tables.node(node).is_none());
        if node_is_gone && state >= TaskState::Assigned && !state.is_terminal() {
            plan.push(Step::Observe { task: task.id, state: TaskState::Orphaned, message: "its node was removed" });
        }
        if task.desired == TaskState::Remove && (state.is_terminal() || state < TaskState::Assigned || node_is_gone) {
            plan.push(Step::Forget { task: task.id });
        }
    }
    let service = tables.service(slot.0);
    let Some(service) = service.filter(|service| !service.spec.mode.is_job()) else { return plan };
    let retention = tables.cluster().map_or(-1, |cluster| cluster.spec.task_history_retention_limit);
    let attempts = service.spec.task.restart.max_attempts;
    let limit = if attempts > 0 {
        usize::try_from(attempts.saturating_add(1)).unwrap_or(usize::MAX)
    } else if let Ok(limit) = usize::try_from(retention) {
        limit
    } else {
        return plan;
    };
    let kept: Vec<_> = tasks.iter().filter(|task| task.desired != TaskState::Remove).collect();
    let excess = kept.len().saturating_sub(limit);
    // The newest stays whatever the limit: it tells that the slot was filled.
    let older = &kept[..kept.len().saturating_sub(1)];
    for task in older.iter().filter(|task| is_history(task)).take(excess) {
        plan.push(Step::Forget { task: task.id });
    }
    plan
}

/// Whether the task is but a memory.
fn is_history(task: &Task) -> bool {
    !is_live(task) && (task.status.state.is_terminal() || task.status.state < TaskState::Assigned)
}
