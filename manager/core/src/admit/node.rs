//! How nodes may change and go.

use shoal_proto::model::{ControlError, ControlErrorKind, Node, NodeSpec, NodeState, Role};

use crate::deciders::membership::MembersView;

/// Whether a node's spec may become this one.
pub(crate) fn check_node_update(node: &Node, spec: &NodeSpec, members: &MembersView) -> Result<(), ControlError> {
    let demoted = node.spec.role == Role::Manager && spec.role == Role::Worker;
    let Some(manager) = node.manager.as_ref().filter(|_| demoted) else { return Ok(()) };
    members.can_remove(manager.raft_id).map_err(|error| {
        let remedy = "promote another node, or bring the other managers back, first";
        ControlError::new(ControlErrorKind::FailedPrecondition, format!("{error}; {remedy}"))
    })
}

/// Whether a node may be removed.
pub(crate) fn check_node_removal(node: &Node, force: bool) -> Result<(), ControlError> {
    let refuse = |text: String| Err(ControlError::new(ControlErrorKind::FailedPrecondition, text));
    let id = node.id;
    if node.spec.role == Role::Manager && node.manager.is_some() {
        return refuse(format!(
            "node {id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before \
             removal"
        ));
    }
    if node.manager.is_some() {
        return refuse(format!("node {id} is still leaving the raft cluster; try again in a moment"));
    }
    if node.status.state == NodeState::Ready && !force {
        return refuse(format!(
            "node {id} is not down and can't be removed: let it leave the swarm first, or use force"
        ));
    }
    Ok(())
}
