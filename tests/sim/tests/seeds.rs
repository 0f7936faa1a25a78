//! A seed is the same run each time.

use shoal_sim::fleet::run_seed;
use shoal_sim::{Mood, WorldConfig};

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..4 {
        let run = || run_seed(WorldConfig { seed, mood: Mood::Rough, trace: false });
        let (one, other) = (run(), run());
        assert_eq!((one.trace_hash, one.steps, one.violation), (other.trace_hash, other.steps, other.violation));
    }
}
