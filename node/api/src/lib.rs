//! The Docker Engine API: its JSON as Rust types, and (feature `server`) an HTTP server that speaks it in front of a
//! `Backend` that this crate declares and the daemon implements.
//!
//! Owns what travels over the socket: paths, queries, bodies, versions, statuses, streams. Knows no store, no
//! runtime and no other crate of Shoal. A client takes the types alone: `default-features = false`.

pub mod types;

#[cfg(feature = "server")]
mod backend;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod limits;
#[cfg(feature = "server")]
mod query;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use backend::{
    Backend, ByteReader, ByteWriter, ContainerBackend, EventFeed, ExecOutput, ExecStarted, ExecStreams, ImageBackend,
    LogFeed, LogRecord, NetworkBackend, OutputStream, SecretBackend, ServiceBackend, SwarmBackend, SwarmMembership,
    SystemBackend,
};
#[cfg(feature = "server")]
pub use error::{ApiError, ErrorKind};
#[cfg(feature = "server")]
pub use query::{
    ContainerListQuery, ImageListQuery, ImageRemoveQuery, LogStreams, LogsQuery, NetworkInspectQuery,
    NetworkPruneQuery, PullRequest, RegistryAuthFrom, ServiceCreateQuery, ServiceListQuery, ServiceUpdateQuery,
    SwarmUpdateQuery, TerminalSize, TokenRotation,
};
#[cfg(feature = "server")]
pub use server::{ListenAddress, ListenError, Listener, serve};
