//! A whole swarm in one thread, from one seed: planes, agents, network, disks, clients and faults.
//!
//! The cores are the real ones; everything around them is modelled, and nothing that a core decides is. A [`World`]
//! takes one event after another from its queue; time is the queue's, chance is the seed's, so that a seed is the same
//! run each time, to the byte. Checkers look after every step, and once faults have stopped the world must become as
//! its clients wished, and stay so. [`fleet`] runs many seeds side by side, a world a thread.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod client;
mod draw;
mod event;
pub mod fleet;
mod host;
mod limits;
mod network;
mod queue;
mod stream;
mod text;
mod trace;
mod world;

pub use check::Violation;
pub use world::{Mood, StepReport, World, WorldConfig};
