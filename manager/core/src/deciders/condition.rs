//! Questions about tasks and nodes that several deciders ask.

use std::sync::Arc;

use shoal_proto::model::{Availability, Node, NodeId, NodeState, PublishMode, Service, Task, TaskSpec, TaskState};

use super::allocator::needs_ingress;
use super::constraint::all_hold;
use crate::store::Tables;

/// Whether the task is wanted: it runs, or will.
pub(super) fn is_live(task: &Task) -> bool {
    task.desired <= TaskState::Complete
}

/// Whether the task ended by itself, well or not.
pub(super) fn ended_by_itself(task: &Task) -> bool {
    matches!(task.status.state, TaskState::Complete | TaskState::Failed | TaskState::Rejected)
}

/// Whether nothing is heard of the node, or it is no more.
pub(crate) fn is_gone(tables: &Tables, node: NodeId) -> bool {
    tables.node(node).is_none_or(|node| node.status.state == NodeState::Down)
}

/// Nodes by the names that people know them by.
pub(crate) fn node_names(tables: &Tables, nodes: &[NodeId]) -> String {
    let name = |node: &NodeId| match tables.node(*node).map(|node| node.description.hostname.as_str()) {
        None | Some("") => node.to_string(),
        Some(name) => name.to_owned(),
    };
    nodes.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Whether tasks may not stay on the node.
pub(super) fn is_unfit(tables: &Tables, node: NodeId) -> bool {
    is_gone(tables, node) || tables.node(node).is_some_and(|node| node.spec.availability == Availability::Drain)
}

/// Whether the task's node is one that it may not stay on.
pub(super) fn lost_its_node(tables: &Tables, task: &Task) -> bool {
    task.node.is_some_and(|node| is_unfit(tables, node))
}

/// Whether the task holds nothing any more: it ended, never had a node, or its node is gone.
pub(super) fn is_stopped(tables: &Tables, task: &Task) -> bool {
    task.status.state.is_terminal()
        || task.status.state < TaskState::Assigned
        || task.node.is_some_and(|node| is_gone(tables, node))
}

/// Whether a global service wants a task there.
pub(super) fn is_eligible(service: &Service, node: &Node) -> bool {
    node.status.state != NodeState::Down
        && node.spec.availability != Availability::Drain
        && all_hold(&service.spec.task.placement.constraints, node)
}

/// Whether two specs make the same task.
pub(super) fn same_spec(one: &Arc<TaskSpec>, other: &Arc<TaskSpec>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Whether the task is as its service wants tasks now, so that an update has nothing to do there.
pub(super) fn is_current(tables: &Tables, service: &Service, task: &Task) -> bool {
    if task.spec_version == service.spec_version {
        return true;
    }
    let wished = &service.spec.task;
    let host_ports = service.spec.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Host);
    if !host_ports.eq(task.host_ports.iter()) {
        return false;
    }
    // The routing mesh finds its tasks by address: a service that is published now needs new ones.
    let ingress = tables.ingress().map(|network| network.id);
    let is_on_ingress = task.attachments.iter().any(|held| Some(held.network) == ingress);
    if needs_ingress(service) && !is_on_ingress && task.status.state != TaskState::New {
        return false;
    }
    if *task.spec == *wished {
        return true;
    }
    let mut adjusted = (*task.spec).clone();
    let up = (TaskState::Ready..=TaskState::Running).contains(&task.status.state);
    if up && task.desired <= TaskState::Running {
        adjusted.container.pull_credentials.clone_from(&wished.container.pull_credentials);
    }
    // Where it may run matters only if it may no longer run where it is.
    let node = task.node.and_then(|node| tables.node(node));
    if node.is_some_and(|node| all_hold(&wished.placement.constraints, node)) {
        adjusted.placement.clone_from(&wished.placement);
    }
    adjusted == *wished
}
