//! Tells of each kind of refusal once, so that a caller that tries for ever does not fill the log.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::limits::REFUSALS_REMEMBERED;

/// What was refused to whom already.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeSet<(IpAddr, String)>>);

impl Refusals {
    /// Logs a refusal: as a warning the first time, for debugging after that.
    pub(super) fn log(&self, remote: IpAddr, reason: &str, what: &'static str) {
        if self.is_first(remote, reason) {
            tracing::warn!(%remote, reason, "{what}");
        } else {
            tracing::debug!(%remote, reason, "{what} again");
        }
    }

    fn is_first(&self, remote: IpAddr, reason: &str) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REFUSALS_REMEMBERED {
            seen.clear();
        }
        seen.insert((remote, reason.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_once() {
        let refusals = Refusals::default();
        let remote = IpAddr::from([192, 0, 2, 1]);
        assert!(refusals.is_first(remote, "why"));
        assert!(!refusals.is_first(remote, "why"));
        assert!(refusals.is_first(remote, "another"));
    }
}
