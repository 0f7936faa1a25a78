//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// Bytes of one consensus message without a snapshot's data: more than one batch of entries, and small enough that a
/// receiver holds many.
pub const MESSAGE_BYTES: usize = 4 << 20;

/// Bytes of entries in one append: a lagging follower catches up in few messages, none of which holds up a heartbeat.
pub const APPEND_BYTES: u64 = 1 << 20;

/// Appends under way to one follower. With [`APPEND_BYTES`] this bounds what a slow follower makes the leader keep.
pub const APPENDS_IN_FLIGHT: usize = 64;

/// Weight of one batch of writes, where a task weighs one: an entry then stays well under [`MESSAGE_BYTES`].
pub const BATCH_WEIGHT: usize = 1000;

/// What an object with a service's spec weighs in a batch: it may hold a large configuration.
pub const SERVICE_WEIGHT: usize = 50;

/// What a secret or a config weighs in a batch: two of [`CONFIG_BYTES`] and a thousand tasks fit into one entry.
pub const PAYLOAD_WEIGHT: usize = BATCH_WEIGHT / 2;

/// A secret is smaller than this, in bytes, as swarm mode.
pub const SECRET_BYTES: usize = 500 << 10;

/// A config is smaller than this, in bytes, as swarm mode.
pub const CONFIG_BYTES: usize = 1000 << 10;

/// Characters of a secret's or config's name, as swarm mode.
pub const PAYLOAD_NAME_LENGTH: usize = 64;

/// Secrets and configs of one task: each is a mount, and a kernel has 100,000 mounts for all containers of a host.
pub const PAYLOADS_A_TASK: usize = 256;

/// The most that a file's mode may say: permissions, no set-user-id.
pub const PAYLOAD_MODE_MAX: u32 = 0o777;

/// Bytes of secrets and configs told to a worker by one difference, beside the one that passes it: the rest follows in
/// the next, so that no difference is too large for a message.
pub const PAYLOAD_BYTES_A_DIFFERENCE: usize = 4 << 20;

/// Bytes of a service's spec, encoded: several of them fit into one entry.
pub const SPEC_BYTES: usize = 512 << 10;

/// Entries proposed and not applied, after which the leader waits for the majority before it decides more. A second of
/// a slow disk.
pub const PROPOSALS_IN_FLIGHT: u64 = 1024;

/// Requests that wait for the majority. Beyond it the door says that the leader is overloaded.
pub const REQUESTS_PENDING: usize = 4096;

/// Bytes of entries kept in memory after which a snapshot is taken, even if there are few entries.
pub const LOG_BYTES: usize = 8 << 20;

/// Entries kept for watchers that resume; older ones make them start anew.
pub const HISTORY_ENTRIES: usize = 1024;

/// Changes kept for watchers that resume.
pub const HISTORY_CHANGES: usize = 16 * 1024;

/// Changes of secrets and configs among [`HISTORY_CHANGES`]: each keeps up to a megabyte from being forgotten.
pub const HISTORY_PAYLOADS: usize = 32;

/// Ticks for which a snapshot made for a follower is kept: it may have to be sent again.
pub const SNAPSHOT_KEPT_TICKS: u32 = 200;

/// Rounds of passes in one call. Each round answers what the one before has changed; a chain (admit, allocate,
/// reconcile, place) has four links, and a decider that never rests must not hold the manager.
pub const PASS_ROUNDS: usize = 12;

/// Between passes over everything, in case a wake-up was lost.
pub const FULL_PASS_PERIOD: Duration = Duration::from_secs(30);

/// Heartbeats missed before a node is down, as swarm mode.
pub const HEARTBEATS_MISSED: u32 = 3;

/// A new leader waits so many times longer: workers must first find it.
pub const NEW_LEADER_GRACE: u32 = 2;

/// The shortest heartbeat period that is acted upon: a zero period would take every node down.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// A node down for so long is given up; its tasks are orphaned and their addresses free.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long a replacement waits for the task before it to stop, as swarm mode.
pub const STOP_WAIT_MAX: Duration = Duration::from_secs(60);

/// Failures of a service's tasks on a node within [`FAILURE_WINDOW`] that make other nodes come first.
pub const FAILURES_MAX: usize = 5;

/// In which failures count.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(5 * 60);

/// Failures remembered a service: enough to tell [`FAILURES_MAX`] on each of many nodes.
pub const FAILURES_REMEMBERED: usize = 1024;

/// A manager that was not heard for so many elections is unreachable.
pub const REACHABLE_ELECTIONS: u32 = 2;

/// A learner that lacks at most so many entries becomes a voter: it catches up within a round trip.
pub const LEARNER_LAG: u64 = 100;

/// Ports that are chosen when the user names none, as swarm mode.
pub const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// The routing mesh's VXLAN network identifier: the first that swarm mode gives out.
pub const INGRESS_VNI: u32 = 4096;

/// The routing mesh's subnet: room for 65,000 tasks and nodes, at the end of swarm mode's default pool.
pub const INGRESS_SUBNET: (std::net::Ipv4Addr, u8) = (std::net::Ipv4Addr::new(10, 255, 0, 0), 16);

/// The least that may be reserved or allowed of a CPU, in billionths, as swarm mode.
pub const NANO_CPUS_MIN: i64 = 1_000_000;

/// The least that may be reserved or allowed of memory, in bytes, as swarm mode.
pub const MEMORY_MIN: i64 = 4 << 20;

/// The shortest duration in a health check, as swarm mode.
pub const HEALTH_DURATION_MIN: Duration = Duration::from_millis(1);

/// The shortest life of a node's certificate, as swarm mode.
pub const CERTIFICATE_LIFETIME_MIN: Duration = Duration::from_secs(3600);

/// Characters of a service's name, as swarm mode: it is part of a host name.
pub const SERVICE_NAME_LENGTH: usize = 63;

/// Replicas of one service: more than the ingress network has addresses, and far below what a number's misprint asks.
pub const REPLICAS_MAX: u64 = 100_000;

/// VXLAN network identifiers of user's networks: above the routing mesh's, up to the protocol's end (RFC 7348).
pub const VNIS: std::ops::RangeInclusive<u32> = 4097..=0xff_ffff;

/// Where subnets come from unless the swarm was made with pools of its own: swarm mode's default.
pub const DEFAULT_POOL: (std::net::Ipv4Addr, u8) = (std::net::Ipv4Addr::new(10, 0, 0, 0), 8);

/// Prefix of a subnet from the pools unless said otherwise: swarm mode's default, room for 253 tasks and services.
pub const SUBNET_SIZE: u8 = 24;

/// Characters of a network's name: what a DNS label may have, because containers may ask for NAME.NETWORK.
pub const NETWORK_NAME_LENGTH: usize = 63;

/// Overlay networks of one task: its interfaces are numbered by one digit, and ingress and bridge have one each.
pub const OVERLAYS_MAX: usize = 14;

/// How long an update that is done but for a host that lags stays open: that host is then named, and not waited for.
pub const CONVERGENCE_MAX: Duration = Duration::from_secs(10);

/// Between two looks whether hosts still lag.
pub const CONVERGENCE_LOOK: Duration = Duration::from_millis(200);

/// How long the removal of a service waits for the hosts: within the patience of the door.
pub const REMOVAL_BARRIER_MAX: Duration = Duration::from_secs(2);

/// Hosts that can't reach another before all are kept from it: one alone may be at fault itself.
pub const COMPLAINTS_BELIEVED: usize = 2;

/// How long a comparison of all kernels waits for the hosts: one with a thousand services reads its own in a second.
pub const VERIFICATION_MAX: Duration = Duration::from_secs(5);

/// Differences that are taken from one host: one more than an honest one tells.
pub const DIFFERENCES_MAX: usize = 101;

/// Characters of such a difference: a line with the addresses of a hundred tasks.
pub const DIFFERENCE_CHARS_MAX: usize = 2048;
