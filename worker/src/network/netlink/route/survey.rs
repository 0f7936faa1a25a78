//! What is there: links, routes, addresses, tunnel entries, as the kernel lists them.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc::ENODEV;
use shoal_proto::model::Cidr;

use super::RouteChannel;
use crate::network::MacAddress;

/// A link that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct FoundLink {
    pub(in crate::network) name: String,
    pub(in crate::network) index: u32,
    /// Bytes.
    pub(in crate::network) mtu: u32,
}

/// A tunnel entry that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::network) struct FoundTunnel {
    pub(in crate::network) mac: MacAddress,
    pub(in crate::network) host: IpAddr,
}

impl RouteChannel {
    /// The link of this name.
    pub(in crate::network) fn find_link(&mut self, name: &str) -> io::Result<Option<FoundLink>> {
        let mut wanted = LinkMessage::default();
        wanted.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match self.channel.get(RouteNetlinkMessage::GetLink(wanted)) {
            Ok(found) => Ok(found.iter().find_map(found_link)),
            Err(error) if error.raw_os_error() == Some(ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a bridge forwards through its port of this name.
    pub(in crate::network) fn port_forwards(&mut self, name: &str) -> io::Result<bool> {
        let mut wanted = LinkMessage::default();
        wanted.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let found = self.channel.get(RouteNetlinkMessage::GetLink(wanted))?;
        Ok(found.iter().any(|message| matches!(message, RouteNetlinkMessage::NewLink(link) if is_forwarding(link))))
    }

    /// All links.
    pub(in crate::network) fn links(&mut self) -> io::Result<Vec<FoundLink>> {
        let found = self.channel.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(found.iter().filter_map(found_link).collect())
    }

    /// The link that has an address.
    pub(in crate::network) fn link_of_address(&mut self, address: IpAddr) -> io::Result<Option<FoundLink>> {
        let found = self.channel.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        let index = found.iter().find_map(|message| match message {
            RouteNetlinkMessage::NewAddress(message) => message
                .attributes
                .iter()
                .any(|attribute| matches!(attribute, AddressAttribute::Local(found) if *found == address))
                .then_some(message.header.index),
            _ => None,
        });
        let Some(index) = index else { return Ok(None) };
        Ok(self.links()?.into_iter().find(|link| link.index == index))
    }

    /// Destinations of all IPv4 routes but the default.
    pub(in crate::network) fn route_destinations(&mut self) -> io::Result<Vec<Cidr>> {
        let mut wanted = RouteMessage::default();
        wanted.header.address_family = AddressFamily::Inet;
        let found = self.channel.dump(RouteNetlinkMessage::GetRoute(wanted))?;
        Ok(found.iter().filter_map(route_destination).collect())
    }

    /// Where a VXLAN device sends to.
    pub(in crate::network) fn tunnels(&mut self, link: &str) -> io::Result<Vec<FoundTunnel>> {
        let Some(link) = self.find_link(link)? else { return Ok(Vec::new()) };
        let mut wanted = NeighbourMessage::default();
        wanted.header.family = AddressFamily::Bridge;
        let found = self.channel.dump(RouteNetlinkMessage::GetNeighbour(wanted))?;
        Ok(found.iter().filter_map(|message| found_tunnel(message, link.index)).collect())
    }
}

fn found_link(message: &RouteNetlinkMessage) -> Option<FoundLink> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let mut found = FoundLink { name: String::new(), index: message.header.index, mtu: 0 };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => found.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => found.mtu = *mtu,
            _ => {}
        }
    }
    Some(found)
}

fn is_forwarding(link: &LinkMessage) -> bool {
    let forwards = |option: &InfoBridgePort| *option == InfoBridgePort::State(BridgePortState::Forwarding);
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(info) => info.iter().any(|info| match info {
            LinkInfo::PortData(InfoPortData::BridgePort(options)) => options.iter().any(forwards),
            _ => false,
        }),
        _ => false,
    })
}

fn route_destination(message: &RouteNetlinkMessage) -> Option<Cidr> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => {
            Some(Cidr { address: IpAddr::V4(*address), prefix: message.header.destination_prefix_length })
        }
        _ => None,
    })
}

fn found_tunnel(message: &RouteNetlinkMessage, link: u32) -> Option<FoundTunnel> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    if message.header.ifindex != link {
        return None;
    }
    let mut mac = None;
    let mut host = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok().map(MacAddress),
            // In the bridge family the crate leaves addresses as bytes.
            NeighbourAttribute::Destination(destination) => host = address_of(destination),
            _ => {}
        }
    }
    Some(FoundTunnel { mac: mac?, host: host? })
}

fn address_of(destination: &netlink_packet_route::neighbour::NeighbourAddress) -> Option<IpAddr> {
    use netlink_packet_route::neighbour::NeighbourAddress;
    match destination {
        NeighbourAddress::Inet(address) => Some(IpAddr::V4(*address)),
        NeighbourAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        NeighbourAddress::Other(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes.as_slice()).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
            16 => <[u8; 16]>::try_from(bytes.as_slice()).ok().map(IpAddr::from),
            _ => None,
        },
        _ => None,
    }
}
