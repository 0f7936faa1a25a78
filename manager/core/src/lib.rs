//! All that a manager decides: consensus, admission, reconciliation, scheduling, dispatch.
//!
//! Synchronous and deterministic: time comes with each call of [`ControlPlane::handle`], randomness with
//! [`PlaneConfig::seed`]; nothing is read or written here. The shell (shoal-manager) and the simulator perform the
//! [`Output`]s and feed the results back as [`Input`]s. The same inputs give the same outputs, to the byte.
//!
//! How it is built: `plane` routes inputs and owns the parts; `replica` is the consensus and its log in memory; [`store`]
//! holds the tables that the log describes, and the leader's draft that runs ahead of them; `leader` is all that a leader
//! has, as one value; `control` and `admit` take requests; [`deciders`] say what should come next; `dispatch` tells
//! workers.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod admit;
mod config;
mod control;
pub mod deciders;
mod dispatch;
mod input;
mod leader;
pub mod limits;
mod output;
mod plane;
mod random;
mod replica;
pub mod store;

pub use config::{PlaneConfig, RestoreError, Restored};
pub use dispatch::SessionView;
pub use input::{Input, NewSwarm, RequestId, SessionId, SnapshotOutcome};
pub use output::{
    Answer, Change, ChangeSet, CloseReason, Difference, Leadership, LogEntry, Member, ObjectKey, Output, Persist,
    SnapshotRecord,
};
pub use plane::ControlPlane;
