//! How often and how soon a step that failed is tried again.

use shoal_proto::model::Timestamp;

use crate::CoreLimits;

/// The failures of the step that comes next; forgotten when it succeeds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retry {
    failures: u32,
    not_before: Timestamp,
}

impl Retry {
    /// Notes a failure: the next attempt waits twice as long as the one before, up to the limit.
    pub(crate) fn failed(&mut self, now: Timestamp, limits: &CoreLimits) {
        let doubled = limits.retry_first.saturating_mul(1 << self.failures.min(16));
        self.not_before = now + doubled.min(limits.retry_max);
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether the step has failed too often to be tried again on the way up.
    pub(crate) fn is_exhausted(&self, limits: &CoreLimits) -> bool {
        self.failures > limits.retries
    }

    /// When to try again, while that is still to come.
    pub(crate) fn wait(&self, now: Timestamp) -> Option<Timestamp> {
        (self.failures > 0 && now < self.not_before).then_some(self.not_before)
    }

    /// The step succeeded.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }
}
