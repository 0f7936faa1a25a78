//! Plans for containers' namespaces and interfaces.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shoal_proto::model::Cidr;

use super::{NetworkPlan, Port, Route, Step};
use crate::network::firewall::container_rules;
use crate::network::{AttachmentNetwork, MacAddress};

/// Where a container's network goes, all names and numbers chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::network) struct EndpointPlace {
    pub(in crate::network) namespace: PathBuf,
    pub(in crate::network) interfaces: Vec<Interface>,
}

/// One interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::network) struct Interface {
    pub(in crate::network) network: AttachmentNetwork,
    /// The host's end.
    pub(in crate::network) link: String,
    pub(in crate::network) bridge: String,
    pub(in crate::network) address: Cidr,
    /// Bytes.
    pub(in crate::network) mtu: u32,
    pub(in crate::network) role: InterfaceRole,
}

/// What an interface is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::network) enum InterfaceRole {
    /// The host's bridge: the way out when there is no other.
    Bridge { gateway: IpAddr },
    /// The routing mesh: the way out. Where clients are kept, answers go to the host that asked.
    Ingress { gateway: IpAddr, subnet: Cidr, metric: u32, keeps_clients: bool },
    /// Other containers of the network.
    Overlay,
}

/// The routing table of packets that bear the ingress address.
const INGRESS_TABLE: u8 = 100;

/// Loopback is 1, so interfaces count from here.
const FIRST_INDEX: u32 = 2;

impl EndpointPlace {
    /// The interface that carries the default route, and through which host ports are answered.
    pub(in crate::network) fn primary(&self) -> Option<&Interface> {
        let has = |wanted: fn(&InterfaceRole) -> bool| self.interfaces.iter().find(|one| wanted(&one.role));
        has(|role| matches!(role, InterfaceRole::Ingress { .. }))
            .or_else(|| has(|role| matches!(role, InterfaceRole::Bridge { .. })))
    }
}

/// Makes a container's namespace and interfaces.
pub(in crate::network) fn endpoint_plan(place: &EndpointPlace) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    plan.host(Step::Namespace { path: place.namespace.clone() });
    for (index, interface) in (FIRST_INDEX..).zip(&place.interfaces) {
        plan.host(Step::Pair {
            name: interface.link.clone(),
            bridge: interface.bridge.clone(),
            port: interface.port(),
            inside: inside_name(index),
            index,
            mac: MacAddress::of(interface.address.address),
            mtu: interface.mtu,
        });
    }
    for (index, interface) in (FIRST_INDEX..).zip(&place.interfaces) {
        interface.host_steps(&mut plan);
        interface.container_steps(&mut plan, &inside_name(index));
        if place.primary() == Some(interface)
            && let Some(gateway) = interface.gateway()
        {
            plan.container(Step::Route(Route::default_by(gateway, &inside_name(index), Route::MAIN)));
        }
    }
    for interface in &place.interfaces {
        plan.host(Step::PortAwaited { name: interface.link.clone() });
    }
    plan
}

/// Removes a container's interfaces and namespace.
pub(in crate::network) fn endpoint_removal(place: &EndpointPlace) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    for interface in &place.interfaces {
        if let Some(route) = interface.host_route() {
            plan.host(Step::RouteRemoved(route));
            plan.host(Step::NeighbourRemoved { link: interface.bridge.clone(), address: interface.address.address });
        }
        plan.host(Step::PortRetired { name: interface.link.clone() });
    }
    plan.host(Step::NamespaceRemoved { path: place.namespace.clone() });
    plan
}

impl Interface {
    fn port(&self) -> Port {
        match self.role {
            InterfaceRole::Bridge { .. } => Port::Learning,
            InterfaceRole::Ingress { .. } | InterfaceRole::Overlay => Port::Stated,
        }
    }

    fn gateway(&self) -> Option<IpAddr> {
        match self.role {
            InterfaceRole::Bridge { gateway } | InterfaceRole::Ingress { gateway, .. } => Some(gateway),
            InterfaceRole::Overlay => None,
        }
    }

    fn mac(&self) -> MacAddress {
        MacAddress::of(self.address.address)
    }

    /// The host's way to a task on the ingress network: exact, so that it holds beside other daemons' routes.
    fn host_route(&self) -> Option<Route> {
        let InterfaceRole::Ingress { metric, .. } = self.role else { return None };
        let address = self.address.address;
        let destination = Cidr { address, prefix: if address.is_ipv4() { 32 } else { 128 } };
        Some(Route { metric: Some(metric), ..Route::on_link(destination, &self.bridge) })
    }

    fn host_steps(&self, plan: &mut NetworkPlan) {
        if self.port() == Port::Stated {
            plan.host(Step::Forward { link: self.link.clone(), mac: self.mac() });
        }
        if let Some(route) = self.host_route() {
            let (link, address) = (self.bridge.clone(), self.address.address);
            plan.host(Step::Neighbour { link, address, mac: self.mac() });
            plan.host(Step::Route(route));
        }
    }

    fn container_steps(&self, plan: &mut NetworkPlan, name: &str) {
        plan.container(Step::LinkUp { name: name.to_owned() });
        plan.container(Step::Address { link: name.to_owned(), address: self.address });
        let InterfaceRole::Ingress { gateway, subnet, keeps_clients, .. } = self.role else { return };
        let (link, mac) = (name.to_owned(), MacAddress::of(gateway));
        plan.container(Step::Neighbour { link, address: gateway, mac });
        // Packets that bear the ingress address leave here even when their receiver seems to be on another interface:
        // hosts choose the bridge's subnet each for itself, and it may be the client's.
        let near = Route { table: INGRESS_TABLE, ..Route::on_link(subnet.network(), name) };
        plan.container(Step::Route(near));
        plan.container(Step::Route(Route::default_by(gateway, name, INGRESS_TABLE)));
        plan.container(Step::SourceRule { source: self.address.address, table: INGRESS_TABLE });
        if keeps_clients {
            for transaction in container_rules(name) {
                plan.container(Step::Firewall(transaction));
            }
        }
    }
}

fn inside_name(index: u32) -> String {
    format!("eth{}", index - FIRST_INDEX)
}
