//! Choosing the bridge's subnet and addresses on it.
//!
//! Pure. Leaves finding out which routes and endpoints there are to `actor`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::Cidr;

/// The first of 172.17.0.0/16 to 172.31.0.0/16 that shares no address with `taken`.
pub(super) fn free_subnet(taken: &[Cidr]) -> Option<Cidr> {
    (17..=31)
        .map(|second| Cidr { address: IpAddr::V4(Ipv4Addr::new(172, second, 0, 0)), prefix: 16 })
        .find(|candidate| !taken.iter().any(|other| candidate.overlaps(other)))
}

/// The bridge's own address: the first of its subnet.
pub(super) fn gateway(subnet: Cidr) -> Option<Cidr> {
    let (lowest, highest) = subnet.ipv4_bounds()?;
    (highest - lowest >= 3).then(|| Cidr { address: IpAddr::V4(Ipv4Addr::from(lowest + 1)), prefix: subnet.prefix })
}

/// The next free address after `last`, going round. Addresses come back late, so that what still speaks to a former
/// holder does not reach the new one.
pub(super) fn next_address(subnet: Cidr, taken: &BTreeSet<Ipv4Addr>, last: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    let (lowest, highest) = subnet.ipv4_bounds()?;
    // Not the network's, the gateway's or the broadcast address.
    let (first, end) = (lowest.checked_add(2)?, highest);
    let start = last.map_or(first, |last| u32::from(last).saturating_add(1)).clamp(first, end);
    (start..end).chain(first..start).map(Ipv4Addr::from).find(|address| !taken.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn subnet_avoids_routes() {
        assert_eq!(free_subnet(&[]), Some(cidr("172.17.0.0/16")));
        assert_eq!(free_subnet(&[cidr("172.17.4.0/24"), cidr("172.18.0.0/15")]), Some(cidr("172.20.0.0/16")));
        assert_eq!(free_subnet(&[cidr("172.16.0.0/12")]), None);
    }

    #[test]
    fn addresses_go_round_and_end() {
        let subnet = cidr("172.17.0.0/29");
        assert_eq!(gateway(subnet), Some(cidr("172.17.0.1/29")));
        assert_eq!(gateway(cidr("172.17.0.0/31")), None);
        let address = |last: u8| Ipv4Addr::new(172, 17, 0, last);
        let mut taken = BTreeSet::new();
        let mut last = None;
        for expected in [2, 3, 4, 5, 6] {
            last = next_address(subnet, &taken, last);
            assert_eq!(last, Some(address(expected)));
            taken.insert(address(expected));
        }
        assert_eq!(next_address(subnet, &taken, last), None);
        taken.remove(&address(2));
        assert_eq!(next_address(subnet, &taken, last), Some(address(2)));
    }
}
