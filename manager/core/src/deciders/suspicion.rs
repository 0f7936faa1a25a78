//! Which hosts get no new connections because others can't reach them, long before they are found down.
//!
//! Workers probe each other on the data path and complain of those that do not answer. One complaint may be the fault of
//! the path between the two, of which both take care themselves; more are the host's own. Whoever complains of most
//! others is likely to be the one that is cut off. Being wrong costs little: connections go elsewhere for a while, and
//! a service none of whose hosts is above suspicion keeps them all.

use std::collections::{BTreeMap, BTreeSet};

use shoal_proto::model::{NodeId, NodeState};

use crate::limits::COMPLAINTS_BELIEVED;
use crate::store::Tables;

/// The hosts under suspicion; `complaints` says of which hosts each worker complains.
#[must_use]
pub fn decide(tables: &Tables, complaints: &BTreeMap<NodeId, BTreeSet<NodeId>>) -> BTreeSet<NodeId> {
    let ready: BTreeSet<NodeId> =
        tables.nodes().filter(|node| node.status.state == NodeState::Ready).map(|node| node.id).collect();
    let others = ready.len().saturating_sub(1);
    let is_credible = |of: &BTreeSet<NodeId>| of.len() * 2 <= others || others < 2;
    let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
    for (_, of) in complaints.iter().filter(|(by, of)| ready.contains(by) && is_credible(of)) {
        for node in of {
            *counts.entry(*node).or_default() += 1;
        }
    }
    // Fewer others can't complain more often.
    let needed = COMPLAINTS_BELIEVED.min(others).max(1);
    counts.into_iter().filter(|(_, count)| *count >= needed).map(|(node, _)| node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::new_node;
    use shoal_proto::model::{Availability, Id, Role, Timestamp};

    fn node(n: u128) -> NodeId {
        NodeId::from_random(n)
    }

    /// Who is suspected among `count` nodes when each of the first complains of these.
    fn suspects(count: u128, complaints: &[&[u128]]) -> Vec<u128> {
        let mut tables = Tables::default();
        let mut draft = crate::store::Draft::new(tables.clone(), 1, Timestamp(1));
        for n in 0..count {
            let mut made = new_node(node(n), Role::Worker, Availability::Active, Timestamp(1));
            made.status.state = NodeState::Ready;
            draft.put_node(made);
        }
        tables.clone_from(draft.tables());
        let of = |list: &&[u128]| list.iter().map(|n| node(*n)).collect();
        let complaints = complaints.iter().enumerate().map(|(by, list)| (node(by as u128), of(list))).collect();
        let found = decide(&tables, &complaints);
        (0..count).filter(|n| found.contains(&node(*n))).collect()
    }

    #[test]
    fn two_complaints_are_believed() {
        assert_eq!(suspects(5, &[&[4], &[4]]), [4]);
        assert_eq!(suspects(5, &[&[4]]), [] as [u128; 0], "the path between the two may be at fault");
        assert_eq!(suspects(3, &[&[2], &[2]]), [2]);
        assert_eq!(suspects(2, &[&[1]]), [1], "nobody else could complain");
    }

    #[test]
    fn who_complains_of_most_is_not_believed() {
        assert_eq!(suspects(5, &[&[1, 2, 3, 4], &[0], &[0], &[0], &[0]]), [0]);
        assert_eq!(suspects(5, &[&[1, 2, 3, 4], &[0, 2, 3, 4]]), [] as [u128; 0]);
    }
}
