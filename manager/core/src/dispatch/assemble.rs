//! Entries of a worker's set, each from the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use shoal_proto::model::{
    LocalNetwork, NetworkAssignment, NetworkDriver, NetworkId, NetworkService, NetworkTask, Node, NodeId,
    PeerEndpoints, PublishMode, Service, ServiceBackend, ServiceEndpoints, ServiceId, Task, TaskAssignment, TaskId,
    TaskState,
};

use crate::admit::{is_encrypted, wished_mtu};
use crate::deciders::allocator::overlays;
use crate::store::Tables;

/// Entries that are the same for many workers, made once.
pub(super) struct Shared<'a> {
    pub(super) tables: &'a Tables,
    suspects: &'a BTreeSet<NodeId>,
    services: BTreeMap<ServiceId, Option<Arc<ServiceEndpoints>>>,
    peers: BTreeMap<(NetworkId, NodeId), Option<Arc<PeerEndpoints>>>,
    names: BTreeMap<(NetworkId, ServiceId), Option<Arc<NetworkService>>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(tables: &'a Tables, suspects: &'a BTreeSet<NodeId>) -> Self {
        Self { tables, suspects, services: BTreeMap::new(), peers: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// A service with published ports.
    pub(super) fn service(&mut self, id: ServiceId) -> Option<Arc<ServiceEndpoints>> {
        let Self { tables, suspects, .. } = *self;
        let made = || service_endpoints(tables, suspects, id).map(Arc::new);
        self.services.entry(id).or_insert_with(made).clone()
    }

    /// What one host has on a network.
    pub(super) fn peer(&mut self, key: (NetworkId, NodeId)) -> Option<Arc<PeerEndpoints>> {
        let tables = self.tables;
        self.peers.entry(key).or_insert_with(|| peer_endpoints(tables, key).map(Arc::new)).clone()
    }

    /// What a service is to the containers of a network.
    pub(super) fn names(&mut self, key: (NetworkId, ServiceId)) -> Option<Arc<NetworkService>> {
        let Self { tables, suspects, .. } = *self;
        let made = || network_service(tables, suspects, key).map(Arc::new);
        self.names.entry(key).or_insert_with(made).clone()
    }
}

/// The task, when it is the node's affair: from its placement until it is forgotten. A node that was given up for a
/// task does not get it back.
pub(super) fn task(tables: &Tables, node: NodeId, id: TaskId) -> Option<&Arc<Task>> {
    tables.task(id).filter(|task| is_assigned(task, node))
}

/// What the node is told of a task.
pub(super) fn assignment(tables: &Tables, task: &Task) -> TaskAssignment {
    TaskAssignment { task: task.clone(), local_network: local_network(tables, task) }
}

/// At most one of the wishes is for a network of the host; beside networks of the swarm the bridge leads out, unless
/// all of them are internal.
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
    let mut overlays = overlays(tables, &task.spec).map(|(network, _)| network.spec.internal).peekable();
    let is_internal = overlays.peek().is_some() && overlays.all(|internal| internal) && task.host_ports.is_empty();
    wished.unwrap_or(if is_internal { LocalNetwork::None } else { LocalNetwork::Bridge })
}

pub(super) fn is_assigned(task: &Task, node: NodeId) -> bool {
    let state = task.status.state;
    task.node == Some(node) && state >= TaskState::Assigned && state != TaskState::Orphaned
}

/// Whether the task answers for its service.
pub(super) fn is_backend(task: &Task) -> bool {
    can_answer(task) && task.desired == TaskState::Running && !task.status.draining
}

/// Whether the task would answer for its service if it were asked.
pub(super) fn can_answer(task: &Task) -> bool {
    task.status.state == TaskState::Running && !task.attachments.is_empty()
}

/// The networks and addresses that a placed task holds, and where.
pub(super) fn addresses_held(task: &Task) -> impl Iterator<Item = (NetworkId, NodeId, IpAddr)> {
    let placed = task.status.state >= TaskState::Assigned && !task.status.state.is_terminal();
    let node = task.node.filter(|_| placed);
    task.attachments.iter().filter_map(move |held| Some((held.network, node?, held.address.address)))
}

/// The networks that a node needs: the routing mesh's, and those of its tasks.
pub(super) fn networks_needed(tables: &Tables, node: NodeId) -> BTreeSet<NetworkId> {
    let of_tasks = tables.node_tasks(node).flat_map(|task| addresses_held(task)).map(|(network, ..)| network);
    of_tasks.chain(tables.ingress().map(|network| network.id)).collect()
}

/// The hosts that have something on a network.
pub(super) fn nodes_on(tables: &Tables, network: NetworkId) -> BTreeSet<NodeId> {
    let of_tasks = tables.network_tasks(network).flat_map(|task| addresses_held(task)).map(|(_, node, _)| node);
    let is_ingress = tables.ingress().is_some_and(|ingress| ingress.id == network);
    of_tasks.chain(tables.nodes().filter(|_| is_ingress).map(|node| node.id)).collect()
}

/// The user's networks that a service is on.
pub(super) fn networks_of(tables: &Tables, service: &Service) -> BTreeSet<NetworkId> {
    let given = service.endpoint.virtual_ips.iter().map(|held| held.network);
    overlays(tables, &service.spec.task).map(|(network, _)| network.id).chain(given).collect()
}

fn service_endpoints(tables: &Tables, suspects: &BTreeSet<NodeId>, id: ServiceId) -> Option<ServiceEndpoints> {
    let service = tables.service(id)?;
    let ingress = tables.ingress()?.id;
    let ports = service.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Ingress);
    let ports: Vec<_> = ports.filter(|port| port.published_port != 0).cloned().collect();
    if ports.is_empty() {
        return None;
    }
    let backend = |task: &Arc<Task>| {
        let (_, node, address) = addresses_held(task).find(|(network, ..)| *network == ingress)?;
        Some((task.id, ServiceBackend { address, node }))
    };
    let mut backends: BTreeMap<_, _> =
        tables.service_tasks(id).filter(|task| is_backend(task)).filter_map(backend).collect();
    leave_out(&mut backends, |backend| suspects.contains(&backend.node));
    Some(ServiceEndpoints { name: service.spec.name.clone(), ports, backends })
}

fn network_service(
    tables: &Tables,
    suspects: &BTreeSet<NodeId>,
    (network, id): (NetworkId, ServiceId),
) -> Option<NetworkService> {
    let service = tables.service(id)?;
    let (_, wish) = overlays(tables, &service.spec.task).find(|(wished, _)| wished.id == network)?;
    let on_network = |task: &Arc<Task>| {
        let (_, node, address) = addresses_held(task).find(|(held, ..)| *held == network)?;
        Some((task.id, NetworkTask { name: task.name(), address, node }))
    };
    let mut tasks: BTreeMap<_, _> =
        tables.service_tasks(id).filter(|task| is_backend(task)).filter_map(on_network).collect();
    leave_out(&mut tasks, |task| suspects.contains(&task.node));
    Some(NetworkService {
        name: service.spec.name.clone(),
        aliases: wish.aliases.clone(),
        vip: service.endpoint.virtual_ips.iter().find(|held| held.network == network).map(|held| held.address.address),
        tasks,
    })
}

/// Takes those out that are suspected, unless nobody would be left: suspicion may be wrong.
fn leave_out<T>(backends: &mut BTreeMap<TaskId, T>, is_suspect: impl Fn(&T) -> bool) {
    if backends.values().any(|backend| !is_suspect(backend)) {
        backends.retain(|_, backend| !is_suspect(backend));
    }
}

fn peer_endpoints(tables: &Tables, (network, node): (NetworkId, NodeId)) -> Option<PeerEndpoints> {
    let stored = tables.node(node)?;
    let host = stored.data_path_address.parse().ok()?;
    let is_ingress = tables.ingress().is_some_and(|ingress| ingress.id == network);
    let own = stored.ingress_address.filter(|_| is_ingress).map(|address| address.address);
    let held = tables.node_tasks(node).flat_map(|task| addresses_held(task));
    let tasks = held.filter(|(held, ..)| *held == network).map(|(.., address)| address);
    let mut addresses: Vec<IpAddr> = own.into_iter().chain(tasks).collect();
    addresses.sort_unstable();
    let tunnels = tables.network(network).is_some_and(|network| is_encrypted(&network.spec));
    let tunnel_keys = if tunnels { stored.description.tunnel_keys.clone() } else { Vec::new() };
    (!addresses.is_empty()).then_some(PeerEndpoints { host, addresses, own, tunnel_keys })
}

/// A network as one node sees it.
pub(super) fn network(tables: &Tables, id: NetworkId, node: &Node) -> Option<NetworkAssignment> {
    let network = tables.network(id)?;
    Some(NetworkAssignment {
        name: network.spec.name.clone(),
        ingress: network.spec.ingress,
        subnet: network.subnet?,
        vni: network.vni?,
        data_path_port: tables.cluster()?.data_path_port,
        node_address: node.ingress_address.filter(|_| network.spec.ingress),
        mtu: wished_mtu(&network.spec),
        internal: network.spec.internal,
        encrypted: is_encrypted(&network.spec),
    })
}
