//! Limits of the data path, each with its reason.

use std::time::Duration;

/// Commands waiting for the network thread. Each waits for one reply, so the bound is the number of tasks that the
/// worker starts or stops at once, with room.
pub(super) const COMMANDS_WAITING: usize = 256;

/// Namespaces made ahead of need: a burst of task starts is served from them while more are made.
pub(super) const SPARE_NAMESPACES: usize = 8;

/// Bytes taken by VXLAN over IPv4: outer Ethernet 14, IPv4 20, UDP 8, VXLAN 8.
pub(super) const VXLAN_OVERHEAD_V4: u32 = 50;

/// As above, with an outer IPv6 header of 40.
pub(super) const VXLAN_OVERHEAD_V6: u32 = 70;

/// Elements in one netlink message: an attribute holds at most 65,535 bytes and an element takes at most 64.
pub(super) const ELEMENTS_A_MESSAGE: usize = 1000;

/// Send buffer of netlink sockets, bytes: a whole ruleset travels as one batch in one datagram.
pub(super) const SEND_BUFFER: usize = 8 << 20;

/// How often the kernel's ruleset is compared with what it was told.
pub(super) const VERIFY_PERIOD: Duration = Duration::from_secs(5);

/// Requests in one datagram: their refusals must fit the receive buffer, 212,992 bytes by default, about 700 each.
pub(super) const REQUESTS_A_DATAGRAM: usize = 200;

/// Seconds that the kernel may take for an answer: a socket that waits longer has lost one.
pub(super) const ANSWER_SECONDS_MAX: i64 = 10;

/// Bytes of a packet where the underlay does not say: what every usual link takes.
pub(super) const UNDERLAY_MTU_USUAL: u32 = 1500;

/// Characters of a container's id: it names files.
pub(super) const CONTAINER_ID_LENGTH_MAX: usize = 128;

/// Interfaces of one container: their place is one digit of a link's name.
pub(super) const ATTACHMENTS_MAX: usize = 16;

/// Between two looks at a bridge's port: the kernel takes well under that when nothing else is going on.
pub(super) const PORT_WAIT: Duration = Duration::from_micros(200);

/// How long a bridge may take until it forwards through a new port: the kernel works off such changes at least once a
/// second.
pub(super) const PORT_WAIT_MAX: Duration = Duration::from_secs(3);

/// The kind of probes' frames: the first EtherType that IEEE 802 leaves to local experiments.
pub(super) const PROBE_ETHERTYPE: u16 = 0x88b5;
