//! What the tests of several modules share: a manager that a test plays, and containers that wrote nothing.

mod logs;
mod manager;

pub(crate) use logs::NoLogs;
pub(crate) use manager::{FakeManager, Leading, Plain, task_id};
