//! The effects around a manager's control plane: log on disk, transport between managers, gRPC services, CA keys.
//!
//! What a manager decides is in `shoal-manager-core`; this crate performs it. A [`Manager`] is made, joined or started
//! from a [`ManagerConfig`]; a [`ManagerHandle`] asks it. Inside, the `driver` owns plane, log, peers and sessions;
//! `grpc` is the door, `logs` gathers what containers wrote, `transport` the way to the other managers, `leader` the way of a carried call. [`ca`] makes and
//! checks certificates and tokens, [`log`] is the log on disk, [`tls`] makes connections to managers; these three serve
//! the node as well.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ca;
mod config;
mod driver;
mod grpc;
mod handle;
mod leader;
pub mod limits;
pub mod log;
mod logs;
mod manager;
mod member;
pub mod tls;
mod transport;

pub use config::{DataKey, InitParameters, ManagerConfig};
pub use handle::{LocalStatus, ManagerHandle, MemberStatus};
pub use logs::{LogLine, LogLines, LogStream};
pub use manager::{Manager, ManagerEnd, ManagerError};
pub use member::MemberFileError;
pub use shoal_manager_core::{Change, ChangeSet, Difference, Leadership, Member};
