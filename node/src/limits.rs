//! The node's bounds, each with its reason.

use std::time::Duration;

/// For getting a certificate: a manager that has no leader at the moment finds one within that time or not at all.
pub const ENROLL_TIMEOUT: Duration = Duration::from_secs(20);
