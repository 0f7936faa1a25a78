//! A seed is the same run each time, and no seed of many violates an invariant.

use shoal_sim::fleet::{run_seed, run_seeds};
use shoal_sim::{Mood, WorldConfig};

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..4 {
        let run = || run_seed(WorldConfig { seed, mood: Mood::Rough, trace: false });
        let (one, other) = (run(), run());
        assert_eq!((one.trace_hash, one.steps, one.violation), (other.trace_hash, other.steps, other.violation));
    }
}

/// The seeds that every change is tried with: a minute and a half on two processors.
const SEEDS: u64 = 500;

#[test]
fn no_seed_violates_an_invariant() {
    let failed = run_seeds(0..SEEDS, Mood::Rough, |_| {});
    let told: Vec<String> = failed.iter().map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{} of {SEEDS} seeds failed:\n{}", failed.len(), told.join("\n"));
}
