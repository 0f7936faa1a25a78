//! One worker's session: what it was told, and what of that is stale.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shoal_proto::model::{
    AssignmentDiff, Drained, EndpointDigest, NetworkAssignment, NetworkAttachment, NetworkId, NetworkService, NodeId,
    PeerEndpoints, Revision, ServiceEndpoints, ServiceId, Task, TaskId, TaskState,
};

use super::assemble::{self, Shared, is_assigned};
use super::drain::Drains;
use super::payloads::PayloadsTold;
use crate::{CloseReason, Output, SessionId};

/// A worker's stream.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) stale: Stale,
    applied: Revision,
    revision: Revision,
    /// Services whose endpoints the worker was told and has not acknowledged, and by which revision.
    unacknowledged: BTreeMap<ServiceId, Revision>,
    drained: BTreeMap<TaskId, Drained>,
    tasks: BTreeMap<TaskId, SentTask>,
    networks: BTreeMap<NetworkId, NetworkAssignment>,
    peers: BTreeMap<(NetworkId, NodeId), Arc<PeerEndpoints>>,
    services: BTreeMap<ServiceId, Arc<ServiceEndpoints>>,
    names: BTreeMap<(NetworkId, ServiceId), Arc<NetworkService>>,
    payloads: PayloadsTold,
}

/// What may differ from what the worker was told. Of networks that it does not have it is told nothing.
#[derive(Debug, Default)]
pub(super) struct Stale {
    pub(super) tasks: BTreeSet<TaskId>,
    pub(super) services: BTreeSet<ServiceId>,
    pub(super) peers: BTreeSet<(NetworkId, NodeId)>,
    pub(super) names: BTreeSet<(NetworkId, ServiceId)>,
    pub(super) drained: BTreeSet<TaskId>,
    pub(super) networks: bool,
    /// A comparison that the worker is to be asked for.
    pub(super) verify: Option<u64>,
}

/// The part of a task that can change while the worker has it and that the worker does not know better.
#[derive(Debug, PartialEq)]
struct SentTask {
    desired: TaskState,
    attachments: Vec<NetworkAttachment>,
}

impl SentTask {
    fn of(task: &Task) -> Self {
        Self { desired: task.desired, attachments: task.attachments.clone() }
    }
}

impl Session {
    pub(super) fn new(id: SessionId) -> Self {
        Self {
            id,
            stale: Stale::default(),
            applied: Revision(0),
            revision: Revision(0),
            unacknowledged: BTreeMap::new(),
            drained: BTreeMap::new(),
            tasks: BTreeMap::new(),
            networks: BTreeMap::new(),
            peers: BTreeMap::new(),
            services: BTreeMap::new(),
            names: BTreeMap::new(),
            payloads: PayloadsTold::default(),
        }
    }

    pub(super) fn told(&self) -> Revision {
        self.revision
    }

    pub(super) fn applied(&self) -> Revision {
        self.applied
    }

    /// Of where connections lead, by what the worker was told.
    pub(super) fn endpoint_digest(&self) -> u64 {
        let services = self.services.iter().map(|(id, service)| (id, &**service));
        let names = self.names.iter().map(|(key, service)| (key, &**service));
        let peers = self.peers.iter().map(|(key, peer)| (key, &**peer));
        EndpointDigest::of(services, names, peers)
    }

    /// The worker's kernel shows this set.
    pub(super) fn acknowledge(&mut self, revision: Revision) {
        self.applied = self.applied.max(revision.min(self.revision));
        self.unacknowledged.retain(|_, told| *told > self.applied);
    }

    /// By which revision the worker was told of a service's endpoints, unless it has acknowledged that.
    pub(super) fn unacknowledged(&self, service: ServiceId) -> Option<Revision> {
        // Before the whole set is acknowledged nothing is known of what the kernel shows.
        let whole = (self.applied == Revision(0)).then_some(Revision(1));
        self.unacknowledged.get(&service).copied().or(whole)
    }

    pub(super) fn close(self, node: NodeId, reason: CloseReason) -> Output {
        Output::CloseSession { node, session: self.id, reason }
    }

    /// What is new to the worker; at first, everything. More than one difference only for secrets and configs that are
    /// large: tasks wait for theirs.
    pub(super) fn flush(&mut self, shared: &mut Shared<'_>, drains: &Drains, node: NodeId) -> Vec<Output> {
        if self.revision == Revision(0) {
            self.stale = Stale { verify: self.stale.verify, ..everything(shared, drains, node) };
        }
        let mut diff = self.next_difference(shared);
        self.tell_stale(shared, drains, node, &mut diff);
        let mut outputs = Vec::new();
        loop {
            let is_more = self.payloads.tell(shared.tables, &mut diff);
            if !diff.is_empty() {
                self.revision = diff.result;
                let told = diff.services.keys().copied().chain(diff.names.keys().map(|(_, service)| *service));
                self.unacknowledged.extend(told.map(|service| (service, diff.result)));
                let next = self.next_difference(shared);
                let diff = std::mem::replace(&mut diff, next);
                outputs.push(Output::Assign { node, session: self.id, diff });
            }
            if !is_more {
                return outputs;
            }
        }
    }

    fn next_difference(&self, shared: &Shared<'_>) -> AssignmentDiff {
        AssignmentDiff {
            base: self.revision,
            result: Revision(self.revision.0 + 1),
            index: shared.tables.index(),
            verify: self.stale.verify,
            ..AssignmentDiff::default()
        }
    }

    fn tell_stale(&mut self, shared: &mut Shared<'_>, drains: &Drains, node: NodeId, diff: &mut AssignmentDiff) {
        if std::mem::take(&mut self.stale.networks) {
            // Marks what comes and goes with them.
            self.tell_networks(shared, node, diff);
        }
        let stale = std::mem::take(&mut self.stale);
        for id in stale.tasks {
            self.tell_task(shared, (node, id), diff);
        }
        for id in stale.services {
            let now = shared.service(id);
            if let Some(entry) = replace(&mut self.services, id, now) {
                diff.services.insert(id, entry);
            }
        }
        for key in stale.peers.into_iter().filter(|(_, peer)| *peer != node) {
            let now = if self.networks.contains_key(&key.0) { shared.peer(key) } else { None };
            if let Some(entry) = replace(&mut self.peers, key, now) {
                diff.peers.insert(key, entry);
            }
        }
        for key in stale.names {
            let now = if self.networks.contains_key(&key.0) { shared.names(key) } else { None };
            if let Some(entry) = replace(&mut self.names, key, now) {
                diff.names.insert(key, entry);
            }
        }
        for id in stale.drained {
            let now = drains.drained(id).filter(|_| self.tasks.contains_key(&id));
            if self.drained.get(&id) != now.as_ref() {
                match now {
                    Some(drained) => self.drained.insert(id, drained),
                    None => self.drained.remove(&id),
                };
                diff.drained.insert(id, now);
            }
        }
    }

    fn tell_task(&mut self, shared: &Shared<'_>, (node, id): (NodeId, TaskId), diff: &mut AssignmentDiff) {
        let task = assemble::task(shared.tables, node, id);
        self.payloads.refer(id, task.map(|task| &**task));
        let Some(task) = task else {
            if self.tasks.remove(&id).is_some() {
                diff.tasks.insert(id, None);
            }
            return;
        };
        let sent = SentTask::of(task);
        if self.tasks.get(&id) != Some(&sent) {
            self.tasks.insert(id, sent);
            diff.tasks.insert(id, Some(assemble::assignment(shared.tables, task)));
        }
    }

    /// A network that comes brings its peers and names; one that goes takes them along.
    fn tell_networks(&mut self, shared: &Shared<'_>, node: NodeId, diff: &mut AssignmentDiff) {
        let tables = shared.tables;
        let needed = assemble::networks_needed(tables, node);
        let stored = tables.node(node);
        let now: BTreeMap<NetworkId, NetworkAssignment> =
            needed.into_iter().filter_map(|id| Some((id, assemble::network(tables, id, stored?)?))).collect();
        for id in self.networks.keys().filter(|id| !now.contains_key(id)) {
            diff.networks.insert(*id, None);
            self.stale.peers.extend(self.peers.keys().filter(|(network, _)| network == id));
            self.stale.names.extend(self.names.keys().filter(|(network, _)| network == id));
        }
        for (id, network) in &now {
            let before = self.networks.get(id);
            if before != Some(network) {
                diff.networks.insert(*id, Some(network.clone()));
            }
            if before.is_none() {
                self.stale.peers.extend(assemble::nodes_on(tables, *id).into_iter().map(|node| (*id, node)));
                let on_it = tables.services().filter(|service| assemble::networks_of(tables, service).contains(id));
                self.stale.names.extend(on_it.map(|service| (*id, service.id)));
            }
        }
        self.networks = now;
    }
}

fn everything(shared: &Shared<'_>, drains: &Drains, node: NodeId) -> Stale {
    let tables = shared.tables;
    let tasks: BTreeSet<TaskId> =
        tables.node_tasks(node).filter(|task| is_assigned(task, node)).map(|task| task.id).collect();
    Stale {
        drained: tasks.iter().copied().filter(|task| drains.drained(*task).is_some()).collect(),
        tasks,
        services: tables.services().map(|service| service.id).collect(),
        networks: true,
        ..Stale::default()
    }
}

/// The difference that setting an entry makes, if any.
fn replace<K: Ord + Copy, V: PartialEq + Clone>(
    map: &mut BTreeMap<K, Arc<V>>,
    key: K,
    now: Option<Arc<V>>,
) -> Option<Option<V>> {
    if map.get(&key) == now.as_ref() {
        return None;
    }
    match &now {
        Some(value) => map.insert(key, value.clone()),
        None => map.remove(&key),
    };
    Some(now.map(|value| (*value).clone()))
}
