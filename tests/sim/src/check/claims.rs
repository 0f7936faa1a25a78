//! The newest tables, and the rules of slots, addresses and ports that every entry must leave them with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use shoal_manager_core::store::{Slot, SlotKey};
use shoal_manager_core::{Change, Difference};
use shoal_proto::model::{
    Cluster, Network, NetworkId, Node, NodeId, PortProtocol, PublishMode, Service, ServiceId, Task, TaskId, TaskState,
    UpdateOrder,
};

use super::Violation;
use super::book::Book;
use crate::client::written_by;

/// The newest tables, and who claims what.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) nodes: BTreeMap<NodeId, Arc<Node>>,
    pub(crate) networks: BTreeMap<NetworkId, Arc<Network>>,
    pub(crate) services: BTreeMap<ServiceId, Arc<Service>>,
    pub(crate) tasks: BTreeMap<TaskId, Arc<Task>>,
    names: BTreeMap<String, ServiceId>,
    /// Tasks wanted running, by slot.
    slots: BTreeMap<SlotKey, BTreeSet<TaskId>>,
    addresses: Holders<(NetworkId, IpAddr), Holder>,
    host_ports: Holders<(NodeId, PortProtocol, u16), TaskId>,
    published: Holders<(PortProtocol, u16), ServiceId>,
    touched: BTreeSet<SlotKey>,
}

/// Who has an address on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Node(NodeId),
    Task(TaskId),
    Service(ServiceId),
}

/// Who holds what, where one should hold each; and what two have held lately.
#[derive(Debug)]
struct Holders<K, H> {
    held: BTreeMap<K, BTreeSet<H>>,
    touched: BTreeSet<K>,
}

impl Claims {
    /// A service by its name.
    pub(crate) fn service_named(&self, name: &str) -> Option<&Arc<Service>> {
        self.names.get(name).and_then(|id| self.services.get(id))
    }

    /// An entry changes this.
    pub(crate) fn apply(&mut self, change: &Change, book: &Book) -> Result<(), Violation> {
        match change {
            Change::Cluster(difference) => self.cluster.clone_from(&difference.after),
            Change::Network(difference) => follow(&mut self.networks, difference, |network| network.id),
            // What of them matters is with the workers: see `payloads`.
            Change::Payload(_) => {}
            Change::Node(difference) => return self.node(difference, book),
            Change::Service(difference) => {
                book.service(difference.before.as_deref(), difference.after.as_deref())?;
                self.service(difference);
            }
            Change::Task(difference) => return self.task(difference),
        }
        Ok(())
    }

    /// All changes of an entry are made: nothing may be held twice now.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        let violation = |invariant, found| Err(Violation { invariant, found });
        if let Some(found) = self.addresses.held_twice() {
            return violation("no address is held twice", found);
        }
        if let Some(found) = self.host_ports.held_twice() {
            return violation("no host port is held twice", found);
        }
        if let Some(found) = self.published.held_twice() {
            return violation("no published port is held twice", found);
        }
        for slot in std::mem::take(&mut self.touched) {
            let wanted = self.slots.get(&slot).map_or(0, BTreeSet::len);
            let start_first = self.services.get(&slot.0).is_some_and(|service| {
                [&service.spec.update, &service.spec.rollback].iter().any(|it| it.order == UpdateOrder::StartFirst)
            });
            if wanted > 1 + usize::from(start_first) {
                let found = format!("slot {} of service {}: {:?}", slot.1, slot.0, self.slots.get(&slot));
                return violation("no slot has two wanted running tasks", found);
            }
        }
        Ok(())
    }

    fn node(&mut self, difference: &Difference<Node>, book: &Book) -> Result<(), Violation> {
        if let (Some(before), Some(after)) = (&difference.before, &difference.after) {
            book.node(after.id, written_by(&before.spec.labels), written_by(&after.spec.labels))?;
        }
        let ingress = self.networks.values().find(|network| network.spec.ingress).map(|network| network.id);
        let claim = |node: &Arc<Node>| Some(((ingress?, node.ingress_address?.address), Holder::Node(node.id)));
        self.addresses.change(&difference.before, &difference.after, |node| claim(node).into_iter().collect());
        follow(&mut self.nodes, difference, |node| node.id);
        Ok(())
    }

    fn service(&mut self, difference: &Difference<Service>) {
        self.published.change(&difference.before, &difference.after, |service| {
            let ports = service.endpoint.ports.iter();
            let published = ports.filter(|port| port.mode == PublishMode::Ingress && port.published_port != 0);
            published.map(|port| ((port.protocol, port.published_port), service.id)).collect()
        });
        self.addresses.change(&difference.before, &difference.after, |service| {
            let held = service.endpoint.virtual_ips.iter();
            held.map(|held| ((held.network, held.address.address), Holder::Service(service.id))).collect()
        });
        if let Some(before) = &difference.before {
            self.names.remove(&before.spec.name);
        }
        if let Some(after) = &difference.after {
            self.names.insert(after.spec.name.clone(), after.id);
        }
        follow(&mut self.services, difference, |service| service.id);
    }

    fn task(&mut self, difference: &Difference<Task>) -> Result<(), Violation> {
        if let (Some(before), Some(after)) = (&difference.before, &difference.after) {
            check_life(before, after)?;
        }
        self.addresses.change(&difference.before, &difference.after, |task| {
            let held: &[_] = if task.status.state.is_terminal() { &[] } else { &task.attachments };
            held.iter().map(|at| ((at.network, at.address.address), Holder::Task(task.id))).collect()
        });
        self.host_ports.change(&difference.before, &difference.after, |task| {
            // A global service's task knows its node before it is placed there.
            let placed = task.status.state >= TaskState::Assigned && !task.status.state.is_terminal();
            let wanted = task.desired <= TaskState::Complete && placed;
            let Some(node) = task.node.filter(|_| wanted) else { return Vec::new() };
            let fixed = task.host_ports.iter().filter(|port| port.published_port != 0);
            fixed.map(|port| ((node, port.protocol, port.published_port), task.id)).collect()
        });
        for (task, present) in [(&difference.before, false), (&difference.after, true)] {
            let wanted = |task: &&Arc<Task>| task.desired == TaskState::Running && !task.status.state.is_terminal();
            let Some(task) = task.as_ref().filter(wanted) else { continue };
            let key = (task.service, Slot::of(task));
            let slot = self.slots.entry(key).or_default();
            if present {
                slot.insert(task.id)
            } else {
                slot.remove(&task.id)
            };
            if slot.is_empty() {
                self.slots.remove(&key);
            }
            self.touched.insert(key);
        }
        follow(&mut self.tasks, difference, |task| task.id);
        Ok(())
    }
}

/// States only rise, and a task stays where it was placed.
fn check_life(before: &Task, after: &Task) -> Result<(), Violation> {
    let sinks = after.status.state < before.status.state || after.desired < before.desired;
    let moves = before.node.is_some() && after.node != before.node;
    if !sinks && !moves {
        return Ok(());
    }
    let text = |task: &Task| format!("{:?}/{:?} on {:?}", task.status.state, task.desired, task.node);
    let found = format!("task {} went from {} to {}", after.id, text(before), text(after));
    Err(Violation { invariant: "a task's states rise, on one node", found })
}

fn follow<K: Ord, T>(table: &mut BTreeMap<K, Arc<T>>, difference: &Difference<T>, key: impl Fn(&T) -> K) {
    match (&difference.before, &difference.after) {
        (_, Some(after)) => drop(table.insert(key(after), after.clone())),
        (Some(before), None) => drop(table.remove(&key(before))),
        (None, None) => {}
    }
}

impl<K: Ord + Copy + std::fmt::Debug, H: Ord + Copy + std::fmt::Debug> Holders<K, H> {
    fn change<T>(&mut self, before: &Option<Arc<T>>, after: &Option<Arc<T>>, claims: impl Fn(&Arc<T>) -> Vec<(K, H)>) {
        for (key, holder) in before.iter().flat_map(&claims) {
            if let Some(holders) = self.held.get_mut(&key) {
                holders.remove(&holder);
                if holders.is_empty() {
                    self.held.remove(&key);
                }
            }
        }
        for (key, holder) in after.iter().flat_map(&claims) {
            let holders = self.held.entry(key).or_default();
            if holders.insert(holder) && holders.len() > 1 {
                self.touched.insert(key);
            }
        }
    }

    fn held_twice(&mut self) -> Option<String> {
        let touched = std::mem::take(&mut self.touched);
        let twice = touched.iter().find(|key| self.held.get(key).is_some_and(|holders| holders.len() > 1))?;
        Some(format!("{twice:?} by {:?}", self.held.get(twice)))
    }
}

impl<K, H> Default for Holders<K, H> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), touched: BTreeSet::new() }
    }
}
