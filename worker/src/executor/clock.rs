//! The time that the core is given: the host's at start, moved on by the monotonic clock.
//!
//! A clock that is set while the worker runs must not move its deadlines.

use std::time::Instant;

use shoal_proto::model::Timestamp;

/// The time that the core is given.
#[derive(Debug)]
pub(super) struct Clock {
    wall: Timestamp,
    since: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { wall: crate::events::now(), since: Instant::now() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.wall + self.since.elapsed()
    }
}
