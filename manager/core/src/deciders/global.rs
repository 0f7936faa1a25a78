//! Keeps a global service at one task on every node that fits.

use shoal_proto::model::{Availability, Service, TaskState, Timestamp, UpdateState};

use super::condition::{is_eligible, is_live};
use super::plan::{Plan, Step};
use super::replicated::remove_all;
use super::restart::is_settled;
use crate::store::{Slot, Tables};

/// For one service.
#[must_use]
pub fn decide(tables: &Tables, service: &Service, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for (slot, tasks) in tables.service_slots(service.id) {
        match slot {
            Slot::Node(node) if tables.node(node).is_some() => {}
            // The node is no more, or the slot is none of a global service's.
            _ => remove_all(&tasks, &mut plan),
        }
    }
    let rolling_back =
        service.update_status.as_ref().is_some_and(|status| status.state == UpdateState::RollbackStarted);
    for node in tables.nodes() {
        let slot = Slot::Node(node.id);
        let tasks = tables.slot_tasks((service.id, slot));
        let live = tasks.iter().filter(|task| is_live(task));
        if !is_eligible(service, node) {
            live.for_each(|task| plan.push(Step::Desire { task: task.id, state: TaskState::Shutdown }));
            continue;
        }
        if node.spec.availability != Availability::Active {
            // It keeps what it has; what is not there yet does not come.
            let waiting = live.filter(|task| task.status.state < TaskState::Assigned);
            waiting.for_each(|task| plan.push(Step::Desire { task: task.id, state: TaskState::Shutdown }));
            continue;
        }
        let occupied = live.count() > 0 || (is_settled(service, &tasks, now) && !rolling_back);
        if !occupied {
            plan.push(Step::Create { service: service.id, slot, desired: TaskState::Running });
        }
    }
    plan
}
