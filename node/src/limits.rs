//! The node's bounds, each with its reason.

use std::time::Duration;

/// For getting a certificate: a manager that has no leader at the moment finds one within that time or not at all.
pub const ENROLL_TIMEOUT: Duration = Duration::from_secs(20);

/// For leaving the consensus in order: an election and a commit fit in, a user's patience too.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Between attempts at a certificate: managers that are away come back at a human pace.
pub const RENEW_RETRY: Duration = Duration::from_secs(5);

/// Requests for a change of membership that wait: each comes from a person.
pub const SWARM_REQUESTS: usize = 8;

/// Messages of a pull that wait for a slow client before the pull waits too.
pub const PROGRESS_MESSAGES: usize = 256;

/// For the end of everything after a signal: half of what a service manager waits before it kills.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Ages that the key of encrypted networks may have: replacing one takes some seconds, and none should live for ever.
pub const KEY_AGES: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(720 * 60 * 60);
