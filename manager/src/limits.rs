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

/// A handshake is three messages; who takes longer is not one of us.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at once: a swarm of a thousand nodes that all return within a second passes through in a few, and a flood
/// holds at most this many tasks.
pub const HANDSHAKES_MAX: usize = 256;

/// Connections whose handshake is done and that the server has not taken up yet.
pub const ACCEPT_QUEUE: usize = 64;

/// After a failed accept, which mostly means that descriptors ran out.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Refusals that are remembered so as to be told once; then memory begins anew.
pub const REFUSALS_REMEMBERED: usize = 1024;

/// Messages waiting for one peer. The leader keeps at most some hundreds in flight to a follower; more means that the
/// peer is out of reach, and the consensus sends anew what was dropped.
pub const PEER_QUEUE: usize = 1024;

/// Messages are joined into one frame until it has this many bytes: large enough to spare calls, small enough for the
/// limit on messages.
pub const BATCH_BYTES: usize = 1 << 20;

/// Frames handed to a connection that have not left yet.
pub const BATCHES_IN_FLIGHT: usize = 4;

/// The first pause before a peer is called again. A restarted manager should not wait for the others.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(50);

/// The longest one: a manager that is back takes part within half an election.
pub const RECONNECT_LAST: Duration = Duration::from_millis(500);

/// Snapshots queued for one peer: the consensus sends the next only after the last one's end.
pub const SNAPSHOTS_IN_FLIGHT: usize = 1;

/// Bytes of a snapshot in one chunk: well under the limit on messages.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;

/// How long a snapshot may travel: 100 MB over a line of 10 Mbit/s.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(120);

/// What waits for the driver. Behind it, those who say too much wait: a worker's stream or a peer's, which then drops.
pub const INBOX: usize = 1024;

/// Inputs decided upon at once. Large, because decisions, writes and sends are made once for all; bounded, because
/// answers wait for the last.
pub const INPUTS_AT_ONCE: usize = 4096;

/// Events of peers that wait for the driver: a few for each of a handful of peers.
pub const PEER_EVENTS: usize = 64;

/// Events that wait for one worker's session. A worker that reads empties it in a round trip.
pub const SESSION_QUEUE: usize = 64;

/// Sets of changes kept for one who subscribes and lags; after that it is told that it missed some.
pub const CHANGES_KEPT: usize = 1024;

/// How long an orderly stop waits for another manager to take over: two heartbeats and a vote.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a request waits for a leader that is there to agree with its followers: a slow disk's time, not a person's
/// patience.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest message between managers and to a worker.
pub const MESSAGE_BYTES: usize = shoal_proto::MESSAGE_BYTES_MAX;

/// The largest message from a worker: reports of some ten thousand tasks. Smaller than the rest, because a worker is
/// trusted less.
pub const WORKER_MESSAGE_BYTES: usize = 16 << 20;

/// After the order to stop, calls under way get this long to end.
pub const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// HTTP/2 window of a stream and of a connection: some milliseconds of a fast network, and the most that a worker that
/// does not read can keep in flight.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// A certificate request is half a kilobyte.
pub const REQUEST_BYTES: usize = 16 << 10;

/// How long a joining manager may take to be reached back.
pub const DIAL_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest snapshot: a swarm of a hundred thousand tasks is some hundred megabytes.
pub const SNAPSHOT_BYTES: usize = 1 << 30;

/// Frames of one session handed to its connection that have not left yet.
pub const SESSION_FRAMES: usize = 16;

/// How long a worker may take to say who it is.
pub const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a worker may leave its frames unread.
pub const SESSION_STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two attempts of a request while there is no leader; a change of leader ends the pause.
pub const CALL_RETRY: Duration = Duration::from_millis(100);

/// How long a manager that joins looks for one that lets it: some elections, and the time to get a leader back.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Between two rounds of looking.
pub const JOIN_RETRY: Duration = Duration::from_millis(500);

/// How long a call that is the leader's waits while there is none: several elections. Longer means that there is no
/// quorum, which people had better hear soon.
pub const LEADER_WAIT: Duration = Duration::from_secs(3);

/// After a change of leader, the old one's answer to a carried request is waited for this long: a round trip.
pub const ANSWER_GRACE: Duration = Duration::from_millis(50);

/// How long leaders must say that this manager is no member, and none lead it, before it believes them. A leader that was
/// cut off, and may have missed that this manager joined, gives up its office sooner.
pub const REMOVAL_PATIENCE: Duration = Duration::from_secs(3);

/// Readers of logs at one manager: each costs a connection of every node that has tasks of its target.
pub const LOG_READERS_MAX: usize = 256;

/// Sets of lines that wait for one reader, of all nodes together. Each node holds one more, and what its window takes; a
/// node whose lines find no room waits.
pub const LOG_SETS_WAITING: usize = 4;

/// The largest batch of lines from a node: it sends some 64 KiB, and one line of a quarter megabyte at most beyond that.
pub const LOG_BATCH_BYTES_MAX: usize = 2 << 20;

/// How long a node that is ready may take to publish: a session that is renewed, and a connection.
pub const LOG_NODE_PATIENCE: Duration = Duration::from_secs(3);

/// Between two words to a node that logs are wanted: the first may have been lost with a session.
pub const LOG_WANT_RETRY: Duration = Duration::from_millis(500);

/// Between two attempts with a node that did not publish, for one who follows.
pub const LOG_NODE_RETRY: Duration = Duration::from_secs(5);

/// Publications in a row that break off without a line, after which a node counts as missing.
pub const LOG_ATTEMPTS: u32 = 3;

/// How long a target that has ended must be quiet before its last line counts as said.
pub const LOG_SETTLE: Duration = Duration::from_secs(1);
