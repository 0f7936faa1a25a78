//! Tells which nodes are down, and gives up the tasks of those that are down for long.

use std::collections::BTreeMap;
use std::time::Duration;

use shoal_proto::model::{Cluster, NodeId, NodeState, TaskState, Timestamp};

use super::plan::{Plan, Step};
use crate::limits::{HEARTBEAT_MIN, HEARTBEATS_MISSED, ORPHAN_AFTER};
use crate::store::Tables;

/// How long a node may be silent.
#[must_use]
pub fn grace(cluster: Option<&Cluster>) -> Duration {
    let default = shoal_proto::model::ClusterSpec::default().heartbeat_period;
    let period = cluster.map_or(default, |cluster| cluster.spec.heartbeat_period);
    // Zero in the settings means the default.
    let period = if period.is_zero() { default } else { period };
    period.max(HEARTBEAT_MIN) * HEARTBEATS_MISSED
}

/// For all nodes; `deadlines` says until when each may be silent.
#[must_use]
pub fn decide(tables: &Tables, deadlines: &BTreeMap<NodeId, Timestamp>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for node in tables.nodes() {
        let overdue = deadlines.get(&node.id).is_some_and(|deadline| now >= *deadline);
        if overdue && node.status.state != NodeState::Down {
            plan.push(Step::Believe { node: node.id, state: NodeState::Down, message: "heartbeat failure" });
        }
        if node.status.state == NodeState::Down && now.since(node.status.since) >= ORPHAN_AFTER {
            let held = |state: TaskState| state >= TaskState::Assigned && !state.is_terminal();
            for task in tables.node_tasks(node.id).filter(|task| held(task.status.state)) {
                plan.push(Step::Observe {
                    task: task.id,
                    state: TaskState::Orphaned,
                    message: "node is down for a day",
                });
            }
        }
    }
    plan
}
