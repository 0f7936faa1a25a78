//! Runs jobs: tasks that are to end well, so many in all, or one a node.

use std::sync::Arc;

use shoal_proto::model::{Availability, NodeState, Service, Task, TaskState};

use super::condition::{is_eligible, is_live};
use super::plan::{Plan, Step};
use super::replicated::remove_all;
use crate::store::{Slot, Tables};

/// For a replicated job. Its slots count from 1.
#[must_use]
pub fn decide_replicated(tables: &Tables, service: &Service, max_concurrent: u64, total: u64) -> Plan {
    let mut plan = remove_older(tables, service);
    let current = |tasks: &[&Arc<Task>]| tasks.iter().any(|task| task.job_iteration == service.job_iteration);
    let slots: Vec<_> = tables.service_slots(service.id).filter(|(_, tasks)| current(tasks)).collect();
    let complete = slots.iter().filter(|(_, tasks)| is_complete(service, tasks)).count() as u64;
    let running =
        slots.iter().filter(|(_, tasks)| !is_complete(service, tasks) && tasks.iter().any(|task| is_live(task)));
    let running = running.count() as u64;
    // A slot whose attempts are exhausted is not begun again.
    let given_up = slots.len() as u64 - complete - running;
    let room = max_concurrent.saturating_sub(running);
    let missing = total.saturating_sub(complete + running + given_up);
    let free = (1..=total).filter(|number| !slots.iter().any(|(slot, _)| slot.number() == *number));
    for number in free.take(usize::try_from(room.min(missing)).unwrap_or(usize::MAX)) {
        plan.push(Step::Create { service: service.id, slot: Slot::Number(number), desired: TaskState::Complete });
    }
    plan
}

/// For a global job.
#[must_use]
pub fn decide_global(tables: &Tables, service: &Service) -> Plan {
    let mut plan = remove_older(tables, service);
    for node in tables.nodes() {
        let slot = Slot::Node(node.id);
        let tasks = tables.slot_tasks((service.id, slot));
        let current: Vec<_> = tasks.iter().filter(|task| task.job_iteration == service.job_iteration).collect();
        if !is_eligible(service, node) {
            let live = current.iter().filter(|task| is_live(task) && !task.status.state.is_terminal());
            live.for_each(|task| plan.push(Step::Desire { task: task.id, state: TaskState::Shutdown }));
            continue;
        }
        let ready = node.status.state == NodeState::Ready && node.spec.availability == Availability::Active;
        if ready && current.is_empty() {
            plan.push(Step::Create { service: service.id, slot, desired: TaskState::Complete });
        }
    }
    plan
}

/// Tasks of earlier executions go.
fn remove_older(tables: &Tables, service: &Service) -> Plan {
    let mut plan = Plan::default();
    let older: Vec<_> =
        tables.service_tasks(service.id).filter(|task| task.job_iteration != service.job_iteration).collect();
    remove_all(&older, &mut plan);
    plan
}

fn is_complete(service: &Service, tasks: &[&Arc<Task>]) -> bool {
    tasks.iter().any(|task| task.job_iteration == service.job_iteration && task.status.state == TaskState::Complete)
}
