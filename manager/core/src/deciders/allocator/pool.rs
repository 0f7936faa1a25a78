//! The addresses of networks that nobody has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::{Cidr, Network, NetworkAttachment, NetworkId};

use crate::store::Tables;

/// Where the last searches ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The address that each network gave last.
    pub addresses: BTreeMap<NetworkId, u32>,
    /// The port that was given last.
    pub port: u16,
}

/// What networks have left, and what was given since the tables were as they are.
pub(super) struct Pools<'a> {
    tables: &'a Tables,
    given: BTreeSet<(NetworkId, IpAddr)>,
}

impl<'a> Pools<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        Self { tables, given: BTreeSet::new() }
    }

    /// The next free address after the one that was given last, going round.
    pub(super) fn take(&mut self, network: NetworkId, cursor: &mut Cursor) -> Option<Cidr> {
        let stored = self.tables.network(network)?;
        let (first, last) = bounds(stored)?;
        let after = cursor.addresses.get(&network).map_or(first, |last| last.saturating_add(1)).max(first);
        let in_turn = (after..=last).chain(first..=last);
        let kept = stored.gateway();
        let is_free = |address: &IpAddr| {
            Some(*address) != kept
                && !self.tables.addresses().is_held(network, *address)
                && !self.given.contains(&(network, *address))
        };
        let address = in_turn.map(|address| IpAddr::V4(Ipv4Addr::from(address))).find(is_free)?;
        if let IpAddr::V4(address) = address {
            cursor.addresses.insert(network, u32::from(address));
        }
        self.given.insert((network, address));
        Some(Cidr { address, prefix: stored.subnet?.prefix })
    }

    /// Takes back what was given for nothing.
    pub(super) fn give_back(&mut self, held: &[NetworkAttachment]) {
        for one in held {
            self.given.remove(&(one.network, one.address.address));
        }
    }

    /// That a network has no address left, and what helps.
    pub(super) fn shortage(&self, network: &Network) -> String {
        let given = self.given.iter().filter(|(id, _)| *id == network.id).count();
        let used = self.tables.addresses().count(network.id) + given;
        let name = &network.spec.name;
        let size = size(network);
        let remedy = if network.spec.ingress {
            "remove tasks of services with published ports"
        } else {
            "remove tasks or services from it, or move services to a network with a larger subnet"
        };
        format!("no free address on network {name}: {used} of {size} are in use; {remedy}")
    }
}

/// First and last that may be given: the lowest of the subnet is the network's, the highest is broadcast.
fn bounds(network: &Network) -> Option<(u32, u32)> {
    let (lowest, highest) = network.subnet?.ipv4_bounds()?;
    let (mut first, mut last) = (lowest.checked_add(1)?, highest.checked_sub(1)?);
    if let Some((low, high)) = network.range().and_then(|range| range.ipv4_bounds()) {
        (first, last) = (first.max(low), last.min(high));
    }
    (first <= last).then_some((first, last))
}

/// How many addresses a network has for services and tasks.
fn size(network: &Network) -> u32 {
    let Some((first, last)) = bounds(network) else { return 0 };
    let keeps_gateway = match network.gateway() {
        Some(IpAddr::V4(gateway)) => (first..=last).contains(&u32::from(gateway)),
        _ => false,
    };
    last - first + 1 - u32::from(keeps_gateway)
}
