//! Pauses between attempts: doubling, bounded, and spread so that workers do not return in step.

use std::time::Duration;

use rand::Rng;

use crate::limits::{RECONNECT_FIRST, RECONNECT_MAX};

/// Pauses between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: RECONNECT_FIRST }
    }

    /// A session was established: the next loss is answered fast again.
    pub(super) fn succeeded(&mut self) {
        self.next = RECONNECT_FIRST;
    }

    /// The next pause: between half and all of the present step.
    pub(super) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(RECONNECT_MAX);
        step.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_start_anew() {
        let mut backoff = Backoff::new();
        assert!((RECONNECT_FIRST / 2..=RECONNECT_FIRST).contains(&backoff.pause()));
        let longest = (0..20).map(|_| backoff.pause()).max().unwrap();
        assert!(longest <= RECONNECT_MAX && longest > RECONNECT_FIRST);
        backoff.succeeded();
        assert!(backoff.pause() <= RECONNECT_FIRST);
    }
}
