//! Plans: what to do, in order, as data that prints.
//!
//! `network`, `endpoint`, `peers`, `tunnel` and `sweep` each turn a wish and what is there into a [`NetworkPlan`]; they choose, the
//! executor performs. Invariant: performing a plan twice is harmless, and a plan cut off at any step is finished by the
//! next plan for the same wish.

mod endpoint;
mod network;
mod peers;
mod step;
mod sweep;
mod tunnel;

#[cfg(test)]
mod golden;

pub(super) use endpoint::{EndpointPlace, Interface, InterfaceRole, endpoint_plan, endpoint_removal};
pub(super) use network::{PlacedNetwork, Underlay, bridge_plan, network_plan, network_removal};
pub(super) use peers::{PeerTable, peer_plan};
pub(super) use step::{NetworkPlan, Place, Port, Route, Step};
pub(super) use sweep::{Leftovers, sweep_plan};
pub(super) use tunnel::{TunnelPlace, tunnel_plan, tunnel_removal};
