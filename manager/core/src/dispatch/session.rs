//! One worker's session: what it was told, and what of that is stale.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shoal_proto::model::{
    AssignmentDiff, NetworkAssignment, NetworkAttachment, NetworkId, NodeId, PeerEndpoints, Revision, ServiceEndpoints,
    ServiceId, Task, TaskId, TaskState,
};

use super::assemble::{self, Shared, is_assigned};
use crate::{CloseReason, Output, SessionId};

/// A worker's stream.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) applied: Revision,
    pub(super) stale: Stale,
    revision: Revision,
    tasks: BTreeMap<TaskId, SentTask>,
    network: Option<(NetworkId, NetworkAssignment)>,
    peers: BTreeMap<NodeId, Arc<PeerEndpoints>>,
    services: BTreeMap<ServiceId, Arc<ServiceEndpoints>>,
}

/// What may differ from what the worker was told.
#[derive(Debug, Default)]
pub(super) struct Stale {
    pub(super) tasks: BTreeSet<TaskId>,
    pub(super) services: BTreeSet<ServiceId>,
    pub(super) peers: BTreeSet<NodeId>,
    pub(super) networks: bool,
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
            applied: Revision(0),
            stale: Stale::default(),
            revision: Revision(0),
            tasks: BTreeMap::new(),
            network: None,
            peers: BTreeMap::new(),
            services: BTreeMap::new(),
        }
    }

    pub(super) fn told(&self) -> Revision {
        self.revision
    }

    pub(super) fn close(self, node: NodeId, reason: CloseReason) -> Output {
        Output::CloseSession { node, session: self.id, reason }
    }

    /// What is new to the worker; at first, everything.
    pub(super) fn flush(&mut self, shared: &mut Shared<'_>, node: NodeId) -> Option<Output> {
        if self.revision == Revision(0) {
            self.stale = everything(shared, node);
        }
        let stale = std::mem::take(&mut self.stale);
        let mut diff =
            AssignmentDiff { base: self.revision, result: Revision(self.revision.0 + 1), ..AssignmentDiff::default() };
        for id in stale.tasks {
            self.tell_task(shared, (node, id), &mut diff);
        }
        for id in stale.services {
            let now = shared.service(id);
            if let Some(entry) = replace(&mut self.services, id, now) {
                diff.services.insert(id, entry);
            }
        }
        let ingress = shared.ingress();
        for id in stale.peers.into_iter().filter(|id| *id != node) {
            let now = shared.peer(id).filter(|_| ingress.is_some());
            let entry = replace(&mut self.peers, id, now);
            if let (Some(network), Some(entry)) = (ingress, entry) {
                diff.peers.insert((network, id), entry);
            }
        }
        if stale.networks {
            self.tell_network(shared, node, &mut diff);
        }
        if diff.is_empty() {
            return None;
        }
        self.revision = diff.result;
        Some(Output::Assign { node, session: self.id, diff })
    }

    fn tell_task(&mut self, shared: &Shared<'_>, (node, id): (NodeId, TaskId), diff: &mut AssignmentDiff) {
        let Some(task) = assemble::task(shared.tables, node, id) else {
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

    fn tell_network(&mut self, shared: &Shared<'_>, node: NodeId, diff: &mut AssignmentDiff) {
        let stored = shared.tables.node(node);
        let now = shared.ingress().zip(stored.and_then(|stored| assemble::network(shared.tables, stored)));
        if now == self.network {
            return;
        }
        if let Some((id, _)) = &self.network {
            diff.networks.insert(*id, None);
        }
        if let Some((id, network)) = &now {
            diff.networks.insert(*id, Some(network.clone()));
        }
        self.network = now;
    }
}

fn everything(shared: &Shared<'_>, node: NodeId) -> Stale {
    let tables = shared.tables;
    let tasks = tables.node_tasks(node).filter(|task| is_assigned(task, node));
    Stale {
        tasks: tasks.map(|task| task.id).collect(),
        services: tables.services().map(|service| service.id).collect(),
        peers: tables.nodes().map(|node| node.id).collect(),
        networks: true,
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
