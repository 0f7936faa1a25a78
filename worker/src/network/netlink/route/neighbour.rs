//! Requests for addresses, neighbours, forwarding and tunnel entries.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::libc::{EEXIST, ENOENT};

use super::{Refusal, Request, RouteChannel, family, request};
use crate::network::MacAddress;
use crate::network::plan::Step;

impl RouteChannel {
    pub(super) fn neighbour_requests(&mut self, step: &Step) -> Result<Vec<Request<RouteNetlinkMessage>>, Refusal> {
        Ok(match step {
            Step::Address { link, address } => {
                let mut message = AddressMessage::default();
                message.header.family = family(address.address);
                message.header.prefix_len = address.prefix;
                message.header.index = self.index(link)?;
                message.attributes.push(AddressAttribute::Local(address.address));
                message.attributes.push(AddressAttribute::Address(address.address));
                vec![request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, &[EEXIST])]
            }
            Step::Forward { link, mac } => vec![added(forward(self.index(link)?, *mac))],
            Step::ForwardRemoved { link, mac } => vec![removed(forward(self.index(link)?, *mac))],
            Step::Tunnel { link, mac, host } => vec![added(tunnel(self.index(link)?, *mac, *host))],
            Step::TunnelRemoved { link, mac, host } => vec![removed(tunnel(self.index(link)?, *mac, *host))],
            Step::Neighbour { link, address, mac } => {
                let mut message = neighbour(self.index(link)?, *address);
                message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
                vec![added(message)]
            }
            Step::NeighbourRemoved { link, address } => vec![removed(neighbour(self.index(link)?, *address))],
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
        })
    }
}

/// An entry for a MAC in the table of a link or of its bridge.
fn entry(index: u32, mac: MacAddress) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message
}

fn forward(index: u32, mac: MacAddress) -> NeighbourMessage {
    let mut message = entry(index, mac);
    // A bridge takes "no ARP" for: never aged, and "permanent" for: its own address.
    message.header.state = NeighbourState::Noarp;
    message.header.flags = NeighbourFlags::Controller;
    message
}

fn tunnel(index: u32, mac: MacAddress, host: IpAddr) -> NeighbourMessage {
    let mut message = entry(index, mac);
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Own;
    message.attributes.push(NeighbourAttribute::Destination(destination(host)));
    message
}

fn neighbour(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::Destination(destination(address)));
    message
}

fn destination(address: IpAddr) -> NeighbourAddress {
    match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    }
}

fn added(message: NeighbourMessage) -> Request<RouteNetlinkMessage> {
    request(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE, &[])
}

fn removed(message: NeighbourMessage) -> Request<RouteNetlinkMessage> {
    request(RouteNetlinkMessage::DelNeighbour(message), 0, &[ENOENT])
}
