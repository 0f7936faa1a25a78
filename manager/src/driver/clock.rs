//! The time that enters the plane: the wall clock's, made steady.
//!
//! The plane measures silences with it, so a wall clock that is set forward must not make every worker look silent, and
//! one that is set back must not stop time. It runs with the monotonic clock and follows the wall clock slowly.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use shoal_proto::model::Timestamp;

/// How much of the time that passes is spent on following the wall clock: as little as no deadline notices.
const SLEW_DIVISOR: i64 = 100;

#[derive(Debug)]
pub(super) struct Clock {
    now: Timestamp,
    read_at: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: wall(), read_at: Instant::now() }
    }
}

impl Clock {
    pub(super) fn now(&mut self) -> Timestamp {
        let read_at = Instant::now();
        let passed = read_at.saturating_duration_since(self.read_at);
        self.read_at = read_at;
        self.now = advance(self.now, passed, wall());
        self.now
    }
}

fn advance(now: Timestamp, passed: Duration, wall: Timestamp) -> Timestamp {
    let steady = now + passed;
    let bound = i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX) / SLEW_DIVISOR;
    Timestamp(steady.0 + wall.0.saturating_sub(steady.0).clamp(-bound, bound))
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_wall_clock_slowly_and_never_goes_back() {
        let second = Duration::from_secs(1);
        let now = Timestamp(1_000_000_000_000);
        assert_eq!(advance(now, second, now + second), now + second);
        assert_eq!(advance(now, second, now + second * 3600), now + second + second / 100);
        assert_eq!(advance(now, second, Timestamp(0)), now + (second - second / 100));
        assert_eq!(advance(now, Duration::ZERO, Timestamp(0)), now);
    }
}
