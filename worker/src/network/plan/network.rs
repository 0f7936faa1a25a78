//! Plans for bridges and overlay networks on the host.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use shoal_proto::model::Cidr;

use super::{NetworkPlan, Port, Route, Step};
use crate::network::{MacAddress, NetworkPlanInput};

/// A network on this host, all names and numbers chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::network) struct PlacedNetwork {
    /// The wish.
    pub(in crate::network) wish: NetworkPlanInput,
    /// Its bridge.
    pub(in crate::network) bridge: String,
    /// Its VXLAN device. `None`: another daemon in this namespace holds the VNI, and carries it for both.
    pub(in crate::network) tunnel: Option<String>,
    /// Largest packet of containers, bytes.
    pub(in crate::network) mtu: u32,
    /// Of routes to it.
    pub(in crate::network) metric: u32,
}

/// What carries overlay traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Underlay {
    /// This host's address; `None`: as routes have it.
    pub(in crate::network) local: Option<IpAddr>,
    pub(in crate::network) port: u16,
    /// The device that alone may carry it.
    pub(in crate::network) device: Option<String>,
}

impl PlacedNetwork {
    fn subnet_route(&self) -> Option<Route> {
        self.wish.node_address.map(|source| Route {
            source: Some(source),
            metric: Some(self.metric),
            ..Route::on_link(self.wish.subnet.network(), &self.bridge)
        })
    }
}

/// Makes the bridge for local egress. `present` names the links that are there.
pub(in crate::network) fn bridge_plan(
    bridge: &str,
    gateway: Cidr,
    mtu: u32,
    present: &BTreeSet<String>,
) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    plan.host(Step::Setting { path: "ipv4/ip_forward".to_owned(), value: "1" });
    bridge_steps(&mut plan, bridge, (gateway.address, mtu), present);
    route_loopback(&mut plan, bridge);
    plan.host(Step::Address { link: bridge.to_owned(), address: gateway });
    plan
}

/// Makes an overlay network, or what of it is missing.
pub(in crate::network) fn network_plan(
    network: &PlacedNetwork,
    underlay: &Underlay,
    present: &BTreeSet<String>,
) -> NetworkPlan {
    let wish = &network.wish;
    let mut plan = NetworkPlan::default();
    // Receivers tell hosts apart by the bridges' MACs, so they are made from the hosts' addresses.
    let face = wish.node_address.unwrap_or(wish.subnet.address);
    bridge_steps(&mut plan, &network.bridge, (face, network.mtu), present);
    if let Some(tunnel) = &network.tunnel {
        if !present.contains(tunnel) {
            let Underlay { local, port, device } = underlay.clone();
            let (name, vni, mtu) = (tunnel.clone(), wish.vni, network.mtu);
            plan.host(Step::Vxlan { name, vni, local, port, mtu, lower: device });
        }
        plan.host(Step::Join { name: tunnel.clone(), bridge: network.bridge.clone(), port: Port::Stated });
        plan.host(Step::LinkUp { name: tunnel.clone() });
    }
    if let Some(address) = wish.node_address {
        route_loopback(&mut plan, &network.bridge);
        let address = Cidr { address, prefix: if address.is_ipv4() { 32 } else { 128 } };
        plan.host(Step::Address { link: network.bridge.clone(), address });
        // Without a tunnel here, the route of the daemon that has it must win for tasks of other hosts.
        plan.steps.extend(
            network
                .tunnel
                .as_ref()
                .and_then(|_| network.subnet_route())
                .map(|route| (super::Place::Host, Step::Route(route))),
        );
    }
    plan
}

/// Removes an overlay network; its routes, neighbours and entries go with its links.
pub(in crate::network) fn network_removal(network: &PlacedNetwork) -> NetworkPlan {
    let links = network.tunnel.iter().chain([&network.bridge]);
    NetworkPlan::on_host(links.map(|name| Step::LinkRemoved { name: name.clone() }))
}

fn bridge_steps(plan: &mut NetworkPlan, bridge: &str, face: (IpAddr, u32), present: &BTreeSet<String>) {
    if !present.contains(bridge) {
        plan.host(Step::Bridge { name: bridge.to_owned(), mac: MacAddress::of(face.0), mtu: face.1 });
    }
    plan.host(Step::Setting { path: format!("ipv6/conf/{bridge}/disable_ipv6"), value: "1" });
}

/// Lets the host's own clients of 127.0.0.1 reach tasks; a guard rule keeps others from using it.
fn route_loopback(plan: &mut NetworkPlan, bridge: &str) {
    plan.host(Step::Setting { path: format!("ipv4/conf/{bridge}/route_localnet"), value: "1" });
}
