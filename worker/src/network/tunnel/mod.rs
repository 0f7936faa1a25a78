//! The tunnel that encrypted networks go through: WireGuard between hosts, in user space, over a TAP device.
//!
//! Owns threads, sessions and this node's keys. Leaves the device's address and routes to `plan`, and who the peers are
//! to `actor`. The protocol's cryptography is boringtun's; here are only the ways in and out of it.
//!
//! How a packet goes: the kernel's VXLAN device hands a large piece to the TAP device, `outbound` has `segment` cut it,
//! has a `link` encrypt each packet, and sends them in one call of `socket`; at the other end `inbound` receives them in
//! one call, decrypts, and `coalesce` joins them into one piece again. `table` says who the peers are.
//!
//! Invariants: packets of one connection keep their order; a peer speaks from its own address only; no queue is longer
//! than the kernel's own and the library's 256 packets a peer without a session.

mod coalesce;
mod engine;
mod frame;
mod inbound;
mod keyring;
mod link;
mod outbound;
mod segment;
mod socket;
mod table;

#[cfg(test)]
mod tests;

use std::net::{Ipv6Addr, SocketAddr};

use shoal_proto::model::TunnelKey;

pub(super) use engine::{Tunnel, TunnelConfig};
pub(super) use frame::DEVICE_MAC;
pub(super) use keyring::{KeyStep, Keyring};

/// A host at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TunnelPeer {
    /// Its address in the tunnel.
    pub(super) address: Ipv6Addr,
    /// Where datagrams for it go.
    pub(super) endpoint: SocketAddr,
    /// Its keys, the one in use first.
    pub(super) keys: Vec<TunnelKey>,
}
