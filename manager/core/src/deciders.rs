//! Decisions over the tables: what should come next so that the swarm becomes what was asked for.
//!
//! Each is a function of the tables and the time that answers a [`Plan`], and is asked again whenever something has
//! changed that may matter; a question too many changes nothing, a question too few is made up for by the next pass over
//! everything. [`execute`] performs plans and chooses nothing.

pub mod allocator;
pub(crate) mod condition;
pub mod constraint;
pub mod enforcer;
mod execute;
pub mod global;
pub mod job;
pub mod liveness;
pub mod membership;
pub mod memory;
mod plan;
pub mod reaper;
pub mod replicated;
pub mod restart;
pub mod scheduler;
pub mod subnet;
pub mod suspicion;
pub mod update;

pub(crate) use execute::execute;
pub use plan::{Plan, Step};
