//! The effects around a manager's control plane: log on disk, transport between managers, gRPC services, CA keys.
//!
//! What a manager decides is in `shoal-manager-core`; this crate performs it. [`ca`] makes and checks certificates and
//! tokens; [`tls`] makes connections to managers; [`ManagerConfig`] and [`InitParameters`] are what a node hands in.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ca;
mod config;
pub mod limits;
pub mod log;
pub mod tls;

pub use config::{DataKey, InitParameters, ManagerConfig};
