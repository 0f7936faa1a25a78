//! Random numbers from a seed: xoshiro256**, by Blackman and Vigna.
//!
//! Good enough for identifiers and timeouts when the seed is; secrets are drawn in the shell.

use shoal_proto::model::Id;

/// A stream of numbers that its seed determines.
#[derive(Debug, Clone)]
pub(crate) struct Random([u64; 4]);

impl Random {
    /// The stream of this seed.
    pub(crate) fn new(seed: [u64; 4]) -> Self {
        // All zeros would stay zeros.
        Self(if seed == [0; 4] { [1, 2, 3, 4] } else { seed })
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        let state = &mut self.0;
        let result = state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// A stream of its own, for another part.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new([self.next(), self.next(), self.next(), self.next()])
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A fresh identifier.
    pub(crate) fn id<T: Id>(&mut self) -> T {
        T::from_random((u128::from(self.next()) << 64) | u128::from(self.next()))
    }
}
