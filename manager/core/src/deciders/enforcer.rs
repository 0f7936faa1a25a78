//! Sends tasks away from a node that no longer fits them: its labels changed, or it has less than it had.

use shoal_proto::model::{Availability, Node, ResourceReservations, Task, TaskState};

use super::condition::is_live;
use super::constraint::all_hold;
use super::plan::{Plan, Step};
use crate::store::Tables;

/// For one node.
#[must_use]
pub fn decide(tables: &Tables, node: &Node) -> Plan {
    let mut plan = Plan::default();
    if node.spec.availability != Availability::Active {
        return plan;
    }
    let mut tasks: Vec<_> = tables.node_tasks(node.id).filter(|task| is_bound(task)).collect();
    tasks.sort_by_key(|task| (task.meta.created_at, task.id));
    let mut free = node.description.resources;
    for task in tasks {
        let service = tables.service(task.service);
        let constraints = service.map_or(&task.spec.placement.constraints, |it| &it.spec.task.placement.constraints);
        let wanted = task.spec.resources.reservations;
        if all_hold(constraints, node) && fits(wanted, free) {
            free.nano_cpus -= wanted.nano_cpus;
            free.memory_bytes -= wanted.memory_bytes;
        } else if is_live(task) {
            let message = "assigned node no longer meets constraints";
            plan.push(Step::Observe { task: task.id, state: TaskState::Rejected, message });
        }
    }
    plan
}

fn is_bound(task: &Task) -> bool {
    task.status.state >= TaskState::Assigned && task.status.state < TaskState::Complete
}

fn fits(wanted: ResourceReservations, free: ResourceReservations) -> bool {
    (wanted.nano_cpus == 0 || wanted.nano_cpus <= free.nano_cpus)
        && (wanted.memory_bytes == 0 || wanted.memory_bytes <= free.memory_bytes)
}
