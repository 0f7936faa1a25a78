//! Sockets of a container, by the kernel's socket monitor: which ports are listened on, and the end of those whose peer
//! is an address that is gone.
//!
//! A socket that was translated when it was connected has its task's address for ever. Without this a client that only
//! sends would send to nobody, and one that waits would wait; an ended one gets ECONNABORTED and connects again. Leaves
//! which addresses are gone to `actor`.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use nix::libc::{self, ENOENT};

use super::channel::{Channel, Request};

/// Ends the connected sockets of a namespace, which is kept on a file, whose peer is among these addresses.
pub(super) fn end_sockets(namespace: &Path, gone: &BTreeSet<IpAddr>) -> io::Result<usize> {
    let mut channel = Channel::open_inside(namespace, NETLINK_SOCK_DIAG)?;
    let mut ended = 0;
    for protocol in [libc::IPPROTO_TCP, libc::IPPROTO_UDP] {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let (family, protocol) = (family as u8, protocol as u8);
            let found = channel.dump(SocketMessage::listing(family, protocol, CONNECTED))?;
            let stale = found.iter().filter(|socket| socket.peer().is_some_and(|peer| gone.contains(&peer)));
            let requests: Vec<Request<SocketMessage>> = stale
                .filter_map(|socket| socket.ending(protocol))
                // It ended by itself.
                .map(|message| Request { message, flags: 0, tolerated: &[ENOENT] })
                .collect();
            ended += requests.len();
            channel.perform(requests).map_err(|refusal| refusal.error)?;
        }
    }
    Ok(ended)
}

/// The TCP ports of a namespace that something listens on, beyond loopback.
#[derive(Debug)]
pub(in crate::network) struct Listeners(Channel);

impl Listeners {
    /// Opens the door to a namespace, which is kept on a file.
    pub(in crate::network) fn open(namespace: &Path) -> io::Result<Self> {
        Channel::open_inside(namespace, NETLINK_SOCK_DIAG).map(Self)
    }

    /// As it is now.
    pub(in crate::network) fn ports(&mut self) -> io::Result<BTreeSet<u16>> {
        let mut ports = BTreeSet::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let found = self.0.dump(SocketMessage::listing(family as u8, libc::IPPROTO_TCP as u8, LISTENING))?;
            let open = found.iter().filter_map(SocketMessage::own).filter(|(address, _)| !address.is_loopback());
            ports.extend(open.map(|(_, port)| port));
        }
        Ok(ports)
    }
}

/// A message of the kernel's socket monitor (linux/inet_diag.h), in bytes.
#[derive(Debug)]
struct SocketMessage {
    kind: u16,
    bytes: Vec<u8>,
}

/// Where the identity of a socket is in an answer: ports, addresses, link, cookie.
const IDENTITY: std::ops::Range<usize> = 4..52;
/// Where its own port is, and its own address.
const OWN_PORT: std::ops::Range<usize> = 4..6;
const OWN: std::ops::Range<usize> = 8..24;
/// Where its peer's address is.
const PEER: std::ops::Range<usize> = 24..40;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
/// All states of a connection that has a peer: not listening (10), closed (7) or waiting for stragglers (6).
const CONNECTED: u32 = 0xfff & !(1 << 10 | 1 << 7 | 1 << 6 | 1);
const LISTENING: u32 = 1 << 10;

impl SocketMessage {
    /// Asks for all sockets in these states.
    fn listing(family: u8, protocol: u8, states: u32) -> Self {
        let mut bytes = vec![family, protocol, 0, 0];
        bytes.extend(states.to_ne_bytes());
        bytes.extend([0; IDENTITY.end - IDENTITY.start]);
        Self { kind: SOCK_DIAG_BY_FAMILY, bytes }
    }

    /// Ends the socket that this answer is about.
    fn ending(&self, protocol: u8) -> Option<Self> {
        let mut bytes = vec![*self.bytes.first()?, protocol, 0, 0];
        bytes.extend(u32::MAX.to_ne_bytes());
        bytes.extend(self.bytes.get(IDENTITY)?);
        Some(Self { kind: SOCK_DESTROY, bytes })
    }

    fn peer(&self) -> Option<IpAddr> {
        self.address(PEER)
    }

    fn own(&self) -> Option<(IpAddr, u16)> {
        let port = <[u8; 2]>::try_from(self.bytes.get(OWN_PORT)?).ok()?;
        Some((self.address(OWN)?, u16::from_be_bytes(port)))
    }

    fn address(&self, place: std::ops::Range<usize>) -> Option<IpAddr> {
        let address = <[u8; 16]>::try_from(self.bytes.get(place)?).ok()?;
        match i32::from(*self.bytes.first()?) {
            libc::AF_INET => Some(Ipv4Addr::new(address[0], address[1], address[2], address[3]).into()),
            _ => Some(Ipv6Addr::from(address).to_canonical()),
        }
    }
}

impl NetlinkSerializable for SocketMessage {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.bytes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.bytes);
    }
}

impl NetlinkDeserializable for SocketMessage {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { kind: header.message_type, bytes: payload.to_vec() })
    }
}
