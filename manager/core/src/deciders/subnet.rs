//! Chooses a new network's subnet and VXLAN identifier, so that no two networks share any.

use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::{Cidr, Network};

use crate::limits::{DEFAULT_POOL, SUBNET_SIZE, VNIS};
use crate::store::Tables;

/// The network that shares an address with the subnet.
pub(crate) fn overlapped<'a>(tables: &'a Tables, subnet: &Cidr) -> Option<&'a Network> {
    let shares = |network: &&Network| network.subnet.is_some_and(|other| other.overlaps(subnet));
    tables.networks().map(|network| &**network).find(shares)
}

/// The lowest subnet of the swarm's pools that no network has; `None`: there is none left.
#[must_use]
pub fn free_subnet(tables: &Tables) -> Option<Cidr> {
    let cluster = tables.cluster()?;
    let (address, prefix) = DEFAULT_POOL;
    let usual = [Cidr { address: IpAddr::V4(address), prefix }];
    let pools: &[Cidr] = if cluster.default_address_pool.is_empty() { &usual } else { &cluster.default_address_pool };
    let size = if cluster.subnet_size == 0 { SUBNET_SIZE } else { cluster.subnet_size };
    pools.iter().find_map(|pool| free_in(tables, pool, size))
}

fn free_in(tables: &Tables, pool: &Cidr, prefix: u8) -> Option<Cidr> {
    let (lowest, highest) = pool.ipv4_bounds()?;
    let step = 1u64 << 32u8.checked_sub(prefix.max(pool.prefix))?;
    let mut start = u64::from(lowest);
    while start + step - 1 <= u64::from(highest) {
        let address = IpAddr::V4(Ipv4Addr::from(u32::try_from(start).ok()?));
        let candidate = Cidr { address, prefix: prefix.max(pool.prefix) };
        let Some(other) = overlapped(tables, &candidate) else { return Some(candidate) };
        let (_, end) = other.subnet?.ipv4_bounds()?;
        start = (u64::from(end) + 1).max(start + step).next_multiple_of(step);
    }
    None
}

/// A VXLAN identifier that no network has. `turn` rises from network to network, so that one that was freed is not soon
/// another's: hosts may still be taking the old network down.
#[must_use]
pub fn free_vni(tables: &Tables, turn: u64) -> Option<u32> {
    let (first, last) = VNIS.into_inner();
    let count = last - first + 1;
    let start = first + u32::try_from(turn % u64::from(count)).unwrap_or(0);
    (start..=last).chain(first..start).find(|vni| !is_vni_taken(tables, *vni))
}

/// Whether a network has this VXLAN identifier.
#[must_use]
pub fn is_vni_taken(tables: &Tables, vni: u32) -> bool {
    tables.networks().any(|network| network.vni == Some(vni))
}

#[cfg(test)]
mod tests {
    use shoal_proto::model::{Cluster, ClusterId, ClusterSpec, Id, JoinTokens, Meta, NetworkId, NetworkSpec, RootCa};
    use shoal_proto::model::{Sensitive, Timestamp};

    use super::*;
    use crate::store::Draft;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn tables(pools: &[&str], subnet_size: u8, taken: &[&str]) -> Tables {
        let mut draft = Draft::new(Tables::default(), 1, Timestamp(0));
        draft.put_cluster(Cluster {
            id: ClusterId::from_random(1),
            meta: Meta::default(),
            spec: ClusterSpec::default(),
            root_ca: RootCa { certificate_pem: String::new(), key_pem: Sensitive::default() },
            join_tokens: JoinTokens { worker: Sensitive::default(), manager: Sensitive::default() },
            default_address_pool: pools.iter().map(|pool| cidr(pool)).collect(),
            subnet_size,
            data_path_port: 4789,
        });
        for (number, subnet) in (1..).zip(taken) {
            draft.put_network(Network {
                id: NetworkId::from_random(number),
                meta: Meta::default(),
                spec: NetworkSpec { name: subnet.to_string(), ..NetworkSpec::default() },
                subnet: Some(cidr(subnet)),
                vni: Some(4096 + u32::try_from(number).unwrap()),
            });
        }
        draft.tables().clone()
    }

    #[test]
    fn the_lowest_free_subnet_is_taken() {
        let free = |pools: &[&str], size, taken: &[&str]| free_subnet(&tables(pools, size, taken));
        assert_eq!(free(&[], 0, &[]), Some(cidr("10.0.0.0/24")));
        assert_eq!(free(&[], 24, &["10.0.0.0/24", "10.0.1.7/32", "10.0.2.0/23"]), Some(cidr("10.0.4.0/24")));
        assert_eq!(free(&["10.9.0.0/29", "10.8.0.0/28"], 29, &["10.9.0.0/29"]), Some(cidr("10.8.0.0/29")));
        assert_eq!(free(&["10.9.0.0/29"], 24, &[]), Some(cidr("10.9.0.0/29")));
        assert_eq!(free(&["10.9.0.0/29"], 29, &["10.0.0.0/8"]), None);
        assert_eq!(free(&["255.255.255.0/24"], 25, &["255.255.255.0/25"]), Some(cidr("255.255.255.128/25")));
    }

    #[test]
    fn identifiers_go_round() {
        let tables = tables(&[], 24, &["10.0.0.0/24"]);
        assert_eq!(free_vni(&tables, 0), Some(4098));
        assert_eq!(free_vni(&tables, 5), Some(4102));
        let last = u64::from(VNIS.end() - VNIS.start());
        assert_eq!(free_vni(&tables, last), Some(*VNIS.end()));
        assert!(is_vni_taken(&tables, 4097) && !is_vni_taken(&tables, 4098));
    }
}
