//! The Docker Engine API: its JSON as Rust types, and (feature `server`) an HTTP server that speaks it in front of a
//! [`Backend`] that this crate declares and the daemon implements.
//!
//! Owns what travels over the socket: paths, queries, bodies, versions, statuses, streams. Knows no store, no
//! runtime and no other crate of Shoal.

pub mod types;
