//! The frames that cross the TAP device: the headers before each packet, and what lies where in a packet.
//!
//! Owns the encoding of `virtio_net_hdr_v1_hash_tunnel` and the Internet checksum. Leaves cutting and joining to
//! `segment` and `coalesce`. Invariant: nothing here reads or writes beyond the slice that it is given.

use crate::network::MacAddress;

/// Bytes before each packet: the kernel's header and an Ethernet header, without which the kernel (6.17 and later, as
/// far as is known) takes no piece that lies within a UDP tunnel.
pub(super) const HEADER: usize = OFFLOADS + ETHERNET;

const OFFLOADS: usize = 24;
const ETHERNET: usize = 14;

/// The address of every tunnel device: each is alone on its link.
pub(in crate::network) const DEVICE_MAC: MacAddress = MacAddress([0x02, 0x53, 0x68, 0x6f, 0x61, 0x6c]);

/// Bytes of an IPv6 header.
pub(super) const IPV6: usize = 40;

/// Longest packet that the kernel gives or takes, its header left out.
pub(super) const PACKET_MAX: usize = 65_535 + IPV6;

/// The checksum at `checksum_start + checksum_offset` is the pseudo-header's alone: the rest is to be added.
pub(super) const NEEDS_CHECKSUM: u8 = 1;
pub(super) const GSO_NONE: u8 = 0;
pub(super) const GSO_TCP4: u8 = 1;
pub(super) const GSO_TCP6: u8 = 4;
pub(super) const GSO_UDP: u8 = 5;
/// What is to be segmented lies in a UDP tunnel over IPv6.
pub(super) const GSO_TUNNEL_IPV6: u8 = 0x40;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// What the kernel says of a packet, or is told. Offsets count from the packet's first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) flags: u8,
    pub(super) gso_type: u8,
    /// Bytes of all headers of a packet that is to be segmented.
    pub(super) headers: u16,
    /// Bytes of payload in each segment.
    pub(super) gso_size: u16,
    pub(super) checksum_start: u16,
    pub(super) checksum_offset: u16,
    pub(super) outer_transport: u16,
    pub(super) inner_network: u16,
}

impl Header {
    /// Reads it; `None` where the frame is shorter than the headers.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let frame: &[u8; HEADER] = frame.first_chunk()?;
        let word = |at: usize| u16::from_ne_bytes([frame[at], frame[at + 1]]);
        let offset = |at: usize| word(at).saturating_sub(ETHERNET as u16);
        Some(Self {
            flags: frame[0],
            gso_type: frame[1],
            headers: offset(2),
            gso_size: word(4),
            checksum_start: offset(6),
            checksum_offset: word(8),
            outer_transport: offset(20),
            inner_network: offset(22),
        })
    }

    /// All that goes before the packet.
    pub(super) fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        if self.flags & NEEDS_CHECKSUM != 0 {
            let offset = |at: u16| at + ETHERNET as u16;
            let words = [
                (2, offset(self.headers)),
                (4, self.gso_size),
                (6, offset(self.checksum_start)),
                (8, self.checksum_offset),
                (20, offset(self.outer_transport)),
                (22, offset(self.inner_network)),
            ];
            for (at, word) in words {
                bytes[at..at + 2].copy_from_slice(&word.to_ne_bytes());
            }
        }
        bytes[OFFLOADS..OFFLOADS + 6].copy_from_slice(&DEVICE_MAC.0);
        bytes[OFFLOADS + 6..OFFLOADS + 12].copy_from_slice(&DEVICE_MAC.0);
        bytes[OFFLOADS + 12..].copy_from_slice(&IPV6_TYPE);
        bytes
    }
}

const IPV6_TYPE: [u8; 2] = [0x86, 0xdd];

/// A sum of 16-bit words in the machine's order, folded at the end only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Checksum(u64);

impl Checksum {
    /// Adds bytes that begin at an even place of what is summed.
    #[must_use]
    pub(super) fn add(self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(4);
        let mut sum = self.0;
        for word in words.by_ref() {
            sum += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        }
        let mut rest = [0; 4];
        rest[..words.remainder().len()].copy_from_slice(words.remainder());
        Self(sum + u64::from(u32::from_ne_bytes(rest)))
    }

    /// The sum, as it stands in a pseudo-header's place.
    pub(super) fn folded(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (sum as u16).to_ne_bytes()
    }

    /// Its complement, as it stands in a packet.
    pub(super) fn complement(self) -> [u8; 2] {
        (!u16::from_ne_bytes(self.folded())).to_ne_bytes()
    }

    /// Whether what was summed, its checksum included, is as it was sent.
    pub(super) fn is_right(self) -> bool {
        self.folded() == [0xff, 0xff]
    }
}

/// What the header of a transport adds to its checksum: addresses, protocol, length. `network` begins at the IP header.
pub(super) fn pseudo_header(network: &[u8], length: usize) -> Option<Checksum> {
    let (addresses, protocol) = match network.first()? >> 4 {
        4 => (network.get(12..20)?, *network.get(9)?),
        6 => (network.get(8..40)?, *network.get(6)?),
        _ => return None,
    };
    let length = u32::try_from(length).ok()?;
    Some(Checksum::default().add(addresses).add(&length.to_be_bytes()).add(&[0, protocol]))
}

/// Puts the length of what follows into an IP header, and a fresh checksum into that of IPv4.
fn set_network_length(network: &mut [u8], length: usize) {
    match network[0] >> 4 {
        4 => {
            network[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            network[10..12].fill(0);
            let end = usize::from(network[0] & 0xf) * 4;
            let sum = Checksum::default().add(&network[..end]).complement();
            network[10..12].copy_from_slice(&sum);
        }
        _ => network[4..6].copy_from_slice(&((length - IPV6) as u16).to_be_bytes()),
    }
}

/// Where the parts of a packet of a tunnelled TCP connection begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// The tunnel's UDP header.
    pub(super) outer_transport: usize,
    /// The IP header of the container's packet.
    pub(super) network: usize,
    /// The TCP or UDP header of the container's packet.
    pub(super) transport: usize,
    /// The container's data.
    pub(super) payload: usize,
    pub(super) is_tcp: bool,
}

impl Layout {
    /// That of a VXLAN packet over IPv6 that carries TCP or UDP without fragments and IP options.
    pub(super) fn of_vxlan(packet: &[u8], vxlan_port: u16) -> Option<Self> {
        const FRAME: usize = IPV6 + 8 + 8;
        const NETWORK: usize = FRAME + ETHERNET;
        let is_vxlan = packet.len() > NETWORK + 20
            && packet[0] >> 4 == 6
            && packet[6] == PROTOCOL_UDP
            && packet[IPV6 + 2..IPV6 + 4] == vxlan_port.to_be_bytes();
        if !is_vxlan {
            return None;
        }
        let (protocol, transport) = match ([packet[FRAME + 12], packet[FRAME + 13]], packet[NETWORK]) {
            ([0x08, 0x00], 0x45) if packet[NETWORK + 6] & 0x3f == 0 && packet[NETWORK + 7] == 0 => {
                (packet[NETWORK + 9], NETWORK + 20)
            }
            (IPV6_TYPE, first) if first >> 4 == 6 && packet.len() > NETWORK + IPV6 => {
                (packet[NETWORK + 6], NETWORK + IPV6)
            }
            _ => return None,
        };
        Self::with_transport(packet, (IPV6, NETWORK, transport), protocol)
    }

    /// That of a packet that is to be segmented, as the kernel's header says.
    pub(super) fn of_header(packet: &[u8], header: &Header) -> Option<Self> {
        let [outer, network, transport] =
            [header.outer_transport, header.inner_network, header.checksum_start].map(usize::from);
        let in_order = outer >= IPV6 && outer + 8 <= network && network + 20 <= transport;
        let protocol = match header.gso_type & !GSO_TUNNEL_IPV6 {
            GSO_TCP4 | GSO_TCP6 => PROTOCOL_TCP,
            GSO_UDP => PROTOCOL_UDP,
            _ => return None,
        };
        if in_order { Self::with_transport(packet, (outer, network, transport), protocol) } else { None }
    }

    fn with_transport(packet: &[u8], places: (usize, usize, usize), protocol: u8) -> Option<Self> {
        let (outer_transport, network, transport) = places;
        let length = match protocol {
            PROTOCOL_TCP => usize::from(packet.get(transport + 12)? >> 4) * 4,
            PROTOCOL_UDP => 8,
            _ => return None,
        };
        let payload = transport + length;
        let is_tcp = protocol == PROTOCOL_TCP;
        let whole = length >= if is_tcp { 20 } else { 8 } && payload <= packet.len();
        whole.then_some(Self { outer_transport, network, transport, payload, is_tcp })
    }

    /// Sets every length in the headers to that of `packet`.
    pub(super) fn set_lengths(&self, packet: &mut [u8]) {
        let length = packet.len();
        set_network_length(packet, length);
        let outer = (length - self.outer_transport) as u16;
        packet[self.outer_transport + 4..self.outer_transport + 6].copy_from_slice(&outer.to_be_bytes());
        set_network_length(&mut packet[self.network..], length - self.network);
        if !self.is_tcp {
            let inner = (length - self.transport) as u16;
            packet[self.transport + 4..self.transport + 6].copy_from_slice(&inner.to_be_bytes());
        }
    }

    /// Where the container's checksum is.
    pub(super) fn checksum(&self) -> usize {
        self.transport + self.checksum_offset()
    }

    /// The same, from the transport's header on.
    pub(super) fn checksum_offset(&self) -> usize {
        if self.is_tcp { 16 } else { 6 }
    }
}
