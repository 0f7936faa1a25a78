//! What passes have to look at again: derived from changes, so that a pass costs what changed.

use std::collections::BTreeSet;

use shoal_proto::model::{Node, NodeId, Service, ServiceId, Task, TaskState};

use crate::output::{Change, Difference};
use crate::store::{Slot, SlotKey, Tables};

/// What may need a decision.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// Orchestrate these.
    pub(super) services: BTreeSet<ServiceId>,
    /// Trim the histories of these.
    pub(super) slots: BTreeSet<SlotKey>,
    /// See whether their tasks still fit.
    pub(super) nodes: BTreeSet<NodeId>,
    /// Give out ports and addresses.
    pub(super) allocate: bool,
    /// Place what waits.
    pub(super) place: bool,
    /// See who is silent.
    pub(super) liveness: bool,
}

impl Dirty {
    /// All there is.
    pub(super) fn everything(tables: &Tables) -> Self {
        let of_tasks = tables.slots().map(|(service, _)| service);
        Self {
            services: tables.services().map(|service| service.id).chain(of_tasks).collect(),
            slots: tables.slots().collect(),
            nodes: tables.nodes().map(|node| node.id).collect(),
            allocate: true,
            place: true,
            liveness: true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty()
            && self.slots.is_empty()
            && self.nodes.is_empty()
            && !self.allocate
            && !self.place
            && !self.liveness
    }

    /// Marks what a change makes worth a look.
    pub(super) fn mark(&mut self, change: &Change, tables: &Tables) {
        match change {
            Change::Task(task) => self.mark_task(task),
            Change::Node(node) => self.mark_node(node, tables),
            Change::Service(service) => self.mark_service(service),
            Change::Network(_) => self.allocate = true,
            // Nothing is decided by them.
            Change::Payload(_) => {}
            Change::Cluster(cluster) => {
                let limit = |it: &shoal_proto::model::Cluster| it.spec.task_history_retention_limit;
                if cluster.before.as_deref().map(limit) != cluster.after.as_deref().map(limit) {
                    self.slots.extend(tables.slots());
                }
            }
        }
    }

    fn mark_task(&mut self, difference: &Difference<Task>) {
        let (before, after) = (difference.before.as_deref(), difference.after.as_deref());
        let Some(task) = after.or(before) else { return };
        if let (Some(before), Some(after)) = (before, after)
            && before.desired == after.desired
            && after.status.state < TaskState::Running
            && before.status.state >= TaskState::Assigned
        {
            // On its way: nothing to decide before it runs or ends.
            return;
        }
        self.services.insert(task.service);
        self.slots.insert((task.service, Slot::of(task)));
        let state = after.map(|task| task.status.state);
        self.allocate |= state == Some(TaskState::New);
        // It waits for a node, or has made room for another.
        self.place |= state.is_none_or(|state| state == TaskState::Pending || state.is_terminal());
        self.allocate |= state.is_none_or(TaskState::is_terminal);
    }

    fn mark_node(&mut self, difference: &Difference<Node>, tables: &Tables) {
        let Some(id) = difference.id(|node| node.id) else { return };
        let matters = |node: &Node| {
            (node.spec.clone(), node.role, node.description.clone(), node.status.state, node.status.address.clone())
        };
        self.allocate |= difference.after.as_ref().is_none_or(|node| node.ingress_address.is_none());
        if difference.before.as_deref().map(matters) == difference.after.as_deref().map(matters) {
            return;
        }
        self.nodes.insert(id);
        self.place = true;
        let global = tables.services().filter(|service| service.spec.mode.is_global());
        self.services.extend(global.map(|service| service.id));
        for task in tables.node_tasks(id) {
            self.services.insert(task.service);
            self.slots.insert((task.service, Slot::of(task)));
        }
    }

    fn mark_service(&mut self, difference: &Difference<Service>) {
        let Some(id) = difference.id(|service| service.id) else { return };
        self.services.insert(id);
        // A service that is gone may have freed ports.
        self.allocate = true;
        self.place = true;
    }
}
