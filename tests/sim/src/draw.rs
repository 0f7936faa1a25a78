//! All randomness of a world: one stream from one seed.

use std::ops::Range;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The only source of chance in a world.
#[derive(Debug)]
pub(crate) struct Draw {
    stream: ChaCha8Rng,
}

impl Draw {
    /// The stream of a seed.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self { stream: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A stream of its own, for a part whose draws should not move with another's.
    #[must_use]
    pub(crate) fn fork(&mut self) -> Self {
        Self { stream: ChaCha8Rng::seed_from_u64(self.bits()) }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.stream.random()
    }

    /// 128 random bits.
    pub(crate) fn wide_bits(&mut self) -> u128 {
        self.stream.random()
    }

    /// Whether something of this probability, in thousandths, happens.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.stream.random_range(0..1000) < per_mille
    }

    /// A number of the range, which must not be empty.
    pub(crate) fn number(&mut self, range: Range<u64>) -> u64 {
        self.stream.random_range(range)
    }

    /// A place in something of `length`, which must not be zero.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        self.stream.random_range(0..length)
    }

    /// One of several; `None` of nothing.
    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        if choices.is_empty() { None } else { choices.get(self.place(choices.len())) }
    }

    /// A time of the range, in microseconds.
    pub(crate) fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.number(range))
    }

    /// A time of the range, in milliseconds, to the microsecond.
    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        self.micros(range.start * 1000..range.end * 1000)
    }
}
