//! This node's membership of a swarm: init, join, leave, and what follows from its role.
//!
//! Owns the node's credentials on disk and in use, the memory of the swarm, and the manager while this node is one; tells
//! the worker whom to serve. Everything else asks through [`SwarmHandle`] and reads [`SwarmView`]. Invariants: a node is
//! in a swarm exactly when its state file says so, and that file is written last and removed first; a manager runs
//! exactly while the certificate says manager.

mod actor;
pub mod address;
mod error;
mod handle;
mod join;
mod member;
pub mod state;
mod view;

pub use join::now;

pub use actor::{SwarmNode, SwarmNodeConfig};
pub use error::SwarmError;
pub use handle::{InitParameters, JoinParameters, SwarmHandle};
pub use view::{Membership, SwarmView};
