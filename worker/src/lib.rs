//! A worker: everything that a host does to run its tasks.
//!
//! [`Worker::start`] brings up what a host has in a swarm or not: images, volumes, the containers that its keeper holds.
//! [`WorkerHandle::join_swarm`] puts it to the service of managers: `session` hears assignments, the core
//! (shoal-worker-core) decides, `executor` performs, `image`, `network`, `volumes` and `container` are what it works with,
//! `state` remembers for the next start. Leaves to the node: certificates, the manager, the API.
//!
//! Invariants: every decision about tasks is the core's; a restart of the process disturbs no container; without a manager
//! in reach the last assignments stay in force.

pub mod config;
pub mod container;
mod error;
pub mod events;
mod executor;
pub mod image;
mod limits;
pub mod network;
mod probe;
mod resolver;
mod session;
mod state;
mod swarm;
#[cfg(test)]
mod testing;
pub mod volumes;
mod worker;

pub use config::WorkerConfig;
pub use error::WorkerError;
pub use swarm::{Connect, SwarmSession, WorkerEvent};
pub use worker::{Worker, WorkerHandle};
