//! The kernel's doors: netlink sockets, the encodings of links, routes and rules, namespaces.
//!
//! `channel` carries messages and matches answers, `route` and `nftables` turn steps and changes into messages,
//! `namespace` makes and mounts network namespaces. Everything here is synchronous and belongs to one thread, because a
//! netlink socket belongs to the namespace where it was made. Leaves every decision to the plan.

mod attribute;
mod channel;
mod connections;
mod cookie;
mod namespace;
mod nftables;
mod packet;
mod reaper;
mod route;
mod sockets;
mod tun;

pub(super) use channel::{Channel, Refusal};
pub(super) use cookie::{cookie_of, namespace_cookie};
pub(super) use namespace::{Namespace, SparePool, in_throw_away_thread, mount_namespace, unmount_namespace};
pub(super) use nftables::{FoundChain, chains, commit, generation, published, translations};
pub use packet::FrameSocket;
pub(super) use reaper::Reaper;
pub(super) use route::{FoundLink, RouteChannel};
pub(super) use sockets::Listeners;
pub(super) use tun::TunQueue;
