//! What one call of the core collects before it answers.

use std::collections::BTreeSet;

use shoal_proto::model::{TaskId, Timestamp};

use crate::Action;

/// What one call of `handle` collects.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) now: Timestamp,
    /// Tasks that may have a next step.
    pub(crate) touched: BTreeSet<TaskId>,
    pub(crate) ended_changed: bool,
    pub(crate) services_changed: bool,
    pub(crate) actions: Vec<Action>,
}
