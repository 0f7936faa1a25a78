//! All that a worker decides: which image to pull, which container to start, stop and remove, what to report.
//!
//! Synchronous and deterministic: time comes with each call of [`WorkerCore::handle`], nothing is read or written here.
//! The shell (shoal-worker) and the simulator perform the [`Action`]s and feed the results back as [`Input`]s.
//!
//! How it is built: [`core`](WorkerCore) owns the set of assignments and routes inputs; `task` is the machine of one task,
//! whose `step` looks at what is wanted and what is known and names the next action; `images` shares one pull among
//! tasks; `datapath` follows networks, peers and published services; `reach` follows which other hosts
//! answer; `payloads` holds secrets and configs, and makes of a spec's templates what they come to; `verifier` compares
//! the kernel with the set when the leader asks; `outbox` numbers the reports.
//!
//! Invariants: one operation a task is under way; a reported state never sinks; a container is started once, unless the
//! host was restarted; what is on disk is never behind what the outside was told.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod action;
mod config;
mod core;
mod datapath;
mod images;
mod input;
mod outbox;
mod payloads;
mod reach;
mod retry;
mod saved;
mod step;
mod task;
mod turn;
mod verifier;

pub use self::core::WorkerCore;
pub use action::{Action, ContainerFile, EndpointPlan, NetworkNamespace, PullId};
pub use config::{CoreConfig, CoreLimits};
pub use input::{AdoptedContainer, AdoptedState, ContainerExit, EndpointInfo, Failure, FailureKind, Input, Operation};
pub use saved::Saved;
