//! What is not as wished: compared with the tables, not with what any core thinks of them.
//!
//! Answers the first lack in words, so that a world that does not settle says why.

use std::collections::{BTreeMap, BTreeSet};

use shoal_manager_core::SessionId;
use shoal_proto::model::{
    Availability, NetworkId, NetworkService, NetworkTask, Node, NodeId, NodeState, PeerEndpoints, PortConfig,
    PublishMode, Role, Service, ServiceBackend, ServiceEndpoints, ServiceId, ServiceMode, ServiceSet, Task, TaskId,
    TaskState, UpdateState,
};

use super::claims::Claims;
use super::history::History;
use crate::host::Host;
use crate::limits::MANAGERS;
use crate::stream::Stream;

/// All that there is to look at.
#[derive(Debug)]
pub(crate) struct Swarm<'a> {
    pub(crate) history: &'a History,
    pub(crate) hosts: &'a [Host],
    pub(crate) streams: &'a BTreeMap<SessionId, Stream>,
}

impl Swarm<'_> {
    fn claims(&self) -> &Claims {
        self.history.claims()
    }

    /// What is not yet there of a swarm that forms.
    pub(crate) fn lacks_members(&self) -> Option<String> {
        let managers = self.claims().nodes.values().filter(|node| node.manager.is_some()).count();
        if managers != MANAGERS {
            return Some(format!("{managers} managers"));
        }
        self.lacks_nodes().or_else(|| self.lacks_planes())
    }

    /// What is not as wished.
    pub(crate) fn lack(&self) -> Option<String> {
        self.lacks_nodes()
            .or_else(|| self.lacks_planes())
            .or_else(|| self.claims().services.values().find_map(|service| self.lacks_tasks(service)))
            .or_else(|| self.claims().tasks.values().find_map(|task| self.is_astray(task)))
            .or_else(|| self.lacks_on_hosts())
    }

    fn lacks_nodes(&self) -> Option<String> {
        let known = &self.claims().nodes;
        self.hosts.iter().find_map(|host| {
            let Some(node) = known.get(&host.node) else { return Some(format!("{:?} is no node", host.id)) };
            let live = host.agent.as_ref().is_some_and(|agent| agent.session.is_some());
            let manages = node.manager.is_some();
            (!live
                || node.status.state != NodeState::Ready
                || node.role != node.spec.role
                || manages != (node.spec.role == Role::Manager)
                || manages != host.manager.is_some()
                || host.certificate != Some(node.role))
            .then(|| {
                format!(
                    "{:?} is {:?}, wanted {:?}, role {:?}, certificate {:?}, manager {:?} (process {}), session {live}",
                    host.id,
                    node.status.state,
                    node.spec.role,
                    node.role,
                    host.certificate,
                    node.manager,
                    host.manager.is_some()
                )
            })
        })
    }

    fn lacks_planes(&self) -> Option<String> {
        let processes = || self.hosts.iter().filter_map(|host| host.manager.as_ref().map(|process| (host, process)));
        let leaders = processes().filter(|(_, process)| process.leads()).count();
        if leaders != 1 {
            return Some(format!("{leaders} leaders"));
        }
        processes().find_map(|(host, process)| {
            let at = self.history.index_of(host.id);
            if at != Some(self.history.index()) {
                return Some(format!("{:?} is at entry {at:?} of {}", host.id, self.history.index()));
            }
            let waits = process.inbox.len() + process.outputs.len() + process.pending.len();
            (waits > QUIET_QUEUE).then(|| format!("{waits} things wait for {:?}", host.id))
        })
    }

    fn node_of(&self, task: &Task) -> Option<&Node> {
        self.claims().nodes.get(&task.node?).map(AsRef::as_ref)
    }

    fn tasks_of(&self, service: ServiceId) -> impl Iterator<Item = &Task> {
        self.claims().tasks.values().map(AsRef::as_ref).filter(move |task| task.service == service)
    }

    /// Whether a task of another service holds a port of the node that this one wishes for.
    fn is_port_taken(&self, service: &Service, node: NodeId) -> bool {
        let wished = || service.spec.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Host);
        let mut others =
            self.claims().tasks.values().filter(|task| task.node == Some(node) && task.service != service.id);
        let same = |one: &PortConfig, other: &PortConfig| {
            one.published_port == other.published_port && one.protocol == other.protocol
        };
        wished().next().is_some()
            && others.any(|task| runs(task) && task.host_ports.iter().any(|held| wished().any(|port| same(held, port))))
    }

    fn lacks_tasks(&self, service: &Service) -> Option<String> {
        let name = &service.spec.name;
        let running: Vec<&Task> = self.tasks_of(service.id).filter(|task| runs(task)).collect();
        let wanted = self.tasks_of(service.id).filter(|task| is_wanted(task)).count();
        let fits = |node: &&Node| all_hold(&service.spec.task.placement.constraints, node);
        let able = |node: &&Node| {
            node.spec.availability == Availability::Active && fits(node) && !self.is_port_taken(service, node.id)
        };
        let eligible: Vec<&Node> = self.claims().nodes.values().map(AsRef::as_ref).filter(able).collect();
        let slots: BTreeSet<_> =
            running.iter().map(|task| (task.slot, (task.slot == 0).then_some(task.node))).collect();
        if slots.len() != running.len() && !is_paused(service) {
            return Some(format!("service {name}: {} tasks run in {} slots", running.len(), slots.len()));
        }
        let paused = |task: &&&Task| {
            self.node_of(task).is_some_and(|node| node.spec.availability == Availability::Pause && fits(&node))
        };
        let kept = running.iter().filter(paused).count();
        let expected = match &service.spec.mode {
            ServiceMode::Replicated { replicas } => {
                let replicas = usize::try_from(*replicas).unwrap_or(usize::MAX);
                replicas.min(room(service, eligible.len()).saturating_add(kept))
            }
            _ => eligible.len() + kept,
        };
        let waits = wanted - running.len();
        if slots.len() != expected && !(eligible.is_empty() && slots.len() <= expected.max(kept)) {
            let waiting = self.tasks_of(service.id).find(|task| is_wanted(task) && !runs(task));
            let why = waiting.map(|task| format!("{} {:?} {}", task.id, task.status.state, task.status.error));
            let why = why.unwrap_or_default();
            return Some(format!("service {name}: {} slots run of {expected}, {waits} wait: {why}", slots.len()));
        }
        let is_coming = |task: &&Task| (TaskState::Assigned..TaskState::Running).contains(&task.status.state);
        if let Some(task) = self.tasks_of(service.id).filter(|task| is_wanted(task)).find(is_coming) {
            return Some(format!("service {name}: task {} is on its way", task.id));
        }
        let complete = waits == 0;
        let state = service.update_status.as_ref().map(|status| status.state);
        if complete && matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted)) {
            return Some(format!("service {name}: {state:?}"));
        }
        let is_old = |task: &&&Task| {
            let (is, wished) = (&task.spec, &service.spec.task);
            is.container.image != wished.container.image
                || is.force_update != wished.force_update
                || is.networks != wished.networks
        };
        // Where nothing new may come, a global service keeps what it has.
        let may_stay = |task: &&&Task| task.slot == 0 && paused(task);
        let old = running.iter().filter(|task| !may_stay(task)).find(is_old);
        let old = old.filter(|_| complete && !is_paused(service));
        old.map(|task| format!("service {name}: task {} has an old spec", task.id))
    }

    /// A task that is wanted where nothing may be wanted, or that should be gone.
    fn is_astray(&self, task: &Task) -> Option<String> {
        let text = |what: &str| Some(format!("task {} of {} {what}", task.id, task.service_name));
        let service = self.claims().services.get(&task.service);
        let node = self.node_of(task);
        let drained = node.is_some_and(|node| node.spec.availability == Availability::Drain);
        if is_wanted(task) && service.is_none() {
            return text("is wanted and has no service");
        }
        if is_wanted(task) && (drained || (task.node.is_some() && node.is_none())) {
            return text("is wanted on a node that is drained or gone");
        }
        if task.desired == TaskState::Remove {
            return text("is to be removed, and is still there");
        }
        let stops = task.desired > TaskState::Running && !task.status.state.is_terminal() && task.node.is_some();
        if stops { text("should have stopped") } else { None }
    }

    fn lacks_on_hosts(&self) -> Option<String> {
        if self.streams.len() != self.hosts.len() {
            let mut seen = BTreeSet::new();
            let again: Vec<&Stream> = self.streams.values().filter(|stream| !seen.insert(stream.agent)).collect();
            return Some(format!("{} streams, of one host twice: {again:?}", self.streams.len()));
        }
        let published = self.expected_services();
        let peers = self.expected_peers();
        let mut tasks: BTreeMap<NodeId, BTreeSet<TaskId>> = BTreeMap::new();
        for task in self.claims().tasks.values().filter(|task| runs(task)) {
            if let Some(node) = task.node {
                tasks.entry(node).or_default().insert(task.id);
            }
        }
        self.hosts.iter().find_map(|host| {
            let kernel = &host.kernel;
            let running: BTreeSet<TaskId> = kernel.running().collect();
            let wanted = tasks.remove(&host.node).unwrap_or_default();
            if running != wanted {
                return Some(format!("{:?} runs {running:?}, wanted are {wanted:?}", host.id));
            }
            if let Some(stray) = kernel.containers.keys().find(|task| !self.claims().tasks.contains_key(task)) {
                return Some(format!("{:?} has a container of task {stray}, which is no more", host.id));
            }
            if let Some(stray) = kernel.endpoints.keys().find(|task| !running.contains(task)) {
                return Some(format!("{:?} has an endpoint of task {stray}, which does not run", host.id));
            }
            let networks = self.networks_of(&running);
            let services = ServiceSet { published: published.clone(), names: self.expected_names(&networks) };
            if kernel.services.as_deref() != Some(&services) {
                return Some(format!("{:?} answers for {:?}, wanted is {services:?}", host.id, kernel.services));
            }
            self.lacks_network(host, &peers, &networks)
        })
    }

    /// The networks that a host with these tasks needs.
    fn networks_of(&self, tasks: &BTreeSet<TaskId>) -> BTreeSet<NetworkId> {
        let tasks = tasks.iter().filter_map(|id| self.claims().tasks.get(id));
        let held = tasks.flat_map(|task| &task.attachments).map(|held| held.network);
        let ingress = self.claims().networks.values().filter(|network| network.spec.ingress).map(|network| network.id);
        // A network may go while its last tasks stop, but not while they run.
        held.chain(ingress).collect()
    }

    fn lacks_network(
        &self,
        host: &Host,
        peers: &BTreeMap<(NetworkId, NodeId), PeerEndpoints>,
        networks: &BTreeSet<NetworkId>,
    ) -> Option<String> {
        let standing: BTreeSet<NetworkId> = host.kernel.networks.keys().copied().collect();
        if standing != *networks {
            return Some(format!("{:?} has networks {standing:?}, wanted {networks:?}", host.id));
        }
        host.kernel.networks.iter().find_map(|(id, standing)| {
            let others = peers.iter().filter(|((network, node), _)| network == id && *node != host.node);
            let others: BTreeMap<_, _> = others.map(|((_, node), peer)| (*node, peer.clone())).collect();
            let wrong = standing.peers != others;
            wrong.then(|| format!("{:?} has peers {:?} on {id}, wanted {others:?}", host.id, standing.peers))
        })
    }

    /// What services are to the containers of these networks.
    fn expected_names(&self, networks: &BTreeSet<NetworkId>) -> BTreeMap<(NetworkId, ServiceId), NetworkService> {
        let on = |service: &Service, network: NetworkId| {
            let stored = self.claims().networks.get(&network)?;
            let is_it = |target: &str| target == network.to_string() || target == stored.spec.name;
            let wish = service.spec.task.networks.iter().find(|wish| is_it(&wish.target))?;
            let task = |task: &Task| {
                let held = task.attachments.iter().find(|held| held.network == network)?;
                Some((task.id, NetworkTask { name: task.name(), address: held.address.address, node: task.node? }))
            };
            let vip = service.endpoint.virtual_ips.iter().find(|held| held.network == network);
            Some(NetworkService {
                name: service.spec.name.clone(),
                aliases: wish.aliases.clone(),
                vip: vip.map(|held| held.address.address),
                tasks: self.tasks_of(service.id).filter(|task| runs(task)).filter_map(task).collect(),
            })
        };
        let services = self.claims().services.values();
        let pairs = services.flat_map(|service| networks.iter().map(move |network| (service, *network)));
        pairs.filter_map(|(service, network)| Some(((network, service.id), on(service, network)?))).collect()
    }

    fn expected_services(&self) -> BTreeMap<ServiceId, ServiceEndpoints> {
        let ingress = self.claims().networks.values().find(|network| network.spec.ingress).map(|network| network.id);
        let published = |service: &Service| {
            let ports = service.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Ingress);
            let ports: Vec<_> = ports.filter(|port| port.published_port != 0).cloned().collect();
            (!ports.is_empty()).then(|| {
                let backend = |task: &Task| {
                    let held = task.attachments.iter().find(|held| Some(held.network) == ingress)?;
                    Some((task.id, ServiceBackend { address: held.address.address, node: task.node? }))
                };
                let backends = self.tasks_of(service.id).filter(|task| runs(task)).filter_map(backend).collect();
                (service.id, ServiceEndpoints { name: service.spec.name.clone(), ports, backends })
            })
        };
        self.claims().services.values().filter_map(|service| published(service)).collect()
    }

    fn expected_peers(&self) -> BTreeMap<(NetworkId, NodeId), PeerEndpoints> {
        let mut peers: BTreeMap<(NetworkId, NodeId), PeerEndpoints> = BTreeMap::new();
        let ingress = self.claims().networks.values().find(|network| network.spec.ingress).map(|network| network.id);
        for host in self.hosts {
            let Some(node) = self.claims().nodes.get(&host.node) else { continue };
            let own = ingress.zip(node.ingress_address.map(|address| address.address));
            let tasks = self.claims().tasks.values().filter(|task| task.node == Some(host.node) && runs(task));
            let held = tasks.flat_map(|task| &task.attachments).map(|held| (held.network, held.address.address));
            for (network, address) in own.into_iter().chain(held) {
                let own = own.filter(|(of, _)| *of == network).map(|(_, address)| address);
                let empty = || PeerEndpoints { host: host.ip(), addresses: Vec::new(), own, tunnel_keys: Vec::new() };
                peers.entry((network, host.node)).or_insert_with(empty).addresses.push(address);
            }
        }
        peers.values_mut().for_each(|peer| peer.addresses.sort_unstable());
        peers
    }
}

fn is_wanted(task: &Task) -> bool {
    task.desired <= TaskState::Running && !task.status.state.is_terminal()
}

fn runs(task: &Task) -> bool {
    task.desired == TaskState::Running && task.status.state == TaskState::Running
}

/// Whether an update waits for the user: slots may be half-way.
fn is_paused(service: &Service) -> bool {
    let state = service.update_status.as_ref().map(|status| status.state);
    matches!(state, Some(UpdateState::Paused | UpdateState::RollbackPaused))
}

/// How many tasks of a service so many nodes can hold.
fn room(service: &Service, nodes: usize) -> usize {
    let host_port = service.spec.endpoint.ports.iter().any(|port| port.mode == PublishMode::Host);
    let bound = usize::try_from(service.spec.task.placement.max_replicas).unwrap_or(usize::MAX);
    match (host_port, bound) {
        (true, _) => nodes,
        (false, 0) if nodes == 0 => 0,
        (false, 0) => usize::MAX,
        (false, bound) => nodes.saturating_mul(bound),
    }
}

/// Reads the few constraints that clients write.
fn all_hold(constraints: &[String], node: &Node) -> bool {
    constraints.iter().all(|text| {
        let (key, value, equal) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((key, value)), _) => (key.trim(), value.trim(), true),
            (None, Some((key, value))) => (key.trim(), value.trim(), false),
            (None, None) => return false,
        };
        let found = match key {
            "node.role" if node.role == Role::Manager => "manager",
            "node.role" => "worker",
            "node.hostname" => &node.description.hostname,
            "node.platform.os" => &node.description.platform.os,
            "node.labels.zone" => node.spec.labels.get("zone").map_or("", String::as_str),
            "engine.labels.disk" => node.description.engine_labels.get("disk").map_or("", String::as_str),
            _ => return false,
        };
        (found == value) == equal
    })
}

/// What may wait for a manager at rest: a tick, a few messages.
const QUIET_QUEUE: usize = 16;
