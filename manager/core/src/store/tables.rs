//! The objects by identity and by name, and the indexes that passes need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shoal_proto::model::{
    Cluster, Id, Network, NetworkId, Node, NodeId, Payload, PayloadId, PayloadKind, PortProtocol, PublishMode, Role,
    Service, ServiceId, Task, TaskId, TaskSpec, Version,
};

use super::index::{Addresses, TaskIndex};
use super::payloads::Payloads;
use super::{NodeLoad, Slot, SlotKey};
use crate::{Member, ObjectKey};

/// All objects, as of one log index.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub(super) index: u64,
    pub(super) cluster: Option<Arc<Cluster>>,
    pub(super) nodes: BTreeMap<NodeId, Arc<Node>>,
    pub(super) networks: BTreeMap<NetworkId, Arc<Network>>,
    payloads: Payloads,
    pub(super) services: BTreeMap<ServiceId, Arc<Service>>,
    pub(super) tasks: BTreeMap<TaskId, Arc<Task>>,
    pub(super) task_index: TaskIndex,
    /// When the user's part of an object was last written: what an update must have seen.
    pub(super) spec_written: BTreeMap<ObjectKey, Version>,
    service_names: BTreeMap<String, ServiceId>,
    network_names: BTreeMap<String, NetworkId>,
    published: BTreeMap<(PortProtocol, u16), ServiceId>,
}

/// How names are compared.
#[must_use]
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl Tables {
    /// The last entry of the log that these tables reflect.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The swarm; `None` before this plane has heard of it.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// All nodes, in the order of their ids.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// One network.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(&id)
    }

    /// All networks, in the order of their ids.
    pub fn networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.networks.values()
    }

    /// The network of that name, letter case aside.
    #[must_use]
    pub fn network_named(&self, name: &str) -> Option<&Arc<Network>> {
        self.network_names.get(&folded(name)).and_then(|id| self.networks.get(id))
    }

    /// The network that a spec's wish names, by name or by id.
    #[must_use]
    pub fn network_wished(&self, target: &str) -> Option<&Arc<Network>> {
        let by_id = || target.parse().ok().and_then(|id| self.network(id));
        self.network_named(target).or_else(by_id)
    }

    /// The routing mesh's network.
    #[must_use]
    pub fn ingress(&self) -> Option<&Arc<Network>> {
        self.networks.values().find(|network| network.spec.ingress)
    }

    /// One secret or config.
    #[must_use]
    pub fn payload(&self, id: PayloadId) -> Option<&Arc<Payload>> {
        self.payloads.get(id)
    }

    /// All secrets and configs, in the order of their ids.
    pub fn payloads(&self) -> impl Iterator<Item = &Arc<Payload>> {
        self.payloads.all()
    }

    /// The secret or config of that name, letter case aside.
    #[must_use]
    pub fn payload_named(&self, kind: PayloadKind, name: &str) -> Option<&Arc<Payload>> {
        self.payloads.named(kind, name)
    }

    /// One service.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.services.get(&id)
    }

    /// All services, in the order of their ids.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// The service of that name, letter case aside.
    #[must_use]
    pub fn service_named(&self, name: &str) -> Option<&Arc<Service>> {
        self.service_names.get(&folded(name)).and_then(|id| self.services.get(id))
    }

    /// Who has a published port in ingress mode.
    #[must_use]
    pub fn publisher(&self, protocol: PortProtocol, port: u16) -> Option<ServiceId> {
        self.published.get(&(protocol, port)).copied()
    }

    /// One task.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.tasks.get(&id)
    }

    /// All tasks, in the order of their ids.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values()
    }

    /// The tasks of a service, slot by slot.
    pub fn service_tasks(&self, service: ServiceId) -> impl Iterator<Item = &Arc<Task>> {
        self.service_slots(service).flat_map(|(_, tasks)| tasks)
    }

    /// The slots of a service that have tasks, in order, with their tasks, oldest first.
    pub fn service_slots(&self, service: ServiceId) -> impl Iterator<Item = (Slot, Vec<&Arc<Task>>)> {
        let first = (service, Slot::Number(0));
        let last = (service, Slot::Node(NodeId::from_random(u128::MAX)));
        self.task_index.slots.range(first..=last).map(|((_, slot), tasks)| (*slot, self.by_age(tasks)))
    }

    /// The tasks of a slot, oldest first.
    #[must_use]
    pub fn slot_tasks(&self, key: SlotKey) -> Vec<&Arc<Task>> {
        self.task_index.slots.get(&key).map_or_else(Vec::new, |tasks| self.by_age(tasks))
    }

    /// All slots that have tasks.
    pub fn slots(&self) -> impl Iterator<Item = SlotKey> {
        self.task_index.slots.keys().copied()
    }

    /// The tasks that are, or were, on a node.
    pub fn node_tasks(&self, node: NodeId) -> impl Iterator<Item = &Arc<Task>> {
        self.task_index.by_node.get(&node).into_iter().flatten().filter_map(|id| self.tasks.get(id))
    }

    /// The tasks that hold an address on a network.
    pub fn network_tasks(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Task>> {
        self.task_index.by_network.get(&network).into_iter().flatten().filter_map(|id| self.tasks.get(id))
    }

    /// Tasks in state new.
    pub fn fresh_tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.task_index.fresh.iter().filter_map(|id| self.tasks.get(id))
    }

    /// Tasks that wait for a node.
    pub fn unplaced_tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.task_index.unplaced.iter().filter_map(|id| self.tasks.get(id))
    }

    /// What the tasks on a node take up.
    #[must_use]
    pub fn load(&self, node: NodeId) -> NodeLoad {
        self.task_index.loads.get(&node).cloned().unwrap_or_default()
    }

    /// Active tasks of a service on a node.
    #[must_use]
    pub fn active_on(&self, service: ServiceId, node: NodeId) -> u64 {
        self.task_index.active.get(&(service, node)).copied().unwrap_or(0)
    }

    /// Addresses in use.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.task_index.addresses
    }

    /// The managers, in the order of their numbers in the consensus.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let member = |node: &Arc<Node>| {
            let manager = node.manager.as_ref()?;
            Some(Member { raft_id: manager.raft_id, node: node.id, address: manager.address.clone() })
        };
        let mut members: Vec<Member> = self.nodes().filter_map(member).collect();
        members.sort_by_key(|member| member.raft_id);
        members
    }

    /// The role that a node's certificate should have now: what the certificate authority issues, and what the node is
    /// told. A manager that is to become a worker keeps its certificate until it has left the consensus.
    #[must_use]
    pub fn certificate_role(&self, id: NodeId) -> Option<Role> {
        let node = self.node(id)?;
        let manages = node.spec.role == Role::Manager || node.manager.is_some();
        Some(if manages { Role::Manager } else { Role::Worker })
    }

    /// When the user's part of an object was last written: an update that has seen at least this version has missed
    /// nothing that a person did.
    #[must_use]
    pub fn spec_written(&self, key: ObjectKey) -> Version {
        self.spec_written.get(&key).copied().unwrap_or_default()
    }

    /// The version of an object; `None`: there is none.
    #[must_use]
    pub fn version(&self, key: ObjectKey) -> Option<Version> {
        match key {
            ObjectKey::Cluster => self.cluster.as_ref().map(|object| object.meta.version),
            ObjectKey::Node(id) => self.nodes.get(&id).map(|object| object.meta.version),
            ObjectKey::Network(id) => self.networks.get(&id).map(|object| object.meta.version),
            ObjectKey::Payload(id) => self.payload(id).map(|object| object.meta.version),
            ObjectKey::Service(id) => self.services.get(&id).map(|object| object.meta.version),
            ObjectKey::Task(id) => self.tasks.get(&id).map(|object| object.meta.version),
        }
    }

    /// The spec of one version of a service, shared with the tasks that are made from it.
    #[must_use]
    pub fn shared_spec(&self, service: ServiceId, version: Version) -> Option<Arc<TaskSpec>> {
        if let Some((spec, _)) = self.task_index.specs.get(&(service, version)) {
            return Some(spec.clone());
        }
        let stored = self.services.get(&service)?;
        let spec = if stored.spec_version == version {
            &stored.spec.task
        } else if stored.previous_spec_version == Some(version) {
            &stored.previous_spec.as_ref()?.task
        } else {
            return None;
        };
        // A service that was only scaled has the same spec under another version.
        let range = (service, Version(0))..=(service, Version(u64::MAX));
        let equal = self.task_index.specs.range(range).find(|(_, (shared, _))| **shared == *spec);
        Some(equal.map_or_else(|| Arc::new(spec.clone()), |(_, (shared, _))| shared.clone()))
    }

    fn by_age(&self, tasks: &BTreeSet<TaskId>) -> Vec<&Arc<Task>> {
        let mut tasks: Vec<&Arc<Task>> = tasks.iter().filter_map(|id| self.tasks.get(id)).collect();
        tasks.sort_by_key(|task| (task.meta.created_at, task.id));
        tasks
    }
}

/// Changes, object by object. Each answers what was there before.
impl Tables {
    /// An entry of the log that holds no command: the tables reflect it as they are.
    pub fn advance(&mut self, index: u64) {
        self.index = index;
    }

    pub(super) fn set_cluster(&mut self, cluster: Option<Arc<Cluster>>) -> Option<Arc<Cluster>> {
        let before = std::mem::replace(&mut self.cluster, cluster);
        let specs = (before.as_ref().map(|object| &object.spec), self.cluster.as_ref().map(|object| &object.spec));
        if specs.0 != specs.1 {
            self.note_spec(ObjectKey::Cluster);
        }
        before
    }

    pub(super) fn set_node(&mut self, id: NodeId, node: Option<Arc<Node>>) -> Option<Arc<Node>> {
        let ingress = self.ingress().map(|network| network.id);
        let before = match node.clone() {
            Some(node) => self.nodes.insert(id, node),
            None => self.nodes.remove(&id),
        };
        let addresses = &mut self.task_index.addresses;
        if let (Some(network), Some(old)) = (ingress, before.as_ref().and_then(|node| node.ingress_address)) {
            addresses.release(network, old.address);
        }
        if let (Some(network), Some(new)) = (ingress, node.as_ref().and_then(|node| node.ingress_address)) {
            addresses.hold(network, new.address);
        }
        if before.as_ref().map(|node| &node.spec) != node.as_ref().map(|node| &node.spec) {
            self.note_spec(ObjectKey::Node(id));
        }
        before
    }

    pub(super) fn set_network(&mut self, id: NetworkId, network: Option<Arc<Network>>) -> Option<Arc<Network>> {
        let before = match network.clone() {
            Some(network) => self.networks.insert(id, network),
            None => self.networks.remove(&id),
        };
        if let Some(before) = &before {
            self.network_names.remove(&folded(&before.spec.name));
        }
        if let Some(network) = &network {
            self.network_names.insert(folded(&network.spec.name), id);
        }
        before
    }

    pub(super) fn set_payload(&mut self, id: PayloadId, payload: Option<Arc<Payload>>) -> Option<Arc<Payload>> {
        let before = self.payloads.set(id, payload);
        self.note_spec(ObjectKey::Payload(id));
        before
    }

    pub(super) fn set_service(&mut self, id: ServiceId, service: Option<Arc<Service>>) -> Option<Arc<Service>> {
        let before = match service.clone() {
            Some(service) => self.services.insert(id, service),
            None => self.services.remove(&id),
        };
        let addresses = &mut self.task_index.addresses;
        for held in before.iter().flat_map(|service| &service.endpoint.virtual_ips) {
            addresses.release(held.network, held.address.address);
        }
        for held in service.iter().flat_map(|service| &service.endpoint.virtual_ips) {
            addresses.hold(held.network, held.address.address);
        }
        if let Some(before) = &before {
            self.service_names.remove(&folded(&before.spec.name));
            ingress_ports(before).for_each(|key| {
                self.published.remove(&key);
            });
        }
        if let Some(service) = &service {
            self.service_names.insert(folded(&service.spec.name), id);
            ingress_ports(service).for_each(|key| {
                self.published.insert(key, id);
            });
        }
        if before.as_ref().map(|service| &service.spec) != service.as_ref().map(|service| &service.spec) {
            self.note_spec(ObjectKey::Service(id));
        }
        before
    }

    pub(super) fn set_task(&mut self, id: TaskId, task: Option<Arc<Task>>) -> Option<Arc<Task>> {
        let before = match task.clone() {
            Some(task) => self.tasks.insert(id, task),
            None => self.tasks.remove(&id),
        };
        if let Some(before) = &before {
            self.task_index.unlink(before);
        }
        if let Some(task) = &task {
            self.task_index.link(task);
        }
        before
    }

    fn note_spec(&mut self, key: ObjectKey) {
        match self.version(key) {
            Some(version) => self.spec_written.insert(key, version),
            None => self.spec_written.remove(&key),
        };
    }
}

fn ingress_ports(service: &Service) -> impl Iterator<Item = (PortProtocol, u16)> {
    let ports =
        service.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Ingress && port.published_port != 0);
    ports.map(|port| (port.protocol, port.published_port))
}
