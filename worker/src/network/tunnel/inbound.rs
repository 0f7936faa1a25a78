//! From the peers to the device: receives, decrypts, checks who speaks, joins, writes.
//!
//! One thread a socket; the kernel gives all datagrams of one peer to the same socket, so their order stays.

use std::net::{Ipv6Addr, SocketAddr};

use super::coalesce::Coalescer;
use super::engine::Shared;
use super::frame::IPV6;
use super::link::{Link, MESSAGE_MAX, Opened};
use super::socket::TunnelSocket;
use super::table::{Addressee, Peer, Table};
use crate::network::netlink::TunQueue;

/// Longest that one receive gives.
const RECEIVED_MAX: usize = 65_536;

/// Carries packets until the tunnel ends.
pub(super) fn carry(shared: &Shared, queue: &TunQueue, socket: &TunnelSocket) {
    let mut buffer = vec![0; RECEIVED_MAX];
    let joined = Coalescer::new(shared.vxlan_port, queue.takes_large());
    let mut receiver = Receiver { own: shared.address, socket, joined, queue };
    while !shared.is_stopping() {
        let Ok(mut received) = socket.receive(&mut buffer, true) else { continue };
        let table = shared.table();
        let mut taken = 0;
        loop {
            for message in buffer[..received.bytes].chunks(received.segment.max(1)) {
                receiver.take(&table, received.from, message);
            }
            taken += 1;
            if taken == RECEIVES_A_TURN {
                break;
            }
            // What has come meanwhile may go on with the same connection.
            match socket.receive(&mut buffer, false) {
                Ok(more) => received = more,
                Err(_) => break,
            }
        }
        receiver.flush();
    }
}

/// Receives before what was joined goes on, and before the table is looked at anew.
const RECEIVES_A_TURN: usize = 64;

struct Receiver<'a> {
    own: Ipv6Addr,
    socket: &'a TunnelSocket,
    queue: &'a TunQueue,
    joined: Coalescer,
}

impl Receiver<'_> {
    fn take(&mut self, table: &Table, from: SocketAddr, message: &[u8]) {
        match table.addressee(from.ip(), message) {
            Addressee::Session(peer, link) => self.open(peer, link, from, message),
            Addressee::Cookie(cookie) => self.send(&cookie, from),
            Addressee::Nobody => tracing::trace!(%from, "a message for nobody"),
        }
    }

    fn open(&mut self, peer: &Peer, link: &Link, from: SocketAddr, message: &[u8]) {
        let was_ready = link.is_ready();
        let (room, place) = self.joined.room(message.len().max(MESSAGE_MAX));
        let mut answer = Vec::new();
        let length = match link.open(from.ip(), message, place) {
            Ok(Opened::Packet(length)) if speaks_for(peer, self.own, &place[..length]) => length,
            Ok(Opened::Packet(_) | Opened::Nothing) => 0,
            Ok(Opened::Answer(length)) => {
                answer.extend_from_slice(&place[..length]);
                0
            }
            Err(error) => {
                tracing::trace!(%from, ?error, "a message that can't be opened");
                0
            }
        };
        let queue = self.queue;
        self.joined.take(room, length, &mut |frame| write(queue, frame));
        if !answer.is_empty() {
            self.send(&answer, peer.endpoint);
        }
        if !was_ready && link.is_ready() {
            tracing::debug!(peer = %peer.address, ?link, "a session with a peer");
            let mut place = vec![0; RECEIVED_MAX];
            while let Some(length) = link.next_kept(&mut place) {
                self.send(&place[..length], peer.endpoint);
            }
        }
    }

    fn flush(&mut self) {
        let queue = self.queue;
        self.joined.flush(&mut |frame| write(queue, frame));
    }

    fn send(&self, message: &[u8], to: SocketAddr) {
        if let Err(error) = self.socket.send(message, message.len(), to) {
            tracing::debug!(%to, %error, "a message was lost");
        }
    }
}

/// A peer speaks from its own address only, and to this host's.
fn speaks_for(peer: &Peer, own: Ipv6Addr, packet: &[u8]) -> bool {
    packet.len() > IPV6 && packet[8..24] == peer.address.octets() && packet[24..IPV6] == own.octets()
}

/// A frame that the kernel has no room for is lost, as on any link.
fn write(queue: &TunQueue, frame: &[u8]) {
    if let Err(error) = queue.write(frame) {
        tracing::trace!(%error, "a frame was lost");
    }
}
