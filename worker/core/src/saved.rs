//! What survives a restart of the worker: its assignments, and how tasks ended.
//!
//! Containers are not in it: they are found, which is `Adopted`. How a task ended is, since it can't be told from a
//! container whether it was asked to end, and some tasks end without one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use shoal_proto::model::{AssignmentSet, TaskId, TaskStatus};

/// What the disk held: the last of each `Persist` action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Of the last `PersistAssignments`; `None` when there was none, or it can't be read. Then containers that are found
    /// wait for the first assignments.
    pub assignments: Option<AssignmentSet>,
    /// Of the last `PersistEnded`.
    pub ended: BTreeMap<TaskId, TaskStatus>,
}
