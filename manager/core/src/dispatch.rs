//! What workers are told: derived from the committed tables, whole at first, then what has changed.
//!
//! Owns the sessions and what each was told. Decides nothing: a worker is told what the tables say of it.

mod assemble;
mod drain;
mod payloads;
mod session;

use std::collections::{BTreeMap, BTreeSet};

use shoal_proto::model::{NetworkId, Node, NodeId, NodeState, Revision, Service, ServiceId, Task};

use crate::output::{Change, CloseReason, Difference};
use crate::store::Tables;
use crate::{Output, SessionId};
use assemble::is_backend;
use drain::Drains;
use session::Session;

/// All sessions of a leader.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    sessions: BTreeMap<NodeId, Session>,
    drains: Drains,
    /// Hosts that others can't reach.
    suspects: BTreeSet<NodeId>,
    /// How many comparisons were asked for.
    verifications: u64,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// The worker.
    pub node: NodeId,
    /// Its stream.
    pub session: SessionId,
    /// The last set that it was told.
    pub told: Revision,
    /// The last set that its kernel shows, as it says.
    pub applied: Revision,
}

impl Dispatcher {
    /// Of a new leader: which hosts have heard what is not known.
    pub(crate) fn new(tables: &Tables) -> Self {
        Self { sessions: BTreeMap::new(), drains: Drains::of(tables), suspects: BTreeSet::new(), verifications: 0 }
    }

    /// A worker's stream begins; the one before ends.
    pub(crate) fn open(&mut self, node: NodeId, id: SessionId) -> Option<Output> {
        let before = self.sessions.insert(node, Session::new(id));
        self.drains.opened(node);
        before.filter(|before| before.id != id).map(|before| before.close(node, CloseReason::Replaced))
    }

    /// Whether the stream is the node's present one.
    pub(crate) fn is_open(&self, node: NodeId, id: SessionId) -> bool {
        self.sessions.get(&node).is_some_and(|session| session.id == id)
    }

    /// Ends a node's stream.
    pub(crate) fn close(&mut self, node: NodeId, reason: CloseReason) -> Option<Output> {
        self.drains.closed(node);
        self.sessions.remove(&node).map(|session| session.close(node, reason))
    }

    /// A stream has ended by itself.
    pub(crate) fn ended(&mut self, node: NodeId, id: SessionId) {
        if self.is_open(node, id) {
            self.sessions.remove(&node);
            self.drains.closed(node);
        }
    }

    /// Ends all streams.
    pub(crate) fn close_all(&mut self, reason: CloseReason) -> Vec<Output> {
        std::mem::take(&mut self.sessions).into_iter().map(|(node, session)| session.close(node, reason)).collect()
    }

    /// The worker's kernel shows this set.
    pub(crate) fn applied(&mut self, node: NodeId, revision: Revision) {
        if let Some(session) = self.sessions.get_mut(&node) {
            session.acknowledge(revision);
            self.drains.acknowledged(node, session.applied());
        }
    }

    /// Nodes that are heard of and have not acknowledged where connections to a service lead now.
    pub(crate) fn lagging(&self, service: ServiceId, tables: &Tables) -> Vec<NodeId> {
        let lags =
            |node: &NodeId| self.sessions.get(node).is_none_or(|session| session.unacknowledged(service).is_some());
        heard_of(tables).filter(lags).collect()
    }

    /// Asks every worker to compare its kernel with what it was told; the question's number.
    pub(crate) fn verify(&mut self) -> u64 {
        self.verifications += 1;
        let number = self.verifications;
        self.for_all(|session| session.stale.verify = Some(number));
        number
    }

    /// What a worker was told last, and the digest of where connections lead by that.
    pub(crate) fn told(&self, node: NodeId) -> Option<(Revision, u64)> {
        self.sessions.get(&node).map(|session| (session.told(), session.endpoint_digest()))
    }

    /// Sets which hosts get no new connections, because others can't reach them.
    pub(crate) fn suspect(&mut self, suspects: BTreeSet<NodeId>, tables: &Tables) {
        let changed: Vec<NodeId> = self.suspects.symmetric_difference(&suspects).copied().collect();
        self.suspects = suspects;
        for node in changed {
            for task in tables.node_tasks(node).filter(|task| is_backend(task)) {
                let networks: Vec<NetworkId> = task.attachments.iter().map(|held| held.network).collect();
                self.for_all(|session| {
                    session.stale.services.insert(task.service);
                    session.stale.names.extend(networks.iter().map(|network| (*network, task.service)));
                });
            }
        }
    }

    /// How the sessions stand.
    pub(crate) fn views(&self) -> impl Iterator<Item = SessionView> {
        let view = |(node, session): (&NodeId, &Session)| SessionView {
            node: *node,
            session: session.id,
            told: session.told(),
            applied: session.applied(),
        };
        self.sessions.iter().map(view)
    }

    /// Notes what a committed change makes different for whom. Answers the ends of sessions of nodes that are no more.
    pub(crate) fn follow(&mut self, change: &Change, tables: &Tables) -> Option<Output> {
        match change {
            Change::Task(task) => self.follow_task(task, tables),
            Change::Service(service) => self.follow_service(service, tables),
            Change::Network(_) | Change::Cluster(_) => self.for_all(|session| session.stale.networks = true),
            // The data never changes, and one that tasks refer to stays.
            Change::Payload(_) => {}
            Change::Node(node) => return self.follow_node(node, tables),
        }
        None
    }

    fn follow_node(&mut self, node: &Difference<Node>, tables: &Tables) -> Option<Output> {
        let place =
            |node: &Node| (node.data_path_address.clone(), node.ingress_address, node.description.tunnel_keys.clone());
        if let (Some(before), Some(after)) = (&node.before, &node.after)
            && place(before) == place(after)
        {
            return None;
        }
        let id = node.id(|node| node.id)?;
        let mut networks = assemble::networks_needed(tables, id);
        networks.extend(tables.ingress().map(|network| network.id));
        self.for_all(|session| session.stale.peers.extend(networks.iter().map(|network| (*network, id))));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.stale.networks = true;
        }
        if node.after.is_none() { self.close(id, CloseReason::UnknownNode) } else { None }
    }

    fn follow_service(&mut self, service: &Difference<Service>, tables: &Tables) {
        let Some(id) = service.id(|service| service.id) else { return };
        let versions = [service.before.as_deref(), service.after.as_deref()];
        let networks: BTreeSet<NetworkId> =
            versions.into_iter().flatten().flat_map(|service| assemble::networks_of(tables, service)).collect();
        self.for_all(|session| {
            session.stale.services.insert(id);
            session.stale.names.extend(networks.iter().map(|network| (*network, id)));
        });
    }

    fn follow_task(&mut self, task: &Difference<Task>, tables: &Tables) {
        if let Some((id, node)) = self.drains.follow(task, tables.index())
            && let Some(session) = self.sessions.get_mut(&node)
        {
            session.stale.drained.insert(id);
        }
        let versions = [task.before.as_deref(), task.after.as_deref()];
        for task in versions.into_iter().flatten() {
            if let Some(session) = task.node.and_then(|node| self.sessions.get_mut(&node)) {
                session.stale.tasks.insert(task.id);
            }
        }
        let [was, is] = versions.map(|task| task.map(|task| assemble::addresses_held(task).collect::<Vec<_>>()));
        let (was, is) = (was.unwrap_or_default(), is.unwrap_or_default());
        if was != is {
            let held: BTreeSet<(NetworkId, NodeId)> =
                was.iter().chain(&is).map(|(network, node, _)| (*network, *node)).collect();
            for (_, node) in &held {
                // Its host may need another network now, or one less.
                if let Some(session) = self.sessions.get_mut(node) {
                    session.stale.networks = true;
                }
            }
            self.for_all(|session| session.stale.peers.extend(&held));
        }
        let [was_backend, is_backend] = versions.map(|task| task.is_some_and(is_backend));
        if let Some(service) = task.id(|task| task.service).filter(|_| was_backend != is_backend) {
            let networks: BTreeSet<NetworkId> = was.iter().chain(&is).map(|(network, ..)| *network).collect();
            self.for_all(|session| {
                session.stale.services.insert(service);
                session.stale.names.extend(networks.iter().map(|network| (*network, service)));
            });
        }
    }

    fn for_all<T>(&mut self, mut mark: impl FnMut(&mut Session) -> T) {
        self.sessions.values_mut().for_each(|session| drop(mark(session)));
    }

    /// Tells each worker what is new to it.
    pub(crate) fn flush(&mut self, tables: &Tables) -> Vec<Output> {
        let Self { sessions, drains, suspects, .. } = self;
        let mut shared = assemble::Shared::new(tables, suspects);
        let tell = |(node, session): (&NodeId, &mut Session)| session.flush(&mut shared, drains, *node);
        let mut outputs: Vec<Output> = sessions.iter_mut().flat_map(tell).collect();
        drains.told(|service| {
            let owed = |(node, session): (&NodeId, &Session)| Some((*node, session.unacknowledged(service)?));
            sessions.iter().filter_map(owed).collect()
        });
        let settled = drains.settle(|node| sessions.contains_key(&node), heard_of(tables));
        for (task, node) in settled {
            if let Some(session) = sessions.get_mut(&node) {
                session.stale.drained.insert(task);
                outputs.extend(session.flush(&mut shared, drains, node));
            }
        }
        outputs
    }
}

/// Nodes that may lead connections somewhere and can be told where. Those that others can't reach are among them: they
/// have clients of their own.
fn heard_of(tables: &Tables) -> impl Iterator<Item = NodeId> {
    let heard = |state| matches!(state, NodeState::Ready | NodeState::Unknown);
    tables.nodes().filter(move |node| heard(node.status.state)).map(|node| node.id)
}
