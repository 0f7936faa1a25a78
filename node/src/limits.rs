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

/// Events of the swarm's objects that are kept for those who ask late: some hours of a swarm that is worked on.
pub const SWARM_EVENTS_KEPT: usize = 1024;

/// Events of tasks that are kept, and that one who reads slowly may lag behind: a service of a thousand tasks that
/// starts makes some ten thousand, of which the last tell how it went.
pub const TASK_EVENTS_KEPT: usize = 4096;
