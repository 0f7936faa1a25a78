//! What the log holds: commands, each a list of writes that the leader decided, made as one or not at all.
//!
//! A write names the version that it replaces. A command of which one write expects another version than there is does
//! nothing at all, on every manager alike. Specs of tasks are left out where the service has them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_proto::model::{
    Cluster, Labels, Meta, Network, NetworkAttachment, Node, NodeId, Payload, PortConfig, Service, ServiceId, Task,
    TaskId, TaskSpec, TaskState, TaskStatus, Timestamp, Version,
};

use super::{Slot, Tables};
use crate::ObjectKey;
use crate::output::{Change, Difference};

/// Made as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The leader's time.
    pub at: Timestamp,
    /// In the order of their making: removals, then what others rest on first.
    pub writes: Vec<Write>,
}

/// One write. `expected` is the version that is replaced; `None`: there must be none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the objects' own")]
pub enum Write {
    Remove { key: ObjectKey, expected: Option<Version> },
    Cluster { expected: Option<Version>, object: Arc<Cluster> },
    Network { expected: Option<Version>, object: Arc<Network> },
    Node { expected: Option<Version>, object: Arc<Node> },
    Payload { expected: Option<Version>, object: Arc<Payload> },
    Service { expected: Option<Version>, object: Arc<Service> },
    Task { expected: Option<Version>, record: Box<TaskRecord> },
    TaskPatch(Box<TaskPatch>),
}

/// A task without the spec that it shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the task's own")]
pub struct TaskRecord {
    pub id: TaskId,
    pub meta: Meta,
    /// `None`: that of the service's version `spec_version`.
    pub spec: Option<Arc<TaskSpec>>,
    pub spec_version: Version,
    pub service: ServiceId,
    pub service_name: String,
    pub service_labels: Labels,
    pub slot: u64,
    pub node: Option<NodeId>,
    pub status: TaskStatus,
    pub desired: TaskState,
    pub host_ports: Vec<PortConfig>,
    pub attachments: Vec<NetworkAttachment>,
    pub job_iteration: Option<Version>,
}

/// What a task's life changes. `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are the task's own")]
pub struct TaskPatch {
    pub id: TaskId,
    pub expected: Option<Version>,
    pub node: Option<NodeId>,
    pub status: Option<TaskStatus>,
    pub desired: Option<TaskState>,
    pub attachments: Option<Vec<NetworkAttachment>>,
}

impl TaskRecord {
    /// Leaves the spec out when `tables` share it.
    #[must_use]
    pub fn new(task: &Task, tables: &Tables) -> Self {
        let shared = tables.service(task.service).is_some_and(|service| is_spec_of(service, task));
        Self {
            id: task.id,
            meta: task.meta,
            spec: (!shared).then(|| task.spec.clone()),
            spec_version: task.spec_version,
            service: task.service,
            service_name: task.service_name.clone(),
            service_labels: task.service_labels.clone(),
            slot: task.slot,
            node: task.node,
            status: task.status.clone(),
            desired: task.desired,
            host_ports: task.host_ports.clone(),
            attachments: task.attachments.clone(),
            job_iteration: task.job_iteration,
        }
    }

    /// The task, with its spec; `None` when the spec was left out and `tables` do not have it.
    #[must_use]
    pub fn into_task(self, tables: &Tables) -> Option<Task> {
        let spec = match self.spec {
            Some(spec) => spec,
            None => tables.shared_spec(self.service, self.spec_version)?,
        };
        Some(Task {
            id: self.id,
            meta: self.meta,
            spec,
            spec_version: self.spec_version,
            service: self.service,
            service_name: self.service_name,
            service_labels: self.service_labels,
            slot: self.slot,
            node: self.node,
            status: self.status,
            desired: self.desired,
            host_ports: self.host_ports,
            attachments: self.attachments,
            job_iteration: self.job_iteration,
        })
    }
}

/// Whether the service itself still has the spec that the task was made from.
fn is_spec_of(service: &Service, task: &Task) -> bool {
    let current = service.spec_version == task.spec_version && service.spec.task == *task.spec;
    let previous = || {
        service.previous_spec_version == Some(task.spec_version)
            && service.previous_spec.as_ref().is_some_and(|spec| spec.task == *task.spec)
    };
    current || previous()
}

impl TaskPatch {
    /// What leads from one version of a task to the next, when a patch can.
    #[must_use]
    pub fn between(before: &Task, after: &Task) -> Option<Self> {
        let patch = Self {
            id: after.id,
            expected: Some(before.meta.version),
            node: after.node.filter(|_| before.node != after.node),
            status: (before.status != after.status).then(|| after.status.clone()),
            desired: (before.desired != after.desired).then_some(after.desired),
            attachments: (before.attachments != after.attachments).then(|| after.attachments.clone()),
        };
        let mut patched = before.clone();
        patch.apply_to(&mut patched);
        patched.meta = after.meta;
        (patched == *after).then_some(patch)
    }

    fn apply_to(&self, task: &mut Task) {
        if let Some(node) = self.node {
            task.node = Some(node);
        }
        if let Some(status) = &self.status {
            task.status = status.clone();
        }
        if let Some(desired) = self.desired {
            task.desired = desired;
        }
        if let Some(attachments) = &self.attachments {
            task.attachments = attachments.clone();
        }
    }
}

impl Write {
    fn key(&self) -> ObjectKey {
        match self {
            Write::Remove { key, .. } => *key,
            Write::Cluster { .. } => ObjectKey::Cluster,
            Write::Network { object, .. } => ObjectKey::Network(object.id),
            Write::Node { object, .. } => ObjectKey::Node(object.id),
            Write::Payload { object, .. } => ObjectKey::Payload(object.id),
            Write::Service { object, .. } => ObjectKey::Service(object.id),
            Write::Task { record, .. } => ObjectKey::Task(record.id),
            Write::TaskPatch(patch) => ObjectKey::Task(patch.id),
        }
    }

    fn expected(&self) -> Option<Version> {
        match self {
            Write::Remove { expected, .. }
            | Write::Cluster { expected, .. }
            | Write::Network { expected, .. }
            | Write::Node { expected, .. }
            | Write::Payload { expected, .. }
            | Write::Service { expected, .. }
            | Write::Task { expected, .. } => *expected,
            Write::TaskPatch(patch) => patch.expected,
        }
    }
}

impl Tables {
    /// Makes the writes of the command at `index`, all or none, and says what changed.
    pub fn apply(&mut self, index: u64, command: Command) -> Vec<Change> {
        self.index = index;
        let stale = command.writes.iter().any(|write| self.version(write.key()) != write.expected());
        if stale {
            return Vec::new();
        }
        let stamp = Stamp { version: Version(index), at: command.at };
        command.writes.into_iter().filter_map(|write| self.write(write, stamp)).collect()
    }

    /// Takes over what a draft has worked out for the command at `index`: the same as applying it.
    pub fn install(&mut self, index: u64, changes: &[Change]) {
        self.index = index;
        for change in changes {
            match change {
                Change::Cluster(it) => drop(self.set_cluster(it.after.clone())),
                Change::Network(it) => drop(it.id(|n| n.id).map(|id| self.set_network(id, it.after.clone()))),
                Change::Node(it) => drop(it.id(|n| n.id).map(|id| self.set_node(id, it.after.clone()))),
                Change::Payload(it) => drop(it.id(|p| p.id).map(|id| self.set_payload(id, it.after.clone()))),
                Change::Service(it) => drop(it.id(|s| s.id).map(|id| self.set_service(id, it.after.clone()))),
                Change::Task(it) => drop(it.id(|t| t.id).map(|id| self.set_task(id, it.after.clone()))),
            }
        }
    }

    fn write(&mut self, write: Write, stamp: Stamp) -> Option<Change> {
        Some(match write {
            Write::Remove { key, .. } => self.remove(key),
            Write::Cluster { object, .. } => {
                let after = Some(stamp.on(object, |object| &mut object.meta));
                Change::Cluster(Difference { before: self.set_cluster(after.clone()), after })
            }
            Write::Network { object, .. } => {
                let (id, after) = (object.id, Some(stamp.on(object, |object| &mut object.meta)));
                Change::Network(Difference { before: self.set_network(id, after.clone()), after })
            }
            Write::Node { object, .. } => {
                let (id, after) = (object.id, Some(stamp.on(object, |object| &mut object.meta)));
                Change::Node(Difference { before: self.set_node(id, after.clone()), after })
            }
            Write::Payload { object, .. } => {
                let (id, after) = (object.id, Some(stamp.on(object, |object| &mut object.meta)));
                Change::Payload(Difference { before: self.set_payload(id, after.clone()), after })
            }
            Write::Service { object, .. } => {
                let (id, after) = (object.id, Some(stamp.on(object, |object| &mut object.meta)));
                Change::Service(Difference { before: self.set_service(id, after.clone()), after })
            }
            Write::Task { record, .. } => {
                let task = record.into_task(self)?;
                let (id, after) = (task.id, Some(stamp.on(Arc::new(task), |task| &mut task.meta)));
                Change::Task(Difference { before: self.set_task(id, after.clone()), after })
            }
            Write::TaskPatch(patch) => {
                let mut task = (**self.tasks.get(&patch.id)?).clone();
                patch.apply_to(&mut task);
                let after = Some(stamp.on(Arc::new(task), |task| &mut task.meta));
                Change::Task(Difference { before: self.set_task(patch.id, after.clone()), after })
            }
        })
    }

    pub(super) fn remove(&mut self, key: ObjectKey) -> Change {
        match key {
            ObjectKey::Cluster => Change::Cluster(Difference { before: self.set_cluster(None), after: None }),
            ObjectKey::Node(id) => Change::Node(Difference { before: self.set_node(id, None), after: None }),
            ObjectKey::Network(id) => Change::Network(Difference { before: self.set_network(id, None), after: None }),
            ObjectKey::Payload(id) => Change::Payload(Difference { before: self.set_payload(id, None), after: None }),
            ObjectKey::Service(id) => Change::Service(Difference { before: self.set_service(id, None), after: None }),
            ObjectKey::Task(id) => Change::Task(Difference { before: self.set_task(id, None), after: None }),
        }
    }
}

impl<T> Difference<T> {
    /// What identifies the object.
    pub(crate) fn id<I>(&self, id: impl Fn(&T) -> I) -> Option<I> {
        self.after.as_ref().or(self.before.as_ref()).map(|object| id(object))
    }
}

/// What a write leaves on its object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) version: Version,
    pub(super) at: Timestamp,
}

impl Stamp {
    /// The object with the mark of its write.
    pub(super) fn on<T: Clone>(self, mut object: Arc<T>, meta: impl Fn(&mut T) -> &mut Meta) -> Arc<T> {
        let meta = meta(Arc::make_mut(&mut object));
        meta.version = self.version;
        meta.updated_at = self.at;
        object
    }
}

/// The place that a record fills; for the order of commands in print.
impl TaskRecord {
    /// Its slot.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match (self.slot, self.node) {
            (0, Some(node)) => Slot::Node(node),
            (number, _) => Slot::Number(number),
        }
    }
}
