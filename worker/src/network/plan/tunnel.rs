//! Plans for the device of the tunnel that encrypted networks go through, and where everything in it is.

use std::net::{IpAddr, Ipv6Addr};

use shoal_proto::model::{Cidr, NodeId};

use super::{NetworkPlan, Route, Step};
use crate::network::tunnel::DEVICE_MAC;

/// The tunnel's device and its place among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct TunnelPlace {
    /// The device.
    pub(in crate::network) device: String,
    /// This host's address in the tunnel.
    pub(in crate::network) address: Ipv6Addr,
    /// Bytes of a packet in it.
    pub(in crate::network) mtu: u32,
    /// Of the route to the others.
    pub(in crate::network) metric: u32,
}

impl TunnelPlace {
    /// All addresses in tunnels: a unique local prefix (RFC 4193), drawn once for Shoal.
    pub(in crate::network) const PREFIX: Cidr =
        Cidr { address: IpAddr::V6(Ipv6Addr::new(0xfd53, 0x9b1c, 0x74e2, 0, 0, 0, 0, 0)), prefix: 48 };

    /// A node's address: the prefix, then the last 80 bits of its id, which is random. So no one need allocate it.
    pub(in crate::network) fn address_of(node: NodeId) -> Ipv6Addr {
        let IpAddr::V6(prefix) = Self::PREFIX.address else { return Ipv6Addr::UNSPECIFIED };
        Ipv6Addr::from(u128::from(prefix) | (node.bits() & ((1 << 80) - 1)))
    }

    /// UDP port of the tunnel between hosts: the one after that of clear overlay traffic.
    pub(in crate::network) fn port(data_path_port: u16) -> u16 {
        data_path_port.saturating_add(1)
    }

    /// UDP port of encrypted networks' VXLAN packets, in the tunnel: of its own, so that whatever comes to it by any
    /// other device can be dropped.
    pub(in crate::network) fn inner_port(data_path_port: u16) -> u16 {
        data_path_port.saturating_sub(1)
    }
}

/// Raises the device, which the tunnel's engine has made.
pub(in crate::network) fn tunnel_plan(place: &TunnelPlace) -> NetworkPlan {
    let TunnelPlace { device, address, mtu, metric } = place;
    let setting = |name: &str, value| Step::Setting { path: format!("ipv6/conf/{device}/{name}"), value };
    let own = Cidr { address: IpAddr::V6(*address), prefix: 128 };
    let route = Route { metric: Some(*metric), ..Route::on_link(TunnelPlace::PREFIX, device) };
    NetworkPlan::on_host([
        setting("disable_ipv6", "0"),
        setting("accept_ra", "0"),
        // No address but the one below.
        setting("addr_gen_mode", "1"),
        Step::TunnelRaised { name: device.clone(), mac: DEVICE_MAC, mtu: *mtu },
        Step::Address { link: device.clone(), address: own },
        Step::Route(route),
    ])
}

/// Removes it; addresses and routes go with it.
pub(in crate::network) fn tunnel_removal(device: &str) -> NetworkPlan {
    NetworkPlan::on_host([Step::LinkRemoved { name: device.to_owned() }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::Id;

    #[test]
    fn every_node_has_an_address_of_its_own() {
        let one = TunnelPlace::address_of(NodeId::from_random(0x1234_5678_9abc_def0_1122_3344_5566_7788));
        assert_eq!(one.to_string(), "fd53:9b1c:74e2:def0:1122:3344:5566:7788");
        assert_ne!(one, TunnelPlace::address_of(NodeId::from_random(0x1234_5678_9abc_def0_1122_3344_5566_7789)));
        assert!(TunnelPlace::PREFIX.contains(IpAddr::V6(one)));
    }
}
