//! Election timeouts that the seed determines.
//!
//! raft-rs draws a timeout from the thread's random numbers whenever it resets its election clock, and reads it only
//! when it ticks. Just before each tick we put ours in its place, drawn anew whenever the clock was reset since the last
//! one: its own draw is never looked at.

use raft::{RawNode, Storage};

use crate::random::Random;

/// The timeout in force.
#[derive(Debug)]
pub(super) struct ElectionTimeout {
    random: Random,
    bounds: (usize, usize),
    current: usize,
    elapsed: usize,
    term: u64,
}

impl ElectionTimeout {
    /// Timeouts from `bounds.0` on, below `bounds.1`, in ticks.
    pub(super) fn new(random: Random, bounds: (usize, usize)) -> Self {
        let mut timeout = Self { random, bounds, current: bounds.0, elapsed: 0, term: 0 };
        timeout.draw();
        timeout
    }

    /// To be called before each tick.
    pub(super) fn impose<T: Storage>(&mut self, node: &mut RawNode<T>) {
        let raft = &mut node.raft;
        if raft.election_elapsed < self.elapsed || raft.term != self.term {
            self.draw();
        }
        self.term = raft.term;
        raft.set_randomized_election_timeout(self.current);
        // As it will stand after this tick: a lower number before the next one tells of a reset.
        self.elapsed = raft.election_elapsed + 1;
    }

    fn draw(&mut self) {
        let (low, high) = self.bounds;
        self.current = low + usize::try_from(self.random.below((high - low) as u64)).unwrap_or(0);
    }
}
