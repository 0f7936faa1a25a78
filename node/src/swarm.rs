//! This node's membership of a swarm.

pub mod address;
pub mod state;
