//! The future of a world: what will happen, ordered by time and, within one time, by the order in which it was planned.
//!
//! Owns the virtual clock. Nothing else in a world knows what time it is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use shoal_proto::model::Timestamp;

/// Events of one world, and its clock.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    now: Timestamp,
    planned: u64,
    heap: BinaryHeap<Reverse<Planned<E>>>,
}

impl<E> Queue<E> {
    /// An empty future that begins at `now`.
    #[must_use]
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, planned: 0, heap: BinaryHeap::new() }
    }

    /// The time of the event that was taken last.
    #[must_use]
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// How many events are planned.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is planned.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Plans an event `after` from now, behind all that are planned for the same time already.
    pub(crate) fn plan(&mut self, after: Duration, event: E) {
        self.plan_at(self.now + after, event);
    }

    /// Plans an event; one that would lie in the past happens now.
    pub(crate) fn plan_at(&mut self, at: Timestamp, event: E) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at: at.max(self.now), sequence: self.planned, event }));
    }

    /// Takes the next event and moves the clock to it.
    pub(crate) fn take(&mut self) -> Option<E> {
        let Reverse(next) = self.heap.pop()?;
        self.now = next.at;
        Some(next.event)
    }
}

#[derive(Debug)]
struct Planned<E> {
    at: Timestamp,
    sequence: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_by_time_then_by_plan() {
        let mut queue = Queue::new(Timestamp(100));
        queue.plan(Duration::from_nanos(5), "second");
        queue.plan(Duration::from_nanos(5), "third");
        queue.plan(Duration::from_nanos(1), "first");
        queue.plan_at(Timestamp(0), "now");
        let order: Vec<_> = std::iter::from_fn(|| queue.take().map(|event| (queue.now().0, event))).collect();
        assert_eq!(order, [(100, "now"), (101, "first"), (105, "second"), (105, "third")]);
    }
}
