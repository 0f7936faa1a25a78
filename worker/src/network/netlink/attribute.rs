//! Attributes that the netlink crates have no type for: numbers in network order, text, nests.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};

/// A number in network order, as nftables wants all its numbers.
pub(super) fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

/// Bytes as they are.
pub(super) fn bytes(kind: u16, value: &[u8]) -> DefaultNla {
    DefaultNla::new(kind, value.to_vec())
}

/// Text with its closing zero.
pub(super) fn text(kind: u16, value: &str) -> DefaultNla {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    DefaultNla::new(kind, bytes)
}

/// Attributes within an attribute.
pub(super) fn nest(kind: u16, members: &[DefaultNla]) -> DefaultNla {
    let mut buffer = vec![0; members.buffer_len()];
    members.emit(&mut buffer);
    DefaultNla::new(kind | NLA_F_NESTED, buffer)
}
