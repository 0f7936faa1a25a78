//! Test hosts: network namespaces joined by a bridge, each with a real `shoald`, driven by the stock docker client and
//! by `shoal`.
//!
//! It owns the making and the removal of everything a test uses (namespaces, links, folders, processes) and imports
//! nothing of ours: it runs the binaries, as a user does. Everything made is taken down when its owner is dropped, also
//! when a test fails; what a killed run left behind is found by its name and taken down by the next one.

#![expect(clippy::expect_used, reason = "a test that can't go on has failed")]

pub mod follow;
pub mod host;
pub mod lan;
pub mod registry;
pub mod run;
pub mod swarm;
mod sweep;
pub mod wire;

pub use follow::Follow;
pub use host::{Client, Engine, Host, binary};
pub use lan::Lan;
pub use registry::Registry;
pub use run::{Finished, run, wait_for};
pub use swarm::Swarm;
pub use wire::{Seen, Wire, forged_vxlan, send_from, within};
