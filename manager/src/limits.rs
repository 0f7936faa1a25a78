//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// Life of a root: as swarm mode's, so that it outlives the hosts.
pub const ROOT_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// Certificates hold from this much before they are made: hosts whose clocks lag accept them at once.
pub const CERTIFICATE_BACKDATE: Duration = Duration::from_secs(3600);

/// A TCP and TLS handshake on a network that works takes some round trips; a host that does not answer is given up
/// before a second election.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Between keep-alives of a connection: a host that was cut off is noticed, and connected anew when it returns, within
/// this and [`KEEP_ALIVE_TIMEOUT`], not after TCP's own minutes.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a keep-alive may stay without an answer.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A segment of the log ends after this many bytes, so that compaction, which deletes whole segments, keeps little more
/// than what is needed.
pub const SEGMENT_BYTES: u64 = 8 << 20;

/// A segment grows by this many zeros at a time: some hundreds of records are then written without the file system
/// changing its own records.
pub const SEGMENT_GROWTH_BYTES: usize = 256 << 10;
