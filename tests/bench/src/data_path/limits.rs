//! Times and amounts of the data path's measurements, each with its reason.

use std::time::Duration;

/// Longest wait for hosts, tasks and answers: some ten times what they take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A run of a client beyond the seconds that it is told: for its start inside a container, and for its last timeouts.
pub(super) const CLIENT_SLACK: Duration = Duration::from_secs(30);

/// Seconds of one run: long enough that its start (some 10 ms) does not count, short enough that a pair sees the same
/// machine.
pub(super) const RUN_SECONDS: u32 = 1;

/// Pairs of a direct and an indirect run; odd, so that a median is a run's.
pub(super) const PAIRS: usize = 7;

/// Pairs where a run lasts longer or the figure varies less.
pub(super) const PAIRS_SHORT: usize = 3;

/// Streams at once, beside one alone: two a core.
pub(super) const STREAMS: u32 = 4;

/// Connections at once of a closed loop: keeps two cores busy; more only wait longer.
pub(super) const AT_ONCE: u32 = 32;

/// Connections at once of a steady rate: what is late must not hold back the next.
pub(super) const AT_ONCE_STEADY: u32 = 1024;

/// Runs at a steady rate until one comes near it: others use the machine for a second or two at a time.
pub(super) const STEADY_TRIES: usize = 5;

/// Connections of one source in a row, as asked: more than there are ports (28,232), so each is used again within
/// seconds.
pub(super) const ROW: u32 = 50_000;

/// Containers that resolve names on one host at once.
pub(super) const ASKERS: usize = 4;

/// Queries under way of each of them: enough to keep a core busy, few enough to say how long one takes.
pub(super) const QUERIES_AT_ONCE: u32 = 4;

/// Queries a second of one host, as asked, at which the time of one counts: at the highest rate it is that of a queue.
pub(super) const QUERIES_A_SECOND: u32 = 20_000;

/// Milliseconds that a request may take: above the kernel's second repeated opening (3 s), so that what is lost and
/// what is slow are told apart.
pub(super) const REQUEST_TIMEOUT_MS: u32 = 5000;

/// Milliseconds for a request while a host is cut off: below the first repeated opening (1 s), so that a connection
/// begun to a host that is gone counts as failed, whatever becomes of it later.
pub(super) const CUT_TIMEOUT_MS: u32 = 800;

/// Longest life of a client that ends with its input: one that is left behind ends by itself.
pub(super) const CLIENT_SECONDS_MAX: u32 = 900;

/// Longest that one update may take; they take about a second.
pub(super) const UPDATE_MAX: Duration = Duration::from_secs(60);

/// Longest that the updates of one service may take together, so that the whole ends within its 12 minutes: twenty take
/// half of that.
pub(super) const UPDATES_MAX: Duration = Duration::from_secs(90);

/// Between two updates: the old task's end belongs to its own.
pub(super) const UPDATE_PAUSE: Duration = Duration::from_millis(500);

/// How long a host stays cut off: what goes wrong does so in the first seconds.
pub(super) const CUT_FOR: Duration = Duration::from_secs(5);
