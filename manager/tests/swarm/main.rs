//! Whole managers in one process: real gRPC and TLS on loopback ports, real logs in temporary directories.
//!
//! Every test waits on events of the managers themselves, each under a generous deadline.

#![expect(clippy::unwrap_used, reason = "a test fails where it breaks")]

mod access;
mod credentials;
mod disk;
mod host;
mod leadership;
mod membership;
mod sessions;
mod worker;
