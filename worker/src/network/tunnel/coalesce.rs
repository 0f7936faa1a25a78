//! Joins packets of one connection that arrive one after the other into one piece for the kernel.
//!
//! A packet is decrypted right behind the payload before it, its headers over that payload's end, which is put aside
//! meanwhile: so a packet that continues the connection need not be copied. Invariants: packets leave in the order in
//! which they came; what is joined was found right by its checksum first, because the kernel does not look again.

use super::frame::{
    GSO_TCP4, GSO_TCP6, GSO_TUNNEL_IPV6, HEADER, Header, Layout, NEEDS_CHECKSUM, PACKET_MAX, pseudo_header,
};

/// Bytes that decryption may write behind a packet.
const SLACK: usize = 64;

/// Longest packet that is made of several: its length must fit the container's IPv4 header.
const JOINED_MAX: usize = 65_000;

/// Longest headers that are joined, as `segment` has them.
const HEADERS_MAX: usize = 256;

/// A frame in the making.
#[derive(Debug)]
pub(super) struct Coalescer {
    vxlan_port: u16,
    /// The kernel takes large pieces.
    joins: bool,
    /// The kernel's header, then the packet.
    frame: Vec<u8>,
    /// Bytes of the packet; zero: none.
    length: usize,
    flow: Option<Flow>,
    aside: [u8; HEADERS_MAX],
}

/// A connection that may go on.
#[derive(Debug, Clone, Copy)]
struct Flow {
    layout: Layout,
    segments: usize,
    /// Bytes of payload in each.
    size: usize,
    /// The sequence number that would go on; `None`: nothing may follow.
    next: Option<u32>,
}

/// Where the next packet is to be decrypted to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    begin: usize,
}

impl Coalescer {
    /// An empty one for VXLAN packets to a port.
    pub(super) fn new(vxlan_port: u16, joins: bool) -> Self {
        Self {
            vxlan_port,
            joins,
            // One packet may lie behind a full one until it is known that it does not belong to it.
            frame: vec![0; HEADER + 2 * (PACKET_MAX + SLACK)],
            length: 0,
            flow: None,
            aside: [0; HEADERS_MAX],
        }
    }

    /// Room for a packet of at most `bytes`, its tag included. Each room is followed by [`Coalescer::take`].
    pub(super) fn room(&mut self, bytes: usize) -> (Room, &mut [u8]) {
        let headers = self.flow.map_or(0, |flow| flow.layout.payload);
        let begin = HEADER + self.length - headers;
        self.aside[..headers].copy_from_slice(&self.frame[begin..begin + headers]);
        (Room { begin }, &mut self.frame[begin..begin + bytes])
    }

    /// Takes the packet of `length` bytes that was written into the room; zero: none was. Frames that can't grow go to
    /// `out`.
    pub(super) fn take(&mut self, room: Room, length: usize, out: &mut impl FnMut(&[u8])) {
        let headers = self.flow.map_or(0, |flow| flow.layout.payload);
        let covered = room.begin..room.begin + headers;
        let packet = room.begin..room.begin + length;
        if length == 0 || self.continues(packet.clone()) {
            self.frame[covered].copy_from_slice(&self.aside[..headers]);
            self.length += length.saturating_sub(headers);
            return;
        }
        // It begins a frame of its own: the one before, which lies half under it, goes first.
        self.frame[covered.clone()].swap_with_slice(&mut self.aside[..headers]);
        self.flush(out);
        self.frame[covered].swap_with_slice(&mut self.aside[..headers]);
        self.frame.copy_within(packet, HEADER);
        self.begin(length, out);
    }

    /// Gives what waits to `out`.
    pub(super) fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        let length = std::mem::take(&mut self.length);
        if length == 0 {
            return;
        }
        let header = match self.flow.take() {
            Some(flow) if flow.segments > 1 => self.finish(&flow, length),
            _ => Header::default(),
        };
        self.frame[..HEADER].copy_from_slice(&header.bytes());
        out(&self.frame[..HEADER + length]);
    }

    fn begin(&mut self, length: usize, out: &mut impl FnMut(&[u8])) {
        self.length = length;
        let packet = &self.frame[HEADER..HEADER + length];
        let layout = Layout::of_vxlan(packet, self.vxlan_port).filter(|_| self.joins);
        let layout = layout.filter(|layout| layout.payload <= HEADERS_MAX && may_grow(packet, layout));
        self.flow = layout.map(|layout| {
            let size = length - layout.payload;
            Flow { layout, segments: 1, size, next: Some(sequence(packet, &layout).wrapping_add(size as u32)) }
        });
        if self.flow.is_none() {
            self.flush(out);
        }
    }

    /// Whether the packet goes on with the connection of the frame; then the frame counts it.
    fn continues(&mut self, place: std::ops::Range<usize>) -> bool {
        let Some(flow) = &mut self.flow else { return false };
        let layout = flow.layout;
        let packet = &self.frame[place];
        let Some(next) = flow.next else { return false };
        // Where the frame is short, its own headers lie partly under the packet and can't be compared.
        let covered = self.length < 2 * layout.payload;
        if covered || Layout::of_vxlan(packet, self.vxlan_port) != Some(layout) {
            return false;
        }
        let first = &self.frame[HEADER..HEADER + layout.payload];
        let size = packet.len() - layout.payload;
        let fits = size > 0 && size <= flow.size && self.length + size <= JOINED_MAX;
        let follows = fits && sequence(packet, &layout) == next && same_connection(first, packet, &layout);
        if !follows || !is_right(packet, &layout) {
            return false;
        }
        let push = packet[layout.transport + 13] & TCP_PUSH;
        flow.next = (size == flow.size && push == 0).then_some(next.wrapping_add(size as u32));
        flow.segments += 1;
        self.frame[HEADER + layout.transport + 13] |= push;
        true
    }

    /// Makes the headers of the first packet those of all.
    fn finish(&mut self, flow: &Flow, length: usize) -> Header {
        let layout = flow.layout;
        let packet = &mut self.frame[HEADER..HEADER + length];
        layout.set_lengths(packet);
        // The tunnel's own packets bear no checksum: what authenticates them is stronger.
        packet[layout.outer_transport + 6..layout.outer_transport + 8].fill(0);
        let sum = pseudo_header(&packet[layout.network..], length - layout.transport).unwrap_or_default();
        let place = layout.checksum();
        packet[place..place + 2].copy_from_slice(&sum.folded());
        let kind = if packet[layout.network] >> 4 == 4 { GSO_TCP4 } else { GSO_TCP6 };
        Header {
            flags: NEEDS_CHECKSUM,
            gso_type: kind | GSO_TUNNEL_IPV6,
            headers: layout.payload as u16,
            gso_size: flow.size as u16,
            checksum_start: layout.transport as u16,
            checksum_offset: layout.checksum_offset() as u16,
            outer_transport: layout.outer_transport as u16,
            inner_network: layout.network as u16,
        }
    }
}

/// Whether other packets may be joined to this one: data of TCP, nothing said but "acknowledged", and all of it right.
fn may_grow(packet: &[u8], layout: &Layout) -> bool {
    layout.is_tcp
        && packet.len() > layout.payload
        && packet[layout.transport + 13] == TCP_ACKNOWLEDGED
        && is_right(packet, layout)
}

fn is_right(packet: &[u8], layout: &Layout) -> bool {
    let transport = &packet[layout.transport..];
    pseudo_header(&packet[layout.network..], transport.len()).is_some_and(|sum| sum.add(transport).is_right())
}

fn sequence(packet: &[u8], layout: &Layout) -> u32 {
    let at = layout.transport + 4;
    packet[at..at + 4].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Whether the headers differ only in what differs from one segment to the next: lengths, the identification and
/// checksum of IPv4, sequence number, checksum, and the flag that the data should be passed on.
fn same_connection(one: &[u8], other: &[u8], layout: &Layout) -> bool {
    let Layout { outer_transport, network, transport, payload, .. } = *layout;
    let same = |range: std::ops::Range<usize>| one[range.clone()] == other[range];
    let addresses = if one[network] >> 4 == 4 {
        same(network..network + 2) && same(network + 6..network + 10) && same(network + 12..transport)
    } else {
        same(network..network + 4) && same(network + 6..transport)
    };
    addresses
        && same(0..4)
        && same(6..outer_transport + 4)
        && same(outer_transport + 8..network)
        && same(transport..transport + 4)
        && same(transport + 8..transport + 13)
        && (one[transport + 13] | TCP_PUSH) == (other[transport + 13] | TCP_PUSH)
        && same(transport + 14..transport + 16)
        && same(transport + 18..payload)
}

const TCP_PUSH: u8 = 0x08;
const TCP_ACKNOWLEDGED: u8 = 0x10;
