//! Carries consensus messages to the other managers: one long call a peer, one actor a peer.
//!
//! [`Peers`] is what the driver holds. It never waits: a message for a peer whose queue is full is dropped, which the
//! consensus repairs by itself. Messages are opaque here; what is told back ([`PeerEvent`]) is that a peer is in reach or
//! out of it, and how the sending of a snapshot ended.

mod install;
mod peer;

use std::collections::BTreeMap;

use bytes::Bytes;
use shoal_manager_core::{Member, SnapshotOutcome};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::limits::{PEER_QUEUE, SNAPSHOTS_IN_FLIGHT};
use crate::tls::ManagerConnector;
use install::InstallJob;
use peer::Peer;

/// What the driver learns of its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerEvent {
    /// A connection stands.
    Reachable(u64),
    /// A connection broke or could not be made.
    Unreachable(u64),
    /// A peer that leads says that this manager is no member.
    Removed,
    /// A snapshot was taken in by the peer, or was lost.
    SnapshotSent { to: u64, outcome: SnapshotOutcome },
}

/// A snapshot on its way: the message that names it, and its data.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingSnapshot {
    pub(crate) message: Bytes,
    pub(crate) data: Bytes,
}

/// The other managers, by their numbers in the consensus.
#[derive(Debug)]
pub(crate) struct Peers {
    own: Member,
    connector: ManagerConnector,
    /// Where the actors run: not on the driver's thread, whose disk they should not wait for.
    runtime: Handle,
    events: mpsc::Sender<PeerEvent>,
    peers: BTreeMap<u64, PeerHandle>,
    /// Who called before the log told of them, and from where.
    learned: BTreeMap<u64, String>,
}

#[derive(Debug)]
struct PeerHandle {
    address: String,
    messages: mpsc::Sender<Bytes>,
    snapshots: mpsc::Sender<OutgoingSnapshot>,
    stop: CancellationToken,
}

impl Peers {
    pub(crate) fn new(
        own: Member,
        connector: ManagerConnector,
        runtime: Handle,
        events: mpsc::Sender<PeerEvent>,
    ) -> Self {
        Self { own, connector, runtime, events, peers: BTreeMap::new(), learned: BTreeMap::new() }
    }

    /// Makes the peers those of `members`: new ones are connected to, changed ones anew, the others are let go.
    pub(crate) fn set_members(&mut self, members: &[Member]) {
        self.learned.retain(|id, _| !members.iter().any(|member| member.raft_id == *id));
        let others = members.iter().filter(|member| member.raft_id != self.own.raft_id);
        let mut wanted: BTreeMap<u64, String> = others.map(|member| (member.raft_id, member.address.clone())).collect();
        wanted.extend(self.learned.iter().map(|(id, address)| (*id, address.clone())));
        self.peers.retain(|id, peer| wanted.get(id) == Some(&peer.address));
        for (id, address) in wanted {
            self.connect(id, address);
        }
    }

    /// Takes note of a peer that called. Only a member that has not caught up learns from it: the log knows the others.
    pub(crate) fn learn(&mut self, sender: Member) {
        if sender.raft_id != self.own.raft_id && !self.peers.contains_key(&sender.raft_id) {
            self.learned.insert(sender.raft_id, sender.address.clone());
            self.connect(sender.raft_id, sender.address);
        }
    }

    fn connect(&mut self, id: u64, address: String) {
        if !self.peers.contains_key(&id) {
            let peer = self.start(id, &address);
            self.peers.insert(id, peer);
        }
    }

    /// Sends a message if there is room for it.
    pub(crate) fn send(&self, to: u64, message: Bytes) {
        let Some(peer) = self.peers.get(&to) else { return };
        if peer.messages.try_send(message).is_err() {
            tracing::debug!(peer = to, address = %peer.address, "dropped a message to a manager that does not keep up");
        }
    }

    /// Sends a snapshot in chunks. The end of it comes as [`PeerEvent::SnapshotSent`], unless it is refused here.
    pub(crate) fn send_snapshot(&self, to: u64, snapshot: OutgoingSnapshot) -> Result<(), SnapshotOutcome> {
        let peer = self.peers.get(&to).ok_or(SnapshotOutcome::Failed)?;
        peer.snapshots.try_send(snapshot).map_err(|_| SnapshotOutcome::Failed)
    }

    fn start(&self, id: u64, address: &str) -> PeerHandle {
        let (messages, message_queue) = mpsc::channel(PEER_QUEUE);
        let (snapshots, snapshot_queue) = mpsc::channel(SNAPSHOTS_IN_FLIGHT);
        let stop = CancellationToken::new();
        let peer = Peer {
            id,
            address: address.to_owned(),
            own: self.own.clone(),
            connector: self.connector.clone(),
            messages: message_queue,
            events: self.events.clone(),
        };
        let install = InstallJob {
            id,
            address: address.to_owned(),
            connector: self.connector.clone(),
            snapshots: snapshot_queue,
            events: self.events.clone(),
        };
        self.runtime.spawn(stop.clone().run_until_cancelled_owned(peer.run()));
        self.runtime.spawn(stop.clone().run_until_cancelled_owned(install.run()));
        PeerHandle { address: address.to_owned(), messages, snapshots, stop }
    }
}

impl Drop for PeerHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
