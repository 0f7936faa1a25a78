//! The network data path of a host: bridges, VXLAN, namespaces of containers, published ports.
//!
//! Owns every kernel object of this daemon's networks: links, routes, neighbours, forwarding entries, one private
//! nftables table, the namespaces of endpoints. It is told whole desired sets through [`Networks`], never "what changed",
//! and leaves to others which addresses, ports and backends those are (manager, worker core) and what runs in a
//! namespace (runtime).
//!
//! How it is built: [`desired`] says what is wished, `plan` turns a wish and what is there into a [`NetworkPlan`] (data,
//! printable), `executor` performs the plan over netlink and chooses nothing, `actor` owns both on one thread that lives
//! in the namespace where [`Networks::start`] was called. `netlink` alone knows the kernel's encodings, `ebpf` has the
//! programs that translate virtual addresses.
//!
//! Invariants: no object is touched that does not carry this daemon's tag in its name; a change of the ruleset is one
//! transaction; a removed wish leaves nothing behind; the state on disk names at least what the kernel holds.

mod actor;
mod config;
mod desired;
mod ebpf;
mod error;
mod executor;
mod firewall;
mod handle;
mod limits;
mod listening;
mod netlink;
mod plan;
mod ports;
mod sockets;
mod state;
mod subnet;
mod tunnel;
mod tunnel_keys;

#[cfg(test)]
mod tests;

pub use config::{NetworkConfig, Tag, UnknownTranslation, VipTranslation};
pub use desired::{
    Attachment, AttachmentNetwork, Backend, Endpoint, EndpointRequest, HostPort, MacAddress, NetworkKind,
    NetworkPlanInput, Peer, PublishedPort, PublishedService, TunnelEnd, VirtualService,
};
pub use error::NetworkError;
pub use handle::{Networks, ShownVips};
pub use listening::await_listeners;
pub use netlink::FrameSocket;
pub use sockets::ResolverSockets;
pub use tunnel_keys::TunnelKeys;
