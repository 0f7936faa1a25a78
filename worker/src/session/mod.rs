//! The session with the leader: one long gRPC stream, renewed for as long as the worker is in the swarm.
//!
//! In: reports and acknowledgements of assignments from the driver, through [`Outgoing`]. Out: inputs for the core and
//! [`WorkerEvent`](crate::WorkerEvent)s for the node. Leaves what assignments mean to the core, and how connections are
//! made to [`Connect`](crate::Connect). Beside it, `logs` publishes what containers wrote. Wire types stop here.
//!
//! Invariants: the core hears `SessionUp` before the first assignments of a session and `SessionDown` after its last;
//! what waits to be sent is bounded by the number of tasks.

mod actor;
mod backoff;
mod candidates;
mod logs;
mod outgoing;
mod stream;

pub(crate) use actor::{Session, SessionParts};
pub(crate) use logs::{Lines, LogPublisher, LogSource};
pub(crate) use outgoing::Outgoing;
