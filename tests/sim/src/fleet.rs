//! Many worlds, side by side: one a thread, each from its own seed.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Mood, Violation, World, WorldConfig};

/// How one world ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Which.
    pub config: WorldConfig,
    /// The first violation, if there was one.
    pub violation: Option<Violation>,
    /// The digest of all that happened.
    pub trace_hash: u64,
    /// Events.
    pub steps: u64,
    /// Nanoseconds of the world's time.
    pub lived: i64,
    /// What it took here.
    pub took: Duration,
    /// What it did, in numbers.
    pub tally: String,
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.config.seed;
        let (lived, took) = (self.lived as f64 / 1e9, self.took.as_millis());
        write!(
            out,
            "seed {seed}: {} events in {lived:.1} s, took {took} ms, trace {:016x}",
            self.steps, self.trace_hash
        )?;
        write!(out, "; {}", self.tally)?;
        let Some(violation) = &self.violation else { return Ok(()) };
        let quiet = if self.config.mood == Mood::Quiet { " --quiet" } else { "" };
        write!(out, "\n  {violation}\n  replay: cargo run -p shoal-sim -- --seed {seed}{quiet}")
    }
}

/// Runs one seed to its end.
#[must_use]
pub fn run_seed(config: WorldConfig) -> Ending {
    let begun = Instant::now();
    let mut world = World::new(config);
    // A core that panics takes its daemon with it, on every host where the same happens.
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let violation = match run {
        Ok(outcome) => outcome.err(),
        Err(panic) => Some(Violation { invariant: "no core panics", found: panic_text(panic.as_ref()) }),
    };
    Ending {
        config,
        violation,
        trace_hash: world.trace_hash(),
        steps: world.steps(),
        lived: world.now().0,
        took: begun.elapsed(),
        tally: world.tally(),
    }
}

/// Runs all seeds on as many threads as there are processors; those that failed, in order. `ended` hears of each.
pub fn run_seeds(seeds: Range<u64>, mood: Mood, ended: impl Fn(&Ending) + Sync) -> Vec<Ending> {
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let ending = run_seed(WorldConfig { seed, mood, trace: false });
                    ended(&ending);
                    if ending.violation.is_some()
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.push(ending);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_default();
    failed.sort_by_key(|ending| ending.config.seed);
    failed
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
