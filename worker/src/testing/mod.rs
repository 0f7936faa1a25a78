//! What the tests of several modules share: a manager that a test plays.

mod manager;

pub(crate) use manager::{FakeManager, Leading, Plain, task_id};
