//! shoald, the daemon: assembles this host's worker and, when its role says so, its manager, and serves the API.
//!
//! It owns what is the host's own business: settings, the node's identity (key, certificate, renewal), membership of a
//! swarm (init, join, leave, promotion, demotion) and the doors' translation between Docker's words and the model. What
//! a swarm decides is the manager's, what a container is, the worker's.

#![forbid(unsafe_code)]

pub mod backend;
pub mod daemon;
pub mod docker;
pub mod events;
pub mod host;
pub mod identity;
pub mod limits;
pub mod logging;
pub mod pidfile;
pub mod settings;
pub mod swarm;
