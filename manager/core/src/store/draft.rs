//! The leader's tables: what is committed, and ahead of that what it has decided and not yet seen committed.
//!
//! The leader alone appends to the log, so that it knows at which index a write will stand and what the tables will be
//! then. Decisions are made on a draft, link by link, and become one command when it is sealed: the difference between
//! the tables before and after. A draft is thrown away with the leadership.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_proto::model::{
    Cluster, Network, NetworkId, Node, NodeId, Payload, Service, ServiceId, Task, TaskId, Timestamp, Version,
};

use super::Tables;
use super::command::{Command, Stamp, TaskPatch, TaskRecord, Write};
use crate::ObjectKey;
use crate::limits::{PAYLOAD_WEIGHT, SERVICE_WEIGHT};
use crate::output::{Change, Difference};

/// Tables that run ahead of the log.
#[derive(Debug)]
pub struct Draft {
    tables: Tables,
    /// The entry that the open command will be.
    index: u64,
    now: Timestamp,
    /// Objects that the open command changes, as they were before it.
    touched: BTreeMap<ObjectKey, Stored>,
    /// Changes since they were last taken, for whoever follows the tables.
    news: Vec<Change>,
    weight: usize,
}

/// An object of any kind, or none.
#[derive(Debug, Clone)]
enum Stored {
    Cluster(Option<Arc<Cluster>>),
    Node(Option<Arc<Node>>),
    Network(Option<Arc<Network>>),
    Payload(Option<Arc<Payload>>),
    Service(Option<Arc<Service>>),
    Task(Option<Arc<Task>>),
}

/// A command, and what it changes.
#[derive(Debug)]
pub struct Sealed {
    /// For the log.
    pub command: Command,
    /// For the tables, once the command is committed.
    pub changes: Vec<Change>,
}

impl Draft {
    /// Ahead of `tables`, which reflect all entries up to `next`.
    #[must_use]
    pub fn new(tables: Tables, next: u64, now: Timestamp) -> Self {
        Self { tables, index: next, now, touched: BTreeMap::new(), news: Vec::new(), weight: 0 }
    }

    /// The tables as they will be.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The leader's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Time goes on.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The version that what is written now will have.
    #[must_use]
    pub fn version(&self) -> Version {
        Version(self.index)
    }

    /// The entry that the open command will be.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How large the open command is, where a task weighs one.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Whether there is nothing to seal.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.touched.is_empty()
    }

    /// Changes since the last call.
    pub fn take_news(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.news)
    }

    /// Writes the swarm.
    pub fn put_cluster(&mut self, cluster: Cluster) {
        let after = Some(self.stamp().on(Arc::new(cluster), |object| &mut object.meta));
        let before = self.tables.set_cluster(after.clone());
        self.note(ObjectKey::Cluster, Stored::Cluster(before.clone()));
        self.news.push(Change::Cluster(Difference { before, after }));
    }

    /// Writes a node.
    pub fn put_node(&mut self, node: Node) {
        let id = node.id;
        let same = |old: &Arc<Node>| Node { meta: node.meta, ..(**old).clone() } == node;
        if self.tables.node(id).is_some_and(same) {
            return;
        }
        let after = Some(self.stamp().on(Arc::new(node), |object| &mut object.meta));
        let before = self.tables.set_node(id, after.clone());
        self.note(ObjectKey::Node(id), Stored::Node(before.clone()));
        self.news.push(Change::Node(Difference { before, after }));
    }

    /// Writes a network.
    pub fn put_network(&mut self, network: Network) {
        let id = network.id;
        let same = |old: &Arc<Network>| Network { meta: network.meta, ..(**old).clone() } == network;
        if self.tables.network(id).is_some_and(same) {
            return;
        }
        let after = Some(self.stamp().on(Arc::new(network), |object| &mut object.meta));
        let before = self.tables.set_network(id, after.clone());
        self.note(ObjectKey::Network(id), Stored::Network(before.clone()));
        self.news.push(Change::Network(Difference { before, after }));
    }

    /// Writes a secret or a config.
    pub fn put_payload(&mut self, payload: Payload) {
        let id = payload.id;
        let same = |old: &Arc<Payload>| old.kind == payload.kind && old.spec == payload.spec;
        if self.tables.payload(id).is_some_and(same) {
            return;
        }
        let after = Some(self.stamp().on(Arc::new(payload), |object| &mut object.meta));
        let before = self.tables.set_payload(id, after.clone());
        self.note(ObjectKey::Payload(id), Stored::Payload(before.clone()));
        self.news.push(Change::Payload(Difference { before, after }));
    }

    /// Writes a service.
    pub fn put_service(&mut self, service: Service) {
        let id = service.id;
        let same = |old: &Arc<Service>| Service { meta: service.meta, ..(**old).clone() } == service;
        if self.tables.service(id).is_some_and(same) {
            return;
        }
        let after = Some(self.stamp().on(Arc::new(service), |object| &mut object.meta));
        let before = self.tables.set_service(id, after.clone());
        self.note(ObjectKey::Service(id), Stored::Service(before.clone()));
        self.news.push(Change::Service(Difference { before, after }));
    }

    /// Writes a task. As for all objects, writing what is there already changes nothing.
    pub fn put_task(&mut self, task: Task) {
        let id = task.id;
        let same = |old: &Arc<Task>| Task { meta: task.meta, ..(**old).clone() } == task;
        if self.tables.task(id).is_some_and(same) {
            return;
        }
        let after = Some(self.stamp().on(Arc::new(task), |object| &mut object.meta));
        let before = self.tables.set_task(id, after.clone());
        self.note(ObjectKey::Task(id), Stored::Task(before.clone()));
        self.news.push(Change::Task(Difference { before, after }));
    }

    /// Removes an object. One that is not there is left so.
    pub fn remove(&mut self, key: ObjectKey) {
        if self.tables.version(key).is_none() {
            return;
        }
        let change = self.tables.remove(key);
        let before = match &change {
            Change::Cluster(it) => Stored::Cluster(it.before.clone()),
            Change::Node(it) => Stored::Node(it.before.clone()),
            Change::Network(it) => Stored::Network(it.before.clone()),
            Change::Payload(it) => Stored::Payload(it.before.clone()),
            Change::Service(it) => Stored::Service(it.before.clone()),
            Change::Task(it) => Stored::Task(it.before.clone()),
        };
        self.note(key, before);
        self.news.push(change);
    }

    /// Closes the open command and opens the next. `None`: nothing has changed.
    pub fn seal(&mut self) -> Option<Sealed> {
        let touched = std::mem::take(&mut self.touched);
        self.weight = 0;
        let mut changes: Vec<Change> =
            touched.into_iter().filter_map(|(key, before)| self.change(key, before)).collect();
        if changes.is_empty() {
            return None;
        }
        changes.sort_by_key(rank);
        let writes = changes.iter().map(|change| self.write_of(change)).collect();
        self.tables.index = self.index;
        self.index += 1;
        Some(Sealed { command: Command { at: self.now, writes }, changes })
    }

    /// An entry that is no command of this draft takes the next place. The open command must be sealed.
    pub fn skip_to(&mut self, next: u64) {
        debug_assert!(self.is_clean(), "what the open command holds is stamped with its index");
        self.index = next;
    }

    fn stamp(&self) -> Stamp {
        Stamp { version: Version(self.index), at: self.now }
    }

    fn note(&mut self, key: ObjectKey, before: Stored) {
        self.weight += match key {
            ObjectKey::Service(_) | ObjectKey::Cluster => SERVICE_WEIGHT,
            ObjectKey::Payload(_) => PAYLOAD_WEIGHT,
            _ => 1,
        };
        self.touched.entry(key).or_insert(before);
    }

    /// What became of an object; `None`: it came and went.
    fn change(&self, key: ObjectKey, before: Stored) -> Option<Change> {
        let tables = &self.tables;
        let change = match (key, before) {
            (ObjectKey::Cluster, Stored::Cluster(before)) => {
                Change::Cluster(Difference { before, after: tables.cluster.clone() })
            }
            (ObjectKey::Node(id), Stored::Node(before)) => {
                Change::Node(Difference { before, after: tables.nodes.get(&id).cloned() })
            }
            (ObjectKey::Network(id), Stored::Network(before)) => {
                Change::Network(Difference { before, after: tables.networks.get(&id).cloned() })
            }
            (ObjectKey::Payload(id), Stored::Payload(before)) => {
                Change::Payload(Difference { before, after: tables.payload(id).cloned() })
            }
            (ObjectKey::Service(id), Stored::Service(before)) => {
                Change::Service(Difference { before, after: tables.services.get(&id).cloned() })
            }
            (ObjectKey::Task(id), Stored::Task(before)) => {
                Change::Task(Difference { before, after: tables.tasks.get(&id).cloned() })
            }
            _ => return None,
        };
        change.is_something().then_some(change)
    }

    fn write_of(&self, change: &Change) -> Write {
        fn version<T>(object: Option<&Arc<T>>, of: impl Fn(&T) -> Version) -> Option<Version> {
            object.map(|object| of(object))
        }
        match change {
            Change::Cluster(Difference { before, after: Some(object) }) => {
                Write::Cluster { expected: version(before.as_ref(), |it| it.meta.version), object: object.clone() }
            }
            Change::Node(Difference { before, after: Some(object) }) => {
                Write::Node { expected: version(before.as_ref(), |it| it.meta.version), object: object.clone() }
            }
            Change::Network(Difference { before, after: Some(object) }) => {
                Write::Network { expected: version(before.as_ref(), |it| it.meta.version), object: object.clone() }
            }
            Change::Payload(Difference { before, after: Some(object) }) => {
                Write::Payload { expected: version(before.as_ref(), |it| it.meta.version), object: object.clone() }
            }
            Change::Service(Difference { before, after: Some(object) }) => {
                Write::Service { expected: version(before.as_ref(), |it| it.meta.version), object: object.clone() }
            }
            Change::Task(Difference { before, after: Some(task) }) => {
                let patch = before.as_ref().and_then(|before| TaskPatch::between(before, task));
                let whole = || Write::Task {
                    expected: version(before.as_ref(), |it| it.meta.version),
                    record: Box::new(TaskRecord::new(task, &self.tables)),
                };
                patch.map_or_else(whole, |patch| Write::TaskPatch(Box::new(patch)))
            }
            removed => Write::Remove { key: removed.key(), expected: removed.version_before() },
        }
    }
}

/// Removals first, so that names are free; then what others rest on.
fn rank(change: &Change) -> u8 {
    match change {
        Change::Task(it) if it.after.is_none() => 0,
        Change::Service(it) if it.after.is_none() => 1,
        Change::Node(it) if it.after.is_none() => 2,
        Change::Network(it) if it.after.is_none() => 3,
        Change::Payload(it) if it.after.is_none() => 4,
        Change::Cluster(_) => 5,
        Change::Network(_) => 6,
        Change::Node(_) => 7,
        Change::Payload(_) => 8,
        Change::Service(_) => 9,
        Change::Task(_) => 10,
    }
}

impl<T> Difference<T> {
    fn is_something(&self) -> bool {
        self.before.is_some() || self.after.is_some()
    }
}

impl Change {
    /// Which object.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        fn id<T, I>(it: &Difference<T>, id: impl Fn(&T) -> I, key: impl Fn(I) -> ObjectKey) -> ObjectKey {
            // A difference without an object is never made: see `Difference`.
            it.id(id).map_or(ObjectKey::Cluster, key)
        }
        match self {
            Change::Cluster(_) => ObjectKey::Cluster,
            Change::Node(it) => id(it, |node| node.id, ObjectKey::Node),
            Change::Network(it) => id(it, |network| network.id, ObjectKey::Network),
            Change::Payload(it) => id(it, |payload| payload.id, ObjectKey::Payload),
            Change::Service(it) => id(it, |service| service.id, ObjectKey::Service),
            Change::Task(it) => id(it, |task| task.id, ObjectKey::Task),
        }
    }

    fn version_before(&self) -> Option<Version> {
        match self {
            Change::Cluster(it) => it.before.as_ref().map(|object| object.meta.version),
            Change::Node(it) => it.before.as_ref().map(|object| object.meta.version),
            Change::Network(it) => it.before.as_ref().map(|object| object.meta.version),
            Change::Payload(it) => it.before.as_ref().map(|object| object.meta.version),
            Change::Service(it) => it.before.as_ref().map(|object| object.meta.version),
            Change::Task(it) => it.before.as_ref().map(|object| object.meta.version),
        }
    }

    fn is_something(&self) -> bool {
        match self {
            Change::Cluster(it) => it.is_something(),
            Change::Node(it) => it.is_something(),
            Change::Network(it) => it.is_something(),
            Change::Payload(it) => it.is_something(),
            Change::Service(it) => it.is_something(),
            Change::Task(it) => it.is_something(),
        }
    }
}

/// The typed getters that executors of plans use to change one field of an object.
impl Draft {
    /// Changes a task, if it is there.
    pub fn change_task(&mut self, id: TaskId, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.tables.task(id) {
            let mut task = (**task).clone();
            change(&mut task);
            self.put_task(task);
        }
    }

    /// Changes a node, if it is there.
    pub fn change_node(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.tables.node(id) {
            let mut node = (**node).clone();
            change(&mut node);
            self.put_node(node);
        }
    }

    /// Changes a service, if it is there.
    pub fn change_service(&mut self, id: ServiceId, change: impl FnOnce(&mut Service)) {
        if let Some(service) = self.tables.service(id) {
            let mut service = (**service).clone();
            change(&mut service);
            self.put_service(service);
        }
    }

    /// Changes a network, if it is there.
    pub fn change_network(&mut self, id: NetworkId, change: impl FnOnce(&mut Network)) {
        if let Some(network) = self.tables.network(id) {
            let mut network = (**network).clone();
            change(&mut network);
            self.put_network(network);
        }
    }
}
