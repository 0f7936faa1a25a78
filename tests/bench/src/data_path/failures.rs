//! What failed, when, and how that lies to what was done meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One request that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// When it was begun, since the epoch.
    pub(super) begun: Duration,
    took: Duration,
    /// Refused, reset and so on.
    pub(super) kind: String,
    /// `new`, `kept` or `kept-new`, the first request of a connection that was to be kept.
    pub(super) connection: String,
    through: String,
}

impl Failure {
    /// Reads what a client prints of a failure.
    ///
    /// # Panics
    /// When it is something else.
    pub(super) fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let micros = |word: &str| word.parse().ok().map(Duration::from_micros);
        let [begun, took, kind, connection, through] = words[..] else { panic!("no failure: {line}") };
        let (Some(begun), Some(took)) = (micros(begun), micros(took)) else { panic!("no times: {line}") };
        Self { begun, took, kind: kind.into(), connection: connection.into(), through: through.into() }
    }

    /// Whether it needed a connection of its own.
    pub(super) fn of_new_connection(&self) -> bool {
        self.connection != "kept"
    }
}

/// Something done while requests were made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) begun: Duration,
    pub(super) done: Duration,
}

/// Since the epoch, by the clock that clients tell failures by.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Failures beside the events that they fell on.
#[derive(Debug)]
pub(super) struct Account<'a> {
    pub(super) failures: &'a [Failure],
    pub(super) events: &'a [Event],
}

/// Failures told one by one, of the first and of the last; of more, their kinds are enough.
const TOLD: usize = 15;

impl fmt::Display for Account<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
        for failure in self.failures {
            *kinds.entry((&failure.kind, &failure.connection, &failure.through)).or_default() += 1;
        }
        for ((kind, connection, through), count) in kinds {
            writeln!(out, "    {count} {kind}, {connection} connection, through {through}")?;
        }
        let last = self.failures.len().saturating_sub(TOLD).max(TOLD);
        for (number, failure) in self.failures.iter().enumerate() {
            if number < TOLD || number >= last {
                writeln!(out, "    {}", self.told(failure))?;
            }
        }
        Ok(())
    }
}

impl Account<'_> {
    fn told(&self, failure: &Failure) -> String {
        let what = format!(
            "{} of a {} connection through {} after {:.1} ms",
            failure.kind,
            failure.connection,
            failure.through,
            failure.took.as_secs_f64() * 1e3
        );
        let Some((number, event)) = self.events.iter().enumerate().rfind(|(_, event)| event.begun <= failure.begun)
        else {
            return format!("before all: {what}");
        };
        let after = |from: Duration| (failure.begun.as_secs_f64() - from.as_secs_f64()) * 1e3;
        format!(
            "{number}: {:+.1} ms from its begin, {:+.1} ms from its end: {what}",
            after(event.begun),
            after(event.done)
        )
    }
}
