//! Limits of the resolver, each with its reason.

use std::time::Duration;

/// Seconds that a service's virtual address may be remembered: it lives as long as the service.
pub(super) const TTL_VIP: u32 = 60;

/// Seconds that a task's address may be remembered: tasks come and go, and the next query costs nothing.
pub(super) const TTL_TASK: u32 = 1;

/// Bytes of an answer to a client that does not say what it takes (RFC 1035).
pub(super) const ANSWER_BYTES: usize = 512;

/// Bytes of a datagram that every path of containers carries whole, whatever a client says it takes (RFC 9715).
pub(super) const DATAGRAM_BYTES: usize = 1232;

/// Bytes of a message over TCP: its length is two bytes.
pub(super) const MESSAGE_BYTES: usize = 65_535;

/// Queries of one container under way to servers outside: a program that floods waits for itself.
pub(super) const QUERIES_A_CONTAINER: usize = 256;

/// Connections of one container to its resolver.
pub(super) const CONNECTIONS_A_CONTAINER: usize = 32;

/// How long a connection may say nothing (RFC 7766 wants seconds).
pub(super) const CONNECTION_IDLE: Duration = Duration::from_secs(10);

/// How long one server outside may take: two of them fit in the five seconds that glibc waits.
pub(super) const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(2);

/// Servers outside that are asked, as many as resolv.conf(5) has.
pub(super) const UPSTREAMS: usize = 3;

/// How long the host's resolv.conf is believed.
pub(super) const RESOLV_CONF_AGE: Duration = Duration::from_secs(5);

/// How long it is remembered that a name does not exist outside.
pub(super) const NEGATIVE_AGE: Duration = Duration::from_secs(3);

/// Names remembered not to exist: a few hundred bytes each.
pub(super) const NEGATIVES: usize = 512;

/// Commands that wait: one for each container that starts or stops at once.
pub(super) const COMMANDS: usize = 64;

/// From a connection that could not be taken to the next: the host is out of descriptors, and others may close some.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
