//! Cuts what the kernel hands over in one piece into the packets that go out.
//!
//! The headers of a later segment are written before its payload, over the end of the one before, which has gone out by
//! then: so nothing is copied but headers. Leaves encryption to whoever takes the packets.

use super::frame::{Checksum, GSO_NONE, Header, Layout, NEEDS_CHECKSUM, pseudo_header};

/// Longest headers of a packet that is segmented: IPv6, UDP, VXLAN, Ethernet, IPv6, TCP with all options, with room.
const HEADERS_MAX: usize = 256;

/// Gives each packet of a frame to `take`, in order; false where the frame is nothing that can be sent.
pub(super) fn segments(header: &Header, packet: &mut [u8], mut take: impl FnMut(&[u8])) -> bool {
    if header.gso_type == GSO_NONE {
        if header.flags & NEEDS_CHECKSUM != 0 && !complete(header, packet) {
            return false;
        }
        take(packet);
        return true;
    }
    let Some(layout) = Layout::of_header(packet, header) else { return false };
    let (headers, size) = (layout.payload, usize::from(header.gso_size));
    if size == 0 || headers > HEADERS_MAX || packet.len() <= headers {
        return false;
    }
    let mut template = [0; HEADERS_MAX];
    template[..headers].copy_from_slice(&packet[..headers]);
    let count = (packet.len() - headers).div_ceil(size);
    let mut copied = Vec::new();
    for number in 0..count {
        let begin = headers + number * size;
        let end = packet.len().min(begin + size);
        let segment = if number == 0 || size >= headers {
            // The end of the segment before has gone out.
            &mut packet[begin - headers..end]
        } else {
            copied.clear();
            copied.resize(headers, 0);
            copied.extend_from_slice(&packet[begin..end]);
            &mut copied[..]
        };
        segment[..headers].copy_from_slice(&template[..headers]);
        finish(&layout, segment, number, (number * size, number + 1 == count));
        take(segment);
    }
    true
}

/// Adds the rest of a checksum that is a pseudo-header's alone.
fn complete(header: &Header, packet: &mut [u8]) -> bool {
    let start = usize::from(header.checksum_start);
    let place = start + usize::from(header.checksum_offset);
    if place + 2 > packet.len() {
        return false;
    }
    let sum = Checksum::default().add(&packet[start..]).complement();
    // Zero would say that there is none; over TCP both mean the same.
    let sum = if sum == [0, 0] { [0xff, 0xff] } else { sum };
    packet[place..place + 2].copy_from_slice(&sum);
    true
}

/// Makes one segment's headers its own.
fn finish(layout: &Layout, segment: &mut [u8], number: usize, (offset, is_last): (usize, bool)) {
    let network = &mut segment[layout.network..];
    if network[0] >> 4 == 4 {
        let id = u16::from_be_bytes([network[4], network[5]]).wrapping_add(number as u16);
        network[4..6].copy_from_slice(&id.to_be_bytes());
    }
    layout.set_lengths(segment);
    let transport = layout.transport;
    if layout.is_tcp {
        let sequence =
            segment[transport + 4..transport + 8].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let sequence = sequence.wrapping_add(offset as u32);
        segment[transport + 4..transport + 8].copy_from_slice(&sequence.to_be_bytes());
        let flags = &mut segment[transport + 13];
        if !is_last {
            *flags &= !(TCP_FIN | TCP_PUSH);
        }
        if number > 0 {
            *flags &= !TCP_WINDOW_REDUCED;
        }
    }
    let place = layout.checksum();
    segment[place..place + 2].fill(0);
    let Some(sum) = pseudo_header(&segment[layout.network..], segment.len() - transport) else { return };
    let sum = sum.add(&segment[transport..]).complement();
    let sum = if sum == [0, 0] { [0xff, 0xff] } else { sum };
    segment[place..place + 2].copy_from_slice(&sum);
}

const TCP_FIN: u8 = 0x01;
const TCP_PUSH: u8 = 0x08;
const TCP_WINDOW_REDUCED: u8 = 0x80;
