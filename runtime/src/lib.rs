//! The OCI runtime of Shoal: what a container is (`spec`), how one is made (`plan`, then `executor`), and who looks
//! after it while it lives (`keeper`, reached through `client`).
//!
//! The library is linked by `shoald` for its types and its client; the binary `shoal-runtime` holds the keeper.
//! Nothing here is asynchronous and nothing touches a network. All unsafe code lives in `sys`.

pub mod capability;
mod cgroup;
pub mod client;
pub mod defaults;
mod executor;
pub mod failure;
pub mod keeper;
pub mod limits;
mod plan;
pub mod seccomp;
pub mod signal;
pub mod spec;
pub mod state;
mod sys;
mod wire;
