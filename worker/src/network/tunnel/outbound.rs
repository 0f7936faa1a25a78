//! From the device to the peers: reads, cuts, encrypts, sends.
//!
//! One thread a queue of the device; the kernel keeps a connection's packets in one queue, so their order stays.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::engine::Shared;
use super::frame::{HEADER, Header, IPV6, PACKET_MAX};
use super::link::{MESSAGE_MAX, OVERHEAD};
use super::segment::segments;
use super::socket::{BYTES_MAX, SEGMENTS_MAX, TunnelSocket};
use super::table::{Peer, Table};
use crate::network::limits::TUNNEL_STOP_WAIT;
use crate::network::netlink::TunQueue;

/// Carries packets until the tunnel ends.
pub(super) fn carry(shared: &Shared, queue: &TunQueue, socket: &TunnelSocket) {
    let mut frame = vec![0; HEADER + PACKET_MAX];
    let mut batch = Batch::new();
    let wait = TUNNEL_STOP_WAIT.as_millis() as u16;
    while !shared.is_stopping() {
        if !queue.wait(wait).unwrap_or(false) {
            continue;
        }
        let table = shared.table();
        let mut read = 0;
        // New peers are looked for now and then, however much there is to carry.
        while read < READS_A_TURN
            && let Ok(length) = queue.read(&mut frame)
        {
            read += 1;
            if let (Some(header), Some(packet)) = (Header::read(&frame), frame.get_mut(HEADER..length)) {
                send(&table, &header, packet, (&mut batch, socket));
            }
        }
        batch.flush(socket);
    }
}

/// Frames that are read before the table is looked at anew.
const READS_A_TURN: usize = 64;

fn send(table: &Table, header: &Header, packet: &mut [u8], (batch, socket): (&mut Batch, &TunnelSocket)) {
    let Some(destination) = destination(packet) else { return };
    let Some(peer) = table.peer(destination).cloned() else { return };
    let link = Arc::clone(peer.link());
    let sent = segments(header, packet, |packet| {
        let place = batch.place(&peer, OVERHEAD + packet.len(), socket);
        let length = link.seal(packet, place);
        batch.sealed(length, socket);
    });
    if !sent {
        tracing::trace!(?header, "a frame that can't be sent");
    }
}

fn destination(packet: &[u8]) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = packet.get(24..IPV6)?.try_into().ok()?;
    (packet[0] >> 4 == 6).then(|| Ipv6Addr::from(bytes))
}

/// Datagrams to one peer that leave in one call: all of one length, only the last may be shorter.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    used: usize,
    count: usize,
    segment: usize,
    to: Option<SocketAddr>,
}

impl Batch {
    fn new() -> Self {
        Self { bytes: vec![0; BYTES_MAX + MESSAGE_MAX], used: 0, count: 0, segment: 0, to: None }
    }

    /// Where to write the next datagram; sends first what it does not go with.
    fn place(&mut self, peer: &Peer, length: usize, socket: &TunnelSocket) -> &mut [u8] {
        let whole = self.used == self.count * self.segment;
        let fits = whole && self.count < SEGMENTS_MAX && length <= self.segment && self.used + length <= BYTES_MAX;
        if self.count > 0 && (self.to != Some(peer.endpoint) || !fits) {
            self.flush(socket);
        }
        self.to = Some(peer.endpoint);
        let length = length.max(MESSAGE_MAX);
        if self.used + length > self.bytes.len() {
            // Only a packet longer than any link takes gets here.
            self.bytes.resize(self.used + length, 0);
        }
        &mut self.bytes[self.used..]
    }

    /// So many bytes were written to the place.
    fn sealed(&mut self, length: usize, socket: &TunnelSocket) {
        if length == 0 {
            return;
        }
        if self.count > 0 && length > self.segment {
            // A message of the library's instead of the packet: it goes alone.
            let alone = self.bytes[self.used..self.used + length].to_vec();
            let to = self.to;
            self.flush(socket);
            deliver(socket, &alone, length, to);
            return;
        }
        if self.count == 0 {
            self.segment = length;
        }
        self.used += length;
        self.count += 1;
    }

    fn flush(&mut self, socket: &TunnelSocket) {
        if self.count > 0 {
            deliver(socket, &self.bytes[..self.used], self.segment, self.to);
        }
        (self.used, self.count, self.segment) = (0, 0, 0);
    }
}

/// What can't be delivered is lost, as on any link; who sent it sends it again.
fn deliver(socket: &TunnelSocket, bytes: &[u8], segment: usize, to: Option<SocketAddr>) {
    let Some(to) = to else { return };
    if let Err(error) = socket.send(bytes, segment, to) {
        tracing::trace!(%to, %error, "datagrams were lost");
    }
}
