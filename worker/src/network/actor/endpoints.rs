//! Containers' namespaces: made, removed, taken over after a restart.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use nix::sys::statfs::statfs;
use shoal_proto::model::Cidr;

use super::start::link_names;
use super::{Actor, ipv4};
use crate::network::limits::{ATTACHMENTS_MAX, CONTAINER_ID_LENGTH_MAX};
use crate::network::plan::{
    EndpointPlace, Interface, InterfaceRole, Leftovers, endpoint_plan, endpoint_removal, network_removal, sweep_plan,
};
use crate::network::ports::{self, HeldPort};
use crate::network::state::PlacedEndpoint;
use crate::network::subnet::next_address;
use crate::network::{Attachment, AttachmentNetwork, Endpoint, EndpointRequest, HostPort, NetworkError, NetworkKind};

impl Actor {
    pub(super) fn create_endpoint(&mut self, request: EndpointRequest) -> Result<Endpoint, NetworkError> {
        check(&request)?;
        if let Some(known) = self.endpoints.get(&request.container_id) {
            if known.request != request {
                return Err(NetworkError::Invalid {
                    field: "container id",
                    value: request.container_id,
                    remedy: "its endpoint stands with other attachments or ports: remove it first",
                });
            }
            if stands(known) {
                return Ok(known.endpoint.clone());
            }
            self.remove_endpoint(&request.container_id)?;
        }
        let place = self.place_endpoint(&request)?;
        let (host_ports, held) = self.hold_ports(&request)?;
        let placed = PlacedEndpoint {
            endpoint: Endpoint {
                netns_path: place.namespace.clone(),
                addresses: place.interfaces.iter().map(|one| (one.network, one.address)).collect(),
                host_ports,
                nameservers: request.nameservers.clone(),
            },
            request,
            place,
            complete: false,
        };
        let container = placed.request.container_id.clone();
        self.files.save_endpoint(&placed)?;
        let plan = endpoint_plan(&placed.place);
        let endpoint = placed.endpoint.clone();
        self.endpoints.insert(container.clone(), placed);
        self.held_ports.insert(container.clone(), held);
        let made = self.executor.perform(&plan);
        let made = if endpoint.host_ports.is_empty() { made } else { made.and_then(|()| self.update_rules()) };
        match made.and_then(|()| self.complete_endpoint(&container)) {
            Ok(()) => Ok(endpoint),
            Err(error) => {
                if let Err(left) = self.remove_endpoint(&container) {
                    tracing::warn!(
                        container,
                        error = &left as &dyn std::error::Error,
                        "could not remove a half-made endpoint"
                    );
                }
                Err(error)
            }
        }
    }

    /// Writes down that the kernel has all of an endpoint: a daemon that died before would not believe it.
    fn complete_endpoint(&mut self, container: &str) -> Result<(), NetworkError> {
        let Some(placed) = self.endpoints.get_mut(container) else { return Ok(()) };
        placed.complete = true;
        self.files.save_endpoint(placed)
    }

    pub(super) fn remove_endpoint(&mut self, container: &str) -> Result<(), NetworkError> {
        let Some(known) = self.endpoints.remove(container) else { return Ok(()) };
        self.held_ports.remove(container);
        self.forget_names(container);
        let rules = if known.endpoint.host_ports.is_empty() { Ok(()) } else { self.update_rules() };
        let removed = rules.and_then(|()| self.executor.perform(&endpoint_removal(&known.place)));
        if let Err(error) = removed {
            // Still known, so that the next try finds it.
            self.endpoints.insert(container.to_owned(), known);
            return Err(error);
        }
        self.forget_connections(known.place.interfaces.iter().map(|one| one.address.address));
        self.files.remove_endpoint(container)
    }

    pub(super) fn adopt(&mut self, kept: &[String]) -> Result<Vec<(String, Endpoint)>, NetworkError> {
        let unwanted: Vec<String> = self
            .endpoints
            .iter()
            .filter(|(id, placed)| !kept.contains(id) || !stands(placed))
            .map(|(id, _)| id.clone())
            .collect();
        for container in unwanted {
            self.remove_endpoint(&container)?;
        }
        self.sweep()?;
        self.sweep_names();
        Ok(self.endpoints.iter().map(|(id, placed)| (id.clone(), placed.endpoint.clone())).collect())
    }

    pub(super) fn teardown(&mut self) -> Result<(), NetworkError> {
        let containers: Vec<String> = self.endpoints.keys().cloned().collect();
        for container in containers {
            self.remove_endpoint(&container)?;
        }
        for network in std::mem::take(&mut self.networks).into_values() {
            self.executor.perform(&network_removal(&network))?;
        }
        self.peers.clear();
        self.release_tunnel()?;
        self.remove_keys()?;
        self.remove_table()?;
        self.remove_names()?;
        self.sweep()?;
        let bridge = Leftovers { links: vec![self.bridge.name.clone()], ..Leftovers::default() };
        self.executor.perform(&sweep_plan(&bridge))?;
        self.files.remove_all()
    }

    /// Holds the ports of endpoints of a former run again.
    pub(super) fn restore_ports(&mut self) {
        for (container, placed) in &mut self.endpoints {
            for port in &mut placed.endpoint.host_ports {
                match ports::hold(port) {
                    Ok(held) => self.held_ports.entry(container.clone()).or_default().push(held),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(container, error, "a host port was taken while the daemon was away");
                    }
                }
            }
        }
    }

    /// Removes links and namespace files of this daemon that nothing names.
    fn sweep(&mut self) -> Result<(), NetworkError> {
        let mut named = BTreeSet::from([self.bridge.name.clone()]);
        named.extend(self.tunnel.is_up().then(|| self.tag.tunnel()));
        for network in self.networks.values() {
            named.extend(network.tunnel.iter().chain([&network.bridge]).cloned());
        }
        let mut files = BTreeSet::new();
        for placed in self.endpoints.values() {
            files.insert(placed.place.namespace.clone());
            named.extend(placed.place.interfaces.iter().map(|one| one.link.clone()));
        }
        self.executor.wait_for_retired()?;
        let links = link_names(&mut self.executor)?;
        let unnamed = links.into_iter().filter(|name| self.tag.owns_link(name) && !named.contains(name));
        let (ports, links) = unnamed.partition(|name| self.tag.endpoint_number(name).is_some());
        let leftovers = Leftovers {
            ports,
            links,
            namespaces: self.files.namespace_files()?.into_iter().filter(|file| !files.contains(file)).collect(),
        };
        self.executor.perform(&sweep_plan(&leftovers))?;
        self.executor.wait_for_retired()
    }

    fn place_endpoint(&mut self, request: &EndpointRequest) -> Result<EndpointPlace, NetworkError> {
        let mut interfaces = Vec::new();
        let number = self.next_number();
        for (position, attachment) in request.attachments.iter().enumerate() {
            let link = self.tag.endpoint_link(number, position);
            interfaces.push(match attachment.network {
                AttachmentNetwork::Bridge => self.bridge_interface(attachment, link)?,
                AttachmentNetwork::Overlay(_) => self.overlay_interface(attachment, link)?,
            });
        }
        Ok(EndpointPlace { namespace: self.files.namespace(&request.container_id), interfaces })
    }

    /// A number for links' names that is not in use. Numbers come back late, after links that were retired are deleted.
    fn next_number(&mut self) -> u32 {
        let mut living = BTreeSet::new();
        for interface in self.endpoints.values().flat_map(|placed| &placed.place.interfaces) {
            living.extend(self.tag.endpoint_number(&interface.link));
        }
        loop {
            self.last_number = self.last_number.wrapping_add(1) & 0xff_ffff;
            if !living.contains(&self.last_number) {
                return self.last_number;
            }
        }
    }

    fn bridge_interface(&mut self, attachment: &Attachment, link: String) -> Result<Interface, NetworkError> {
        let address = match attachment.address {
            Some(address) => address,
            None => {
                let taken = self.bridge_addresses();
                let next = next_address(self.bridge.subnet, &taken, self.bridge.last)
                    .ok_or(NetworkError::AddressesExhausted(self.bridge.subnet))?;
                self.bridge.last = Some(next);
                Cidr { address: IpAddr::V4(next), prefix: self.bridge.subnet.prefix }
            }
        };
        Ok(Interface {
            network: attachment.network,
            link,
            bridge: self.bridge.name.clone(),
            address,
            mtu: self.bridge.mtu,
            role: InterfaceRole::Bridge { gateway: self.bridge.gateway.address },
        })
    }

    fn overlay_interface(&self, attachment: &Attachment, link: String) -> Result<Interface, NetworkError> {
        let AttachmentNetwork::Overlay(id) = attachment.network else { return Err(NetworkError::Stopped) };
        let network = self.networks.get(&id).ok_or(NetworkError::UnknownNetwork(id))?;
        let address = attachment.address.filter(|address| network.wish.subnet.contains(address.address));
        let address = address.ok_or_else(|| NetworkError::Invalid {
            field: "attachment address",
            value: attachment.address.map_or_else(|| "none".to_owned(), |address| address.to_string()),
            remedy: "give an address of the network's subnet",
        })?;
        let role = match (network.wish.kind, network.wish.node_address) {
            (NetworkKind::Ingress, Some(gateway)) => {
                let (subnet, metric, keeps_clients) = (network.wish.subnet, network.metric, self.keeps_clients);
                InterfaceRole::Ingress { gateway, subnet, metric, keeps_clients }
            }
            _ => InterfaceRole::Overlay,
        };
        let (bridge, mtu) = (network.bridge.clone(), network.mtu);
        Ok(Interface { network: attachment.network, link, bridge, address, mtu, role })
    }

    fn bridge_addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.endpoints
            .values()
            .flat_map(|placed| &placed.place.interfaces)
            .filter(|one| one.network == AttachmentNetwork::Bridge)
            .filter_map(|one| match one.address.address {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })
            .collect()
    }

    fn hold_ports(&self, request: &EndpointRequest) -> Result<(Vec<HostPort>, Vec<HeldPort>), NetworkError> {
        let mut ports = request.host_ports.clone();
        let mut held = Vec::new();
        for port in &mut ports {
            if let Some(holder) = self.container_with(port) {
                let (port, protocol) = (port.published, port.protocol);
                return Err(NetworkError::PortTaken { port, protocol, holder: format!("container {holder}") });
            }
            held.push(ports::hold(port)?);
        }
        Ok((ports, held))
    }

    /// The container that has a port of the host, on an address that meets this one.
    fn container_with(&self, wanted: &HostPort) -> Option<&str> {
        self.endpoints.values().find_map(|placed| {
            let taken = placed.endpoint.host_ports.iter().any(|port| {
                wanted.published != 0
                    && (port.protocol, port.published) == (wanted.protocol, wanted.published)
                    && (port.host_ip.is_none() || wanted.host_ip.is_none() || port.host_ip == wanted.host_ip)
            });
            taken.then_some(placed.request.container_id.as_str())
        })
    }
}

fn check(request: &EndpointRequest) -> Result<(), NetworkError> {
    let id = &request.container_id;
    let named = !id.is_empty() && id.len() <= CONTAINER_ID_LENGTH_MAX && !id.starts_with('.');
    if !named || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Err(NetworkError::Invalid {
            field: "container id",
            value: id.clone(),
            remedy: "give 1 to 128 letters, digits, dots, dashes or underscores",
        });
    }
    if request.attachments.len() > ATTACHMENTS_MAX {
        return Err(NetworkError::Invalid {
            field: "attachments",
            value: request.attachments.len().to_string(),
            remedy: "give at most 16 networks",
        });
    }
    for attachment in &request.attachments {
        attachment.address.map_or(Ok(Ipv4Addr::UNSPECIFIED), |address| ipv4("attachment address", address.address))?;
    }
    for port in &request.host_ports {
        port.host_ip.map_or(Ok(Ipv4Addr::UNSPECIFIED), |address| ipv4("host ip of a published port", address))?;
        if port.target == 0 {
            return Err(NetworkError::Invalid {
                field: "target port",
                value: "0".to_owned(),
                remedy: "give the container's port, 1 to 65535",
            });
        }
    }
    Ok(())
}

/// Whether an endpoint was finished, and its namespace is mounted on its file: both end with a reboot.
fn stands(placed: &PlacedEndpoint) -> bool {
    let found = statfs(&placed.endpoint.netns_path);
    placed.complete && found.is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::NSFS_MAGIC)
}
