//! Tasks by what passes ask for: service and slot, node, state of their way to a node; and what they take up.
//!
//! Derived from the tasks and nothing else: [`TaskIndex::link`] and [`TaskIndex::unlink`] are called for every version
//! of every task.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use shoal_proto::model::{NetworkId, NodeId, ServiceId, Task, TaskId, TaskSpec, TaskState, Version};

use super::load::is_active;
use super::{NodeLoad, Slot, SlotKey, occupies};

/// What is known of all tasks together.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskIndex {
    pub(super) slots: BTreeMap<SlotKey, BTreeSet<TaskId>>,
    pub(super) by_node: BTreeMap<NodeId, BTreeSet<TaskId>>,
    /// In state new.
    pub(super) fresh: BTreeSet<TaskId>,
    /// In state pending and wanted.
    pub(super) unplaced: BTreeSet<TaskId>,
    pub(super) loads: BTreeMap<NodeId, NodeLoad>,
    /// Active tasks of a service on a node.
    pub(super) active: BTreeMap<(ServiceId, NodeId), u64>,
    /// Those that hold an address there.
    pub(super) by_network: BTreeMap<NetworkId, BTreeSet<TaskId>>,
    pub(super) addresses: Addresses,
    /// One value for all tasks made from one version of a spec, and how many there are.
    pub(super) specs: BTreeMap<(ServiceId, Version), (Arc<TaskSpec>, usize)>,
}

impl TaskIndex {
    pub(super) fn link(&mut self, task: &Task) {
        self.slots.entry((task.service, Slot::of(task))).or_default().insert(task.id);
        if let Some(node) = task.node {
            self.by_node.entry(node).or_default().insert(task.id);
        }
        if task.status.state == TaskState::New {
            self.fresh.insert(task.id);
        }
        if is_unplaced(task) {
            self.unplaced.insert(task.id);
        }
        if let Some(node) = task.node.filter(|_| occupies(task)) {
            self.loads.entry(node).or_default().add(task);
            if is_active(task) {
                *self.active.entry((task.service, node)).or_default() += 1;
            }
        }
        if !task.status.state.is_terminal() {
            for held in &task.attachments {
                self.addresses.hold(held.network, held.address.address);
                self.by_network.entry(held.network).or_default().insert(task.id);
            }
        }
        let spec = self.specs.entry((task.service, task.spec_version)).or_insert_with(|| (task.spec.clone(), 0));
        spec.1 += 1;
    }

    pub(super) fn unlink(&mut self, task: &Task) {
        remove_from(&mut self.slots, (task.service, Slot::of(task)), task.id);
        if let Some(node) = task.node {
            remove_from(&mut self.by_node, node, task.id);
        }
        self.fresh.remove(&task.id);
        self.unplaced.remove(&task.id);
        if let Some(node) = task.node.filter(|_| occupies(task)) {
            self.unload(node, task);
        }
        if !task.status.state.is_terminal() {
            for held in &task.attachments {
                self.addresses.release(held.network, held.address.address);
                remove_from(&mut self.by_network, held.network, task.id);
            }
        }
        let key = (task.service, task.spec_version);
        if let Some(spec) = self.specs.get_mut(&key) {
            spec.1 -= 1;
            if spec.1 == 0 {
                self.specs.remove(&key);
            }
        }
    }

    fn unload(&mut self, node: NodeId, task: &Task) {
        if let Some(load) = self.loads.get_mut(&node) {
            load.subtract(task);
            if load.is_empty() {
                self.loads.remove(&node);
            }
        }
        let key = (task.service, node);
        if is_active(task)
            && let Some(count) = self.active.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                self.active.remove(&key);
            }
        }
    }
}

/// Addresses in use, by network.
#[derive(Debug, Clone, Default)]
pub struct Addresses(BTreeMap<NetworkId, BTreeMap<IpAddr, u32>>);

impl Addresses {
    pub(super) fn hold(&mut self, network: NetworkId, address: IpAddr) {
        *self.0.entry(network).or_default().entry(address).or_default() += 1;
    }

    pub(super) fn release(&mut self, network: NetworkId, address: IpAddr) {
        let Some(held) = self.0.get_mut(&network) else { return };
        let left = held.get(&address).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            held.remove(&address);
        } else {
            held.insert(address, left);
        }
        if held.is_empty() {
            self.0.remove(&network);
        }
    }

    /// Whether somebody has it.
    #[must_use]
    pub fn is_held(&self, network: NetworkId, address: IpAddr) -> bool {
        self.0.get(&network).is_some_and(|held| held.contains_key(&address))
    }

    /// How many are in use on a network.
    #[must_use]
    pub fn count(&self, network: NetworkId) -> usize {
        self.0.get(&network).map_or(0, BTreeMap::len)
    }

    /// Addresses that more than one has: a defect, for checkers.
    pub fn held_twice(&self) -> impl Iterator<Item = (NetworkId, IpAddr)> {
        let twice = |(network, held): (&NetworkId, &BTreeMap<IpAddr, u32>)| {
            let network = *network;
            held.iter()
                .filter(|(_, count)| **count > 1)
                .map(move |(address, _)| (network, *address))
                .collect::<Vec<_>>()
        };
        self.0.iter().flat_map(twice)
    }
}

/// Whether the task waits for a node.
fn is_unplaced(task: &Task) -> bool {
    task.status.state == TaskState::Pending && task.desired <= TaskState::Complete
}

fn remove_from<K: Ord>(index: &mut BTreeMap<K, BTreeSet<TaskId>>, key: K, task: TaskId) {
    if let Some(tasks) = index.get_mut(&key) {
        tasks.remove(&task);
        if tasks.is_empty() {
            index.remove(&key);
        }
    }
}
