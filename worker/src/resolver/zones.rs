//! What names mean, network by network. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use shoal_proto::model::{NetworkId, NetworkService, ServiceSet};

use super::limits::{TTL_TASK, TTL_VIP};

/// All names of this host's networks.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    networks: BTreeMap<NetworkId, Zone>,
}

/// The names of one network, in lower case.
#[derive(Debug, Default)]
struct Zone {
    name: String,
    names: HashMap<String, Addresses>,
    reverse: HashMap<IpAddr, String>,
}

/// Where a name leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// In no order; none while no task of a service runs.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Seconds that they may be remembered.
    pub(crate) ttl: u32,
}

impl Zones {
    /// From what services are on networks, and what networks are called.
    pub(crate) fn new(services: &ServiceSet, networks: &BTreeMap<NetworkId, String>) -> Self {
        let mut zones = Self::default();
        for ((network, _), service) in &services.names {
            let zone = zones.networks.entry(*network).or_default();
            if zone.name.is_empty() {
                zone.name = networks.get(network).map(|name| name.to_lowercase()).unwrap_or_default();
            }
            zone.add(service);
        }
        zones
    }

    /// Where a name leads for who is on these networks; the first that knows it answers. `NAME.NETWORK` asks that one.
    pub(crate) fn find(&self, on: &[NetworkId], name: &str) -> Option<&Addresses> {
        let name = name.trim_end_matches('.').to_lowercase();
        on.iter().filter_map(|id| self.networks.get(id)).find_map(|zone| {
            let of_network =
                || name.strip_suffix(zone.name.as_str())?.strip_suffix('.').filter(|_| !zone.name.is_empty());
            zone.names.get(&name).or_else(|| zone.names.get(of_network()?))
        })
    }

    /// Who has an address: `NAME.NETWORK`.
    pub(crate) fn reverse(&self, on: &[NetworkId], address: IpAddr) -> Option<String> {
        on.iter().filter_map(|id| self.networks.get(id)).find_map(|zone| {
            let name = zone.reverse.get(&address)?;
            Some(if zone.name.is_empty() { name.clone() } else { format!("{name}.{}", zone.name) })
        })
    }
}

impl Zone {
    fn add(&mut self, service: &NetworkService) {
        let tasks: BTreeSet<IpAddr> = service.tasks.values().map(|task| task.address).collect();
        let (addresses, ttl) = match service.vip {
            Some(vip) => (BTreeSet::from([vip]), TTL_VIP),
            None => (tasks.clone(), TTL_TASK),
        };
        for name in std::iter::once(&service.name).chain(&service.aliases) {
            let name = name.to_lowercase();
            self.lead(format!("tasks.{name}"), &tasks, TTL_TASK);
            self.lead(name, &addresses, ttl);
        }
        for task in service.tasks.values() {
            self.lead(task.name.to_lowercase(), &BTreeSet::from([task.address]), TTL_TASK);
            self.reverse.insert(task.address, task.name.clone());
        }
        if let Some(vip) = service.vip {
            self.reverse.insert(vip, service.name.clone());
        }
    }

    /// Services may share an alias: then it leads to all of them.
    fn lead(&mut self, name: String, addresses: &BTreeSet<IpAddr>, ttl: u32) {
        let entry = self.names.entry(name).or_insert_with(|| Addresses { addresses: BTreeSet::new(), ttl });
        entry.addresses.extend(addresses);
        entry.ttl = entry.ttl.min(ttl);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use shoal_proto::model::{Id, NetworkTask, NodeId, ServiceId, TaskId};

    use super::*;

    pub(crate) fn network(n: u128) -> NetworkId {
        NetworkId::from_random(n)
    }

    fn service(name: &str, vip: Option<[u8; 4]>, tasks: &[[u8; 4]]) -> NetworkService {
        let task = |(number, address): (usize, &[u8; 4])| {
            let name = format!("{name}.{}.x", number + 1);
            let id = TaskId::from_random(u128::from(address[3]));
            (id, NetworkTask { name, address: IpAddr::from(*address), node: NodeId::from_random(1) })
        };
        NetworkService {
            name: name.to_owned(),
            aliases: vec!["all".to_owned()],
            vip: vip.map(IpAddr::from),
            tasks: tasks.iter().enumerate().map(task).collect(),
        }
    }

    /// `web` by VIP and `db` by tasks on network 1, another `web` on network 2.
    pub(crate) fn zones() -> Zones {
        let mut set = ServiceSet::default();
        let id = ServiceId::from_random;
        set.names.insert((network(1), id(1)), service("Web", Some([10, 0, 1, 2]), &[[10, 0, 1, 3], [10, 0, 1, 4]]));
        set.names.insert((network(1), id(2)), service("db", None, &[[10, 0, 1, 7]]));
        set.names.insert((network(2), id(3)), service("web", Some([10, 0, 2, 2]), &[]));
        Zones::new(&set, &[(network(1), "Front".to_owned()), (network(2), "back".to_owned())].into())
    }

    fn found(on: &[u128], name: &str) -> Vec<String> {
        let on: Vec<NetworkId> = on.iter().map(|n| network(*n)).collect();
        let zones = zones();
        zones
            .find(&on, name)
            .map_or_else(|| vec!["unknown".to_owned()], |it| it.addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_lead_where_the_networks_say() {
        assert_eq!(found(&[1], "web"), ["10.0.1.2"]);
        assert_eq!(found(&[1], "WEB."), ["10.0.1.2"]);
        assert_eq!(found(&[2, 1], "web"), ["10.0.2.2"]);
        assert_eq!(found(&[2, 1], "web.front"), ["10.0.1.2"]);
        assert_eq!(found(&[1], "tasks.web"), ["10.0.1.3", "10.0.1.4"]);
        assert_eq!(found(&[2], "tasks.web"), Vec::<String>::new());
        assert_eq!(found(&[1], "db"), ["10.0.1.7"]);
        assert_eq!(found(&[1], "all"), ["10.0.1.2", "10.0.1.7"]);
        assert_eq!(found(&[1], "web.2.x"), ["10.0.1.4"]);
        assert_eq!(found(&[1], "tasks.web.front"), ["10.0.1.3", "10.0.1.4"]);
        for (on, name) in [(1, "web.back"), (2, "db"), (1, "front"), (1, ".front"), (1, ""), (3, "web")] {
            assert_eq!(found(&[on], name), ["unknown"], "{name} on {on}");
        }
    }

    #[test]
    fn addresses_lead_back() {
        let zones = zones();
        let reverse = |on: u128, address: [u8; 4]| zones.reverse(&[network(on)], IpAddr::from(address));
        assert_eq!(reverse(1, [10, 0, 1, 2]).as_deref(), Some("Web.front"));
        assert_eq!(reverse(1, [10, 0, 1, 7]).as_deref(), Some("db.1.x.front"));
        assert_eq!(reverse(2, [10, 0, 1, 7]), None);
    }
}
