//! Gathers what containers wrote from all nodes that it is on, for whoever asked this manager.
//!
//! A [`gatherer`] for each reader learns where the tasks are, has the leader tell those nodes' sessions that logs are
//! wanted, and asks again when a publication breaks off; what it does next is decided by [`gathering`], which does nothing
//! itself. Nodes publish straight to this manager ([`desk`] finds whom a publication is for), side by side; a node waits
//! when the reader does, and holds up nobody else. A node that is down, gone or silent costs the reader one line.
//!
//! Invariants: only a node that was asked can publish, and only as itself; everything ends with the reader.

mod desk;
mod gatherer;
mod gathering;

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use shoal_proto::model::{NodeId, ServiceId, TaskId, Timestamp};
use tokio::sync::mpsc;

pub(crate) use desk::{LogDesk, Refusal};
pub(crate) use gatherer::Gatherer;

/// Lines in the order of each task; between tasks there is none. Ends when all is said; dropping it ends the reading.
pub type LogLines = mpsc::Receiver<Vec<LogLine>>;

/// A line that a task's container wrote, or that says what is missing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written, by the certificate of who published it.
    pub node: NodeId,
    /// The task's service.
    pub service: ServiceId,
    /// Whose it is.
    pub task: TaskId,
    /// When.
    pub time: Timestamp,
    /// Which of the two outputs. What is missing is said on standard error.
    pub stream: LogStream,
    /// Labels and environment that were to be logged.
    pub details: BTreeMap<String, String>,
    /// With its newline, if it had one.
    pub text: Bytes,
}

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// The host's time.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
