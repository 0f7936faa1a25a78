//! The registry client: the pull side of the OCI distribution protocol, with our own transport rules.
//!
//! Owns how a registry is reached (scheme, mirrors, redirects, retries), how one proves who one is, and the mapping of
//! refusals to errors. Leaves what manifests mean and where content goes to others. Invariants: content that leaves
//! here has the digest that was asked for; credentials go only to the registry, and to the token service that it names,
//! never across a redirect to another host, and never to a mirror.

mod answer;
mod auth;
mod blob;
mod session;
mod transport;

pub(super) use blob::Step;
pub(super) use session::{Content, Session};
pub(super) use transport::Transport;

#[cfg(test)]
mod tests;
