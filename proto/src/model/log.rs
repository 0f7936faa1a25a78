//! What a manager asks of a node when somebody wants to read what containers wrote there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ServiceId, TaskId, Timestamp};

/// Names a request for logs at the manager that made it; drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogRequestId(pub u64);

/// Asks a node to publish what containers wrote. Made again with the same id when its publication broke off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// Names it in what the node publishes.
    pub id: LogRequestId,
    /// host:port of the manager that is to get the lines.
    pub manager: String,
    /// Whose lines.
    pub target: LogTarget,
    /// Which of them.
    pub options: LogOptions,
    /// Where to go on, when lines were published before.
    #[serde(default)]
    pub resume: Option<LogResume>,
}

/// Whose logs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogTarget {
    /// All tasks of a service.
    Service(ServiceId),
    /// One task.
    Task(TaskId),
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// Those to come as well, also of tasks to come.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// The last of each task only; `None` is all.
    pub tail: Option<u64>,
}

/// Where to go on reading, after a publication that broke off or for a node that got its first task later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogResume {
    /// When the reading began, by the manager's clock: of tasks that are not named below, what is older is not wanted.
    pub begun: Timestamp,
    /// The time of the last line that came of each task.
    pub after: BTreeMap<TaskId, Timestamp>,
}
