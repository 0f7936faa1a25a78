//! Every bound and rate of a world, each with its reason.

use std::time::Duration;

/// Hosts of a world: as many as the project promises to hold steady. At most 64, which a [`crate::network::HostSet`] holds.
pub(crate) const HOSTS: usize = 50;

/// Hosts that are managers from the start: the fewest that survive a loss.
pub(crate) const MANAGERS: usize = 3;

/// Clients that make requests side by side: enough to meet each other at the leader.
pub(crate) const CLIENTS: usize = 4;

/// Services of one client at most: the swarm then holds some two hundred tasks, several on each host.
pub(crate) const SERVICES_A_CLIENT: usize = 4;

/// Replicas of one service at most.
pub(crate) const REPLICAS: u64 = 12;

/// How long the swarm may take to form while nothing fails.
pub(crate) const FORMATION_MAX: Duration = Duration::from_secs(30);

/// How long faults go on: some tens of them, and several elections.
pub(crate) const CHAOS_MILLIS: std::ops::Range<u64> = 8_000..25_000;

/// How long the swarm may take to be as wished once faults have stopped: the longest pause of a worker (30 s), a stop's
/// grace, the updates under way slot by slot, and as much again.
pub(crate) const CONVERGENCE_MAX: Duration = Duration::from_secs(150);

/// Between two looks whether all is as wished.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// How long all must stay as wished before a world ends well: longer than any period in the cores that could disturb it,
/// except the full pass.
pub(crate) const STEADY: Duration = Duration::from_secs(4);

/// Entries that the log may grow by while all is steady: nothing should be decided then.
pub(crate) const STEADY_ENTRIES: u64 = 2;

/// Outputs that may wait for a manager host, and inputs for its plane. The swarm's hosts and tasks bound both.
pub(crate) const MANAGER_QUEUE: usize = 8192;

/// Inputs that may wait for a worker: a few for each of its tasks.
pub(crate) const AGENT_QUEUE: usize = 1024;

/// Events planned at once. Two frames a host, some timers, and the consensus' messages are far fewer.
pub(crate) const EVENTS: usize = 100_000;

/// Events in all: a world that passes this spins.
pub(crate) const STEPS: u64 = 3_000_000;

/// Between a worker's heartbeats, as the swarm's default.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Silence after which either side of a worker's stream gives it up, as the shells.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// How long a worker waits to be welcomed, as its shell.
pub(crate) const REGISTER_TIMEOUT: Duration = Duration::from_secs(2);

/// The first and the longest pause of a worker between attempts, as its shell.
pub(crate) const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Redirects that a worker follows in a row, as its shell.
pub(crate) const REDIRECTS: u32 = 3;

/// How long a client waits for an answer: longer than an election, so that most answers come.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// Between a node's attempts to be admitted, to join, or to renew its certificate.
pub(crate) const NODE_TURN: Duration = Duration::from_millis(500);

/// A node that was away within this time may come back with what it showed before: longer than a message is under way.
pub(crate) const HEARD_LONG_AGO: Duration = Duration::from_secs(15);
