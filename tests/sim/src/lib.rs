//! A whole swarm in one thread, from one seed: planes, agents, network, disks, clients and faults.
//!
//! The cores are the real ones; everything around them is modelled, and nothing that a core decides is. A [`World`]
//! takes one event after another from its [`queue`]; time is the queue's, chance is the seed's, so that a seed is the
//! same run each time, to the byte. Checkers look after every step.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod draw;
pub mod queue;
mod world;

pub use world::{World, WorldConfig};
