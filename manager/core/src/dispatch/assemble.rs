//! Entries of a worker's set, each from the tables.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use shoal_proto::model::{
    LocalNetwork, NetworkAssignment, NetworkDriver, NetworkId, Node, NodeId, PeerEndpoints, PublishMode,
    ServiceBackend, ServiceEndpoints, ServiceId, Task, TaskAssignment, TaskState,
};

use crate::store::Tables;

/// Entries that are the same for many workers, made once.
pub(super) struct Shared<'a> {
    pub(super) tables: &'a Tables,
    services: BTreeMap<ServiceId, Option<Arc<ServiceEndpoints>>>,
    peers: BTreeMap<NodeId, Option<Arc<PeerEndpoints>>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        Self { tables, services: BTreeMap::new(), peers: BTreeMap::new() }
    }

    /// A service with published ports.
    pub(super) fn service(&mut self, id: ServiceId) -> Option<Arc<ServiceEndpoints>> {
        let tables = self.tables;
        self.services.entry(id).or_insert_with(|| service_endpoints(tables, id).map(Arc::new)).clone()
    }

    /// What one host has on the ingress network.
    pub(super) fn peer(&mut self, node: NodeId) -> Option<Arc<PeerEndpoints>> {
        let tables = self.tables;
        self.peers.entry(node).or_insert_with(|| peer_endpoints(tables, node).map(Arc::new)).clone()
    }

    /// The ingress network.
    pub(super) fn ingress(&self) -> Option<NetworkId> {
        self.tables.ingress().map(|network| network.id)
    }
}

/// The task, when it is the node's affair: from its placement until it is forgotten. A node that was given up for a
/// task does not get it back.
pub(super) fn task(tables: &Tables, node: NodeId, id: shoal_proto::model::TaskId) -> Option<&Arc<Task>> {
    tables.task(id).filter(|task| is_assigned(task, node))
}

/// What the node is told of a task.
pub(super) fn assignment(tables: &Tables, task: &Task) -> TaskAssignment {
    TaskAssignment { task: task.clone(), local_network: local_network(tables, task) }
}

/// At most one of the wishes is for a network of the host.
fn local_network(tables: &Tables, task: &Task) -> LocalNetwork {
    let wished = task.spec.networks.iter().find_map(|wish| match wish.target.as_str() {
        "none" => Some(LocalNetwork::None),
        "host" => Some(LocalNetwork::Host),
        target => match tables.network_wished(target)?.spec.driver {
            NetworkDriver::Host => Some(LocalNetwork::Host),
            NetworkDriver::Bridge => Some(LocalNetwork::Bridge),
            NetworkDriver::Overlay => None,
        },
    });
    wished.unwrap_or_default()
}

pub(super) fn is_assigned(task: &Task, node: NodeId) -> bool {
    let state = task.status.state;
    task.node == Some(node) && state >= TaskState::Assigned && state != TaskState::Orphaned
}

/// Whether the task answers for its service.
pub(super) fn is_backend(task: &Task) -> bool {
    task.status.state == TaskState::Running && task.desired == TaskState::Running && !task.attachments.is_empty()
}

/// The node and address on the ingress network that a placed task holds.
pub(super) fn address_held(task: &Task) -> Option<(NodeId, IpAddr)> {
    let placed = task.status.state >= TaskState::Assigned && !task.status.state.is_terminal();
    let first = task.attachments.first().filter(|_| placed)?;
    Some((task.node?, first.address.address))
}

fn service_endpoints(tables: &Tables, id: ServiceId) -> Option<ServiceEndpoints> {
    let service = tables.service(id)?;
    let ports = service.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Ingress);
    let ports: Vec<_> = ports.filter(|port| port.published_port != 0).cloned().collect();
    if ports.is_empty() {
        return None;
    }
    let backend = |task: &Arc<Task>| {
        let (node, address) = address_held(task)?;
        Some((task.id, ServiceBackend { address, node }))
    };
    let backends = tables.service_tasks(id).filter(|task| is_backend(task)).filter_map(backend).collect();
    Some(ServiceEndpoints { name: service.spec.name.clone(), ports, backends })
}

fn peer_endpoints(tables: &Tables, node: NodeId) -> Option<PeerEndpoints> {
    let stored = tables.node(node)?;
    let host = stored.data_path_address.parse().ok()?;
    let own = stored.ingress_address.map(|address| address.address);
    let tasks = tables.node_tasks(node).filter_map(|task| address_held(task)).map(|(_, address)| address);
    let mut addresses: Vec<IpAddr> = own.into_iter().chain(tasks).collect();
    addresses.sort_unstable();
    (!addresses.is_empty()).then_some(PeerEndpoints { host, addresses })
}

/// The ingress network as one node sees it.
pub(super) fn network(tables: &Tables, node: &Node) -> Option<NetworkAssignment> {
    let network = tables.ingress()?;
    Some(NetworkAssignment {
        name: network.spec.name.clone(),
        ingress: true,
        subnet: network.subnet?,
        vni: network.vni?,
        data_path_port: tables.cluster()?.data_path_port,
        node_address: node.ingress_address,
    })
}
