//! Every bound of the worker's shell, with the reason for its size. Images and networks have their own.

use std::time::Duration;

/// Inputs waiting for the core: a thousand tasks may each report a step at once; more wait in their own operation.
pub(crate) const INPUTS_WAITING: usize = 1024;
/// Inputs taken in one turn before actions are performed: enough to make one write and one report of a burst.
pub(crate) const INPUTS_A_TURN: usize = 256;
/// Requests to the worker waiting: the node sends one at a time.
pub(crate) const REQUESTS_WAITING: usize = 8;
/// Events for the node waiting: they are rare, and the node takes them at once.
pub(crate) const EVENTS_WAITING: usize = 64;
/// Containers made or started side by side: each holds a blocking thread and a slot of the keeper, and beyond a few a
/// core they only wait for each other.
pub(crate) const STARTS_AT_ONCE: usize = 16;
/// Containers removed side by side: removal waits for the disk, not for the processor.
pub(crate) const REMOVALS_AT_ONCE: usize = 32;
/// Images pulled side by side; each fetches its layers in parallel by itself.
pub(crate) const PULLS_AT_ONCE: usize = 4;
/// Frames to the leader waiting for the network. Reports are coalesced before they become frames.
pub(crate) const FRAMES_WAITING: usize = 16;
/// Largest message from the leader: the whole set of some thousand tasks.
pub(crate) const ASSIGNMENT_BYTES_MAX: usize = 64 << 20;
/// To connect, register and be welcomed: as long as a leader may be silent before it counts as gone. One that is there
/// answers in milliseconds, on a crowded host in a second.
pub(crate) const REGISTER_TIMEOUT: Duration = Duration::from_secs(3);
/// The first pause after a lost session: a new leader needs about as long.
pub(crate) const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// The longest pause: a manager that is back is noticed within this, and a thousand workers do not flood it.
pub(crate) const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// The period of heartbeats until the leader tells its own.
pub(crate) const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(1);
/// The shortest and the longest period that is believed.
pub(crate) const HEARTBEAT_RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));
/// Missed heartbeats after which a leader counts as gone; the leader counts the same way.
pub(crate) const HEARTBEATS_MISSED: u32 = 3;
/// Refusals in a row as none of the swarm after which a worker believes it: a leader that was just deposed may not know
/// of a node that has just joined, and is deposed for good within two pauses.
pub(crate) const REMOVALS_BELIEVED: u32 = 3;
/// Pause before each of them is repeated, and between attempts of a worker that believes it: nothing but leaving and
/// joining again mends that.
pub(crate) const REMOVED_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Redirects followed in a row before a pause: managers that name each other during an election must not spin us.
pub(crate) const REDIRECTS_MAX: u32 = 3;
/// For all tasks to end after the swarm is left: a usual grace period, and time to clean up.
pub(crate) const LEAVE_TIMEOUT: Duration = Duration::from_secs(30);
/// Managers that are remembered: more than any swarm has.
pub(crate) const MANAGERS_MAX: usize = 64;
/// Local events held for those who ask late, and for each reader that is slow: a few minutes of a busy host.
pub(crate) const EVENT_HISTORY: usize = 1024;
/// Execs whose outcome is remembered after their end; a client asks right after. The oldest goes first.
pub(crate) const EXECS_REMEMBERED: usize = 1024;
/// Bytes of a log read at once.
pub(crate) const LOG_CHUNK_BYTES: usize = 64 << 10;
/// Longest line of a log file that is read: 16 KiB of output, each byte escaped to six, and its attributes.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 256 << 10;
/// Rotated log files that are looked for.
pub(crate) const LOG_FILES_MAX: u32 = 1000;
/// Requests for logs that wait for the publisher, which takes them at once; what finds no room is asked for again.
pub(crate) const LOG_REQUESTS_WAITING: usize = 64;
/// Readings of logs at a time: each holds a connection, and some open files for each container.
pub(crate) const PUBLICATIONS_MAX: usize = 64;
/// Batches of one reading that wait for the network: one is sent while the next is gathered.
pub(crate) const LOG_BATCHES_WAITING: usize = 2;
/// A batch of lines is sent once it has this many bytes: it spares messages, and is far below what managers take.
pub(crate) const LOG_BATCH_BYTES: usize = 64 << 10;
/// Volumes' folders nest no deeper than this while they are copied from an image; the kernel's paths end before.
pub(crate) const COPY_DEPTH_MAX: usize = 256;
/// Results of health checks kept for each container: Docker's number.
pub(crate) const HEALTH_RESULTS_KEPT: usize = 5;
/// Output kept of each stream of a health check: Docker's number.
pub(crate) const HEALTH_OUTPUT_BYTES_MAX: u64 = 4096;
/// Between two probes of a host: with [`PROBES_MISSED`] a host that is cut off is avoided within half a second.
pub(crate) const PROBE_PERIOD: Duration = Duration::from_millis(100);
/// Probes that may go unanswered: two lost frames and a pause of the host's processor are borne.
pub(crate) const PROBES_MISSED: u64 = 3;
/// A beat that comes later than this after the one before counts against nobody: this host was held up itself.
pub(crate) const PROBE_LATENESS_MAX: Duration = Duration::from_millis(200);
/// Changes of who is probed that wait; each replaces the one before.
pub(crate) const PROBE_COMMANDS_WAITING: usize = 4;
/// Frames taken before others have their turn: the probes of a second from all who may probe this host.
pub(crate) const PROBE_FRAMES_A_TURN: usize = 320;

/// Age at which the key of encrypted networks is replaced: dockerd's.
pub(crate) const TUNNEL_KEY_AGE: Duration = Duration::from_secs(12 * 60 * 60);
