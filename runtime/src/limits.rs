//! Every bound of the runtime, with the reason for its size.

use std::time::Duration;

/// Longest body of one message between client and keeper: an environment and arguments as large as the kernel passes
/// to a program (2 MiB), doubled by escaping, fit.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Descriptors that travel with one message: stdin, stdout and stderr, or those of one container to be kept.
pub const MESSAGE_DESCRIPTORS_MAX: usize = 4;
/// How long the client waits for an answer. Starting waits for nothing but the kernel; a minute means a stuck disk.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a freshly started keeper may take to open its socket: it reads a state file for each container first.
pub const SPAWN_TIMEOUT: Duration = Duration::from_secs(20);
/// Events held for one subscriber that does not take them; more are replaced by one `Event::Lagged`. One host's
/// containers all ending at once fit.
pub const EVENTS_HELD_MAX: usize = 4096;
/// Clients connected to one keeper: `shoald`, its successor during an upgrade, and a person looking.
pub const CLIENTS_MAX: usize = 16;
/// Bytes queued to one client that does not read; beyond this it is disconnected. Twice the largest message.
pub const CLIENT_QUEUE_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;
/// Containers that one keeper looks after: each costs three descriptors of the 1,048,576 that a process may have.
pub const CONTAINERS_MAX: usize = 100_000;
/// Longest `log` text of one line, as in Docker: a longer line is written in parts, the last one ending in `\n`.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;
/// Bytes queued to one attached client that does not read; beyond this it is detached, the container never waits.
pub const ATTACH_QUEUE_BYTES_MAX: usize = 1 << 20;
/// Clients attached to one container at a time.
pub const ATTACHED_MAX: usize = 16;
/// Processes that may be running in one container by `exec` at a time.
pub const EXECS_MAX: usize = 1024;
/// Longest passwd or group file that is read from a root file system; theirs are a few KiB.
pub const ACCOUNT_FILE_BYTES_MAX: usize = 1 << 20;
/// Groups of one process: the kernel's own limit.
pub const GROUPS_MAX: usize = 65_536;
/// Longest seccomp program: the kernel's own limit (BPF_MAXINSNS).
pub const SECCOMP_INSTRUCTIONS_MAX: usize = 4096;
/// Text of one error from the child that builds a container; paths are the longest part.
pub const ERROR_DETAIL_BYTES_MAX: usize = 8 << 10;
/// Longest grace period: a deadline further away than a year is no deadline, and sums must not overflow.
pub const GRACE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Compiled seccomp programs that the keeper keeps, some 3 KiB each: a host runs few kinds of containers.
pub const FILTERS_KEPT_MAX: usize = 8;
/// Bytes read from a container at a time; what a pipe holds.
pub const OUTPUT_READ_BYTES: usize = 64 << 10;
/// Reads from one container before others get their turn.
pub const OUTPUT_READS_MAX: usize = 8;
/// How long the removal of a cgroup is tried again while the kernel still takes its processes apart.
pub const CGROUP_REMOVAL_MAX: Duration = Duration::from_secs(10);
/// Processes parked in cgroups of their own, ready to become containers: more starts at a time than this pay for their
/// move, but then they share the kernel's wait.
pub const SPARES_MAX: usize = 3;
/// How long the keeper may wait for a child to take its task: the child does nothing but read.
pub const TASK_TIMEOUT: Duration = Duration::from_secs(10);
