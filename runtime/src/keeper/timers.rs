//! Deadlines. A deadline whose reason is gone finds nothing to do when it comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::keeper::poll::Serial;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The grace period of a stop is over; the number tells one stop from a later one.
    Kill(Serial, u64),
    /// An adopted process ended, and nobody has said how.
    ExitUnknown(Serial),
    /// Try again to remove the cgroup.
    RemoveCgroup(Serial),
    /// Try again to remove cgroups that an earlier keeper left.
    RemoveStale,
    /// Look who was killed for memory: the kernel tells before it counts.
    OomScan,
}

/// All deadlines.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Due)>>,
}

impl Timers {
    pub(super) fn add(&mut self, after: Duration, due: Due) {
        self.heap.push(Reverse((Instant::now() + after, due)));
    }

    /// How long until the next one.
    pub(super) fn next(&self) -> Option<Duration> {
        let Reverse((at, _)) = self.heap.peek()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// One that has come.
    pub(super) fn pop(&mut self) -> Option<Due> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > Instant::now() {
            return None;
        }
        self.heap.pop().map(|Reverse((_, due))| due)
    }
}
