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

/// Bytes that the tunnel of encrypted networks adds over IPv4: IPv4 20, UDP 8, WireGuard 32.
pub(super) const TUNNEL_OVERHEAD_V4: u32 = 60;

/// As above, with an outer IPv6 header of 40.
pub(super) const TUNNEL_OVERHEAD_V6: u32 = 80;

/// Threads in each direction, a queue of the device each: beyond that hosts have other work for their cores.
pub(super) const TUNNEL_QUEUES_MAX: usize = 4;

/// Send and receive buffer of the tunnel's sockets, bytes: what a 10 Gbit/s link brings while a thread is off its core
/// for 3 ms.
pub(super) const TUNNEL_BUFFER: usize = 4 << 20;

/// How long the tunnel's threads wait for something to carry before they look whether they should end.
pub(super) const TUNNEL_STOP_WAIT: Duration = Duration::from_millis(200);

/// How often the tunnel's sessions are tended: a quarter of what their library asks for at most.
pub(super) const TUNNEL_TEND: Duration = Duration::from_millis(250);

/// From the first handshake that was not answered to the next: a daemon that restarts is back within it.
pub(super) const TUNNEL_HANDSHAKE_FIRST: Duration = Duration::from_millis(500);

/// The longest that this grows to: a host that was cut off is back within it, and a thousand that are away cost a
/// twentieth of a core.
pub(super) const TUNNEL_HANDSHAKE_LATE: Duration = Duration::from_secs(2);

/// Handshakes a second before senders must prove their addresses: each costs some 100 microseconds and is counted twice,
/// and a swarm of 1,000 hosts may begin all at once.
pub(super) const TUNNEL_HANDSHAKES_A_SECOND: u64 = 2000;

/// The least age of a key before the older one is forgotten: by then the managers have passed it on.
pub(super) const TUNNEL_KEY_SETTLED: Duration = Duration::from_secs(60);

/// Between two sweeps for connections to addresses that are gone: an update of many tasks costs few sweeps, and flows of
/// datagrams move within a second.
pub(super) const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// From the first look at a container's listening sockets to the second: what most programs take to open theirs.
pub(super) const LISTEN_PAUSE_FIRST: Duration = Duration::from_millis(2);

/// The longest that it doubles to: a task serves that much later than it could, and 200 that wait cost 2,000 short
/// questions a second.
pub(super) const LISTEN_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Differences that are told of one comparison: enough to see what is wrong, few enough to be read.
pub(super) const DIFFERENCES_MAX: usize = 100;
