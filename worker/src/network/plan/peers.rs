//! Plans for what other hosts have on a network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::network::PlacedNetwork;
use super::{NetworkPlan, Step};
use crate::network::MacAddress;

/// Address on the network -> host that has it.
pub(in crate::network) type PeerTable = BTreeMap<IpAddr, IpAddr>;

/// What leads from the entries of `old` to those of `new`. Nothing is to be done where this host has no tunnel.
pub(in crate::network) fn peer_plan(network: &PlacedNetwork, old: &PeerTable, new: &PeerTable) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    let Some(tunnel) = &network.tunnel else { return plan };
    for (address, host) in old {
        if !new.contains_key(address) {
            let mac = MacAddress::of(*address);
            plan.host(Step::TunnelRemoved { link: tunnel.clone(), mac, host: *host });
            plan.host(Step::ForwardRemoved { link: tunnel.clone(), mac });
            for link in resolvers(network, tunnel) {
                plan.host(Step::NeighbourRemoved { link: link.clone(), address: *address });
            }
        }
    }
    for (address, host) in new {
        let before = old.get(address);
        if before == Some(host) {
            continue;
        }
        let mac = MacAddress::of(*address);
        plan.host(Step::Tunnel { link: tunnel.clone(), mac, host: *host });
        if before.is_none() {
            plan.host(Step::Forward { link: tunnel.clone(), mac });
            for link in resolvers(network, tunnel) {
                plan.host(Step::Neighbour { link: link.clone(), address: *address, mac });
            }
        }
    }
    plan
}

/// Who resolves addresses: the tunnel answers containers, the bridge serves the host where that has an address.
fn resolvers<'a>(network: &'a PlacedNetwork, tunnel: &'a String) -> impl Iterator<Item = &'a String> {
    std::iter::once(tunnel).chain(network.wish.node_address.map(|_| &network.bridge))
}
