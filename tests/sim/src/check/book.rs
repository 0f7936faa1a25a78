//! What clients have asked for: an object is written only by operations that were asked for, in their order.

use std::collections::{BTreeMap, BTreeSet};

use shoal_proto::model::{NodeId, Service, UpdateState};

use super::Violation;
use crate::client::{Wish, Work, written_by};

/// What clients have asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    services: BTreeMap<String, u64>,
    removals: BTreeSet<String>,
    nodes: BTreeMap<NodeId, u64>,
}

impl Book {
    /// A client works on this from now on.
    pub(crate) fn issued(&mut self, work: &Work) {
        match &work.wish {
            Wish::Create { name, .. } | Wish::Change { name, .. } => {
                self.services.insert(name.clone(), work.operation);
            }
            Wish::Remove { name } => {
                self.removals.insert(name.clone());
            }
            // Networks hold nothing that a client could lose.
            Wish::Network { .. } | Wish::Payload { .. } => {}
            Wish::Node { node, .. } => {
                self.nodes.insert(*node, work.operation);
            }
        }
    }

    /// A service changed, came or went.
    pub(crate) fn service(&self, before: Option<&Service>, after: Option<&Service>) -> Result<(), Violation> {
        let written = |service: &Service| written_by(&service.spec.labels);
        let found = match (before, after) {
            (Some(before), None) if !self.removals.contains(&before.spec.name) => {
                format!("service {} was removed, and nobody asked for it", before.spec.name)
            }
            (before, Some(after)) => {
                let (was, is) = (before.map_or(0, written), written(after));
                let asked = self.services.get(&after.spec.name).copied().unwrap_or(0);
                if is <= asked && (is >= was || is_rolled_back(after)) {
                    return Ok(());
                }
                format!("service {} went from operation {was} to {is} of {asked}", after.spec.name)
            }
            _ => return Ok(()),
        };
        Err(Violation { invariant: "no committed change is lost", found })
    }

    /// A node's labels changed.
    pub(crate) fn node(&self, node: NodeId, was: u64, is: u64) -> Result<(), Violation> {
        let asked = self.nodes.get(&node).copied().unwrap_or(0);
        if is <= asked && is >= was {
            return Ok(());
        }
        let found = format!("node {node} went from operation {was} to {is} of {asked}");
        Err(Violation { invariant: "no committed change is lost", found })
    }
}

/// Whether the service's spec is an earlier one because an update failed.
pub(crate) fn is_rolled_back(service: &Service) -> bool {
    let state = service.update_status.as_ref().map(|status| status.state);
    matches!(state, Some(UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted))
}
