//! Which other hosts are probed, and which of them do not answer: they get no new connections from here.
//!
//! A host that is cut off is avoided long before the managers find it down. Each host probes a bounded number of others,
//! the next ones in the ring of identifiers, so that each is probed by as many; the leader makes what they say known
//! to all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use shoal_proto::model::{NetworkId, NodeId, PeerEndpoints};

use crate::Action;

/// What is probed, and what came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    /// As was last asked for.
    probed: Option<(NetworkId, BTreeMap<NodeId, IpAddr>)>,
    silent: BTreeSet<NodeId>,
    /// What the leader of this session was told.
    told: Option<BTreeSet<NodeId>>,
}

impl Reach {
    /// Asks for probes over the routing mesh's network, as it stands now.
    pub(crate) fn probe(
        &mut self,
        own: NodeId,
        mesh: Option<(NetworkId, &BTreeMap<NodeId, PeerEndpoints>)>,
    ) -> Option<Action> {
        let wanted = mesh.map(|(network, peers)| (network, next_in_ring(own, peers)));
        if self.probed == wanted {
            return None;
        }
        let before = std::mem::replace(&mut self.probed, wanted);
        let (network, hosts) = match (&self.probed, before) {
            (Some((network, hosts)), _) => (*network, hosts.clone()),
            // The network goes: nobody is probed.
            (None, Some((network, _))) => (network, BTreeMap::new()),
            (None, None) => return None,
        };
        self.silent.retain(|host| hosts.contains_key(host));
        Some(Action::Probe { network, hosts })
    }

    /// Takes over which hosts do not answer. Says whether that is news.
    pub(crate) fn set_silent(&mut self, hosts: BTreeSet<NodeId>) -> bool {
        let probed = self.probed.as_ref().map(|(_, probed)| probed);
        let silent = hosts.into_iter().filter(|host| probed.is_some_and(|probed| probed.contains_key(host))).collect();
        std::mem::replace(&mut self.silent, silent) != self.silent
    }

    /// A session begins or ends: its leader was told nothing.
    pub(crate) fn forget_told(&mut self) {
        self.told = None;
    }

    /// What the leader has to be told. Silence about nobody need not be told first.
    pub(crate) fn tell(&mut self) -> Option<Action> {
        let told = self.told.get_or_insert_default();
        if *told == self.silent {
            return None;
        }
        told.clone_from(&self.silent);
        Some(Action::TellSilent { hosts: self.silent.clone() })
    }

    /// Takes backends out whose hosts do not answer, unless nobody would be left: it may be this host that is cut off.
    pub(crate) fn leave_out_silent<K: Ord, V>(&self, backends: &mut BTreeMap<K, V>, node: impl Fn(&V) -> NodeId) {
        let answers = |backend: &V| !self.silent.contains(&node(backend));
        if !self.silent.is_empty() && backends.values().any(answers) {
            backends.retain(|_, backend| answers(backend));
        }
    }
}

/// The hosts that follow `own` in the ring of identifiers.
fn next_in_ring(own: NodeId, peers: &BTreeMap<NodeId, PeerEndpoints>) -> BTreeMap<NodeId, IpAddr> {
    let after = peers.range((Bound::Excluded(own), Bound::Unbounded)).chain(peers.range(..own));
    after.filter_map(|(node, peer)| Some((*node, peer.own?))).take(PROBED_MAX).collect()
}

/// Hosts that one host probes: enough to be right about each, few enough to cost nothing with a thousand hosts.
const PROBED_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::Id;

    fn node(n: u128) -> NodeId {
        NodeId::from_random(n)
    }

    fn peers(numbers: std::ops::Range<u128>) -> BTreeMap<NodeId, PeerEndpoints> {
        let peer = |n: u128| {
            let own = IpAddr::from([10, 255, 0, (n % 250) as u8]);
            (node(n), PeerEndpoints { host: own, addresses: vec![own], own: Some(own), tunnel_keys: Vec::new() })
        };
        numbers.map(peer).collect()
    }

    #[test]
    fn each_host_is_probed_by_as_many() {
        let all = peers(1..101);
        let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
        for own in all.keys() {
            let mut others = all.clone();
            others.remove(own);
            next_in_ring(*own, &others).keys().for_each(|host| *counts.entry(*host).or_default() += 1);
        }
        assert_eq!(counts.len(), 100);
        assert!(counts.values().all(|count| *count == PROBED_MAX), "{counts:?}");
    }

    #[test]
    fn silence_is_told_once_and_the_last_backends_stay() {
        let mut reach = Reach::default();
        let (mesh, others) = (NetworkId::from_random(1), peers(2..5));
        assert!(reach.probe(node(1), Some((mesh, &others))).is_some());
        assert!(reach.probe(node(1), Some((mesh, &others))).is_none());
        assert!(reach.tell().is_none(), "nobody is silent");
        assert!(reach.set_silent([node(2), node(9)].into()));
        assert!(!reach.set_silent([node(2)].into()), "nobody probes the ninth");
        assert_eq!(reach.tell(), Some(Action::TellSilent { hosts: [node(2)].into() }));
        assert!(reach.tell().is_none());
        let mut backends: BTreeMap<u8, NodeId> = [(1, node(2)), (2, node(3))].into();
        reach.leave_out_silent(&mut backends, |node| *node);
        assert_eq!(backends.keys().copied().collect::<Vec<_>>(), [2]);
        let mut alone: BTreeMap<u8, NodeId> = [(1, node(2))].into();
        reach.leave_out_silent(&mut alone, |node| *node);
        assert_eq!(alone.len(), 1);
        reach.forget_told();
        assert!(reach.tell().is_some(), "another leader");
        assert!(reach.probe(node(1), None).is_some());
        assert!(reach.silent.is_empty());
    }
}
