//! Who is on a network: the services and tasks of the swarm, the hosts that carry it, and the containers of this one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use shoal_api::types;
use shoal_proto::model::{
    AssignmentSet, Cidr, Network, NetworkAssignment, NetworkId, NodeId, NodeView, PublishMode, ServiceView, Task,
    TaskState,
};
use shoal_worker::container::ContainerView;
use shoal_worker::network::MacAddress;

/// A network as a host knows it that stands on it and asks no manager.
#[must_use]
pub fn standing_network(id: NetworkId, network: &NetworkAssignment) -> types::NetworkResource {
    let mut options = types::StringMap::new();
    options.insert("com.docker.network.driver.overlay.vxlanid_list".to_owned(), network.vni.to_string());
    if network.encrypted {
        options.insert("encrypted".to_owned(), String::new());
    }
    types::NetworkResource {
        name: network.name.clone(),
        id: id.to_string(),
        scope: "swarm".to_owned(),
        driver: "overlay".to_owned(),
        enable_ipv4: true,
        ipam: types::Ipam {
            driver: "default".to_owned(),
            config: vec![types::IpamConfig { subnet: network.subnet.to_string(), ..types::IpamConfig::default() }],
            ..types::Ipam::default()
        },
        internal: network.internal,
        ingress: network.ingress,
        options,
        ..types::NetworkResource::default()
    }
}

/// The containers of this host that are on a network, by id.
#[must_use]
pub fn network_containers(id: NetworkId, containers: &[ContainerView]) -> BTreeMap<String, types::EndpointResource> {
    let network = id.to_string();
    let running = containers.iter().filter(|view| view.life.is_running());
    let on_it = running.filter_map(|view| {
        let interface = view.record.network.interfaces.iter().find(|interface| interface.network == network)?;
        Some((view, interface.address))
    });
    let shown = on_it.map(|(view, address): (&ContainerView, Cidr)| {
        let endpoint = types::EndpointResource {
            name: view.record.name.clone(),
            // A container has one endpoint on a network, which bears its name.
            endpoint_id: view.record.id.clone(),
            mac_address: MacAddress::of(address.address).to_string(),
            ipv4_address: address.to_string(),
            ipv6_address: String::new(),
        };
        (view.record.id.clone(), endpoint)
    });
    shown.collect()
}

/// The hosts that carry a network, this one included while it does.
#[must_use]
pub fn network_peers(id: NetworkId, own: (NodeId, IpAddr), told: &AssignmentSet) -> Vec<types::NetworkPeer> {
    let peer = |node: NodeId, address: IpAddr| types::NetworkPeer { name: node.to_string(), ip: address.to_string() };
    let own = told.networks.contains_key(&id).then(|| peer(own.0, own.1));
    let others = told.peers.iter().filter(|((network, _), _)| *network == id);
    own.into_iter().chain(others.map(|((_, node), endpoints)| peer(*node, endpoints.host))).collect()
}

/// The services on a network, with their tasks that run.
#[must_use]
pub fn network_services(
    network: &Network,
    services: &[ServiceView],
    tasks: &[Task],
    nodes: &[NodeView],
) -> BTreeMap<String, types::NetworkService> {
    let addresses: BTreeMap<NodeId, &str> =
        nodes.iter().map(|view| (view.node.id, view.node.status.address.as_str())).collect();
    let shown = services.iter().filter(|view| is_on(view, network, tasks)).map(|view| {
        let service = &view.service;
        let vip = service.endpoint.virtual_ips.iter().find(|vip| vip.network == network.id);
        let of_service = tasks.iter().filter(|task| task.service == service.id);
        let ports = service.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Ingress);
        let shown = types::NetworkService {
            vip: vip.map(|vip| vip.address.address.to_string()).unwrap_or_default(),
            ports: ports
                .map(|port| format!("Target: {}, Publish: {}", port.target_port, port.published_port))
                .collect(),
            local_lb_index: 0,
            tasks: of_service.filter_map(|task| network_task(task, network.id, &addresses)).collect(),
        };
        (service.spec.name.clone(), shown)
    });
    shown.collect()
}

/// Whether anybody uses a network: a service that wishes for it, or a task that is on it.
#[must_use]
pub fn is_used(network: &Network, services: &[ServiceView], tasks: &[Task]) -> bool {
    services.iter().any(|view| is_on(view, network, tasks))
}

fn is_on(view: &ServiceView, network: &Network, tasks: &[Task]) -> bool {
    let service = &view.service;
    let id = network.id.to_string();
    let wishes = service.spec.task.networks.iter().any(|wish| wish.target == id || wish.target == network.spec.name);
    let has_vip = service.endpoint.virtual_ips.iter().any(|vip| vip.network == network.id);
    let mut own = tasks.iter().filter(|task| task.service == service.id && task.desired <= TaskState::Running);
    wishes || has_vip || own.any(|task| attachment(task, network.id).is_some())
}

fn attachment(task: &Task, network: NetworkId) -> Option<Cidr> {
    task.attachments.iter().find(|attachment| attachment.network == network).map(|attachment| attachment.address)
}

fn network_task(
    task: &Task,
    network: NetworkId,
    addresses: &BTreeMap<NodeId, &str>,
) -> Option<types::NetworkServiceTask> {
    let address = attachment(task, network).filter(|_| task.status.state == TaskState::Running)?;
    let host = task.node.and_then(|node| addresses.get(&node)).copied().unwrap_or_default();
    Some(types::NetworkServiceTask {
        name: task.name(),
        endpoint_id: task.status.container_id.clone().unwrap_or_default(),
        endpoint_ip: address.address.to_string(),
        info: [("Host IP".to_owned(), host.to_owned())].into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::testing::{node, service, task};
    use shoal_proto::model::{
        Id, Meta, NetworkAttachment, NetworkAttachmentSpec, NetworkSpec, PeerEndpoints, Reachability, ServiceStatus,
        VirtualIp,
    };

    fn network() -> Network {
        let spec = NetworkSpec { name: "net".to_owned(), ..NetworkSpec::default() };
        let subnet = "10.0.1.0/24".parse().ok();
        Network { id: NetworkId::from_random(9), meta: Meta::default(), spec, subnet, vni: Some(4097) }
    }

    fn view() -> ServiceView {
        ServiceView { service: service(), status: ServiceStatus::default() }
    }

    fn on_network(state: TaskState) -> Task {
        let address = "10.0.1.3/24".parse().unwrap();
        let attachment = NetworkAttachment { network: network().id, address, aliases: Vec::new() };
        let mut task = task(state);
        task.attachments.push(attachment);
        task.status.container_id = Some("c1".to_owned());
        task
    }

    #[test]
    fn a_service_is_shown_with_the_tasks_that_run() {
        let mut on_it = view();
        let address = "10.0.1.2/24".parse().unwrap();
        on_it.service.endpoint.virtual_ips.push(VirtualIp { network: network().id, address });
        let mut host = node();
        host.status.address = "192.0.2.7".to_owned();
        let nodes = [NodeView { node: host, leader: false, reachability: Reachability::Unknown }];
        let tasks = [on_network(TaskState::Running)];
        let services = network_services(&network(), &[on_it.clone()], &tasks, &nodes);
        let shown = serde_json::to_string(&services).unwrap();
        let task = tasks[0].name();
        assert_eq!(
            shown,
            format!(
                "{{\"web\":{{\"VIP\":\"10.0.1.2\",\"Ports\":[],\"LocalLBIndex\":0,\"Tasks\":[{{\"Name\":\"{task}\",\
                 \"EndpointID\":\"c1\",\"EndpointIP\":\"10.0.1.3\",\"Info\":{{\"Host IP\":\"192.0.2.7\"}}}}]}}}}"
            )
        );
        let starting = [on_network(TaskState::Starting)];
        assert!(network_services(&network(), &[on_it], &starting, &nodes)["web"].tasks.is_empty());
        assert!(network_services(&network(), &[view()], &[], &nodes).is_empty());
    }

    #[test]
    fn a_network_is_used_by_wish_address_or_task() {
        let network = network();
        assert!(!is_used(&network, &[view()], &[task(TaskState::Running)]));
        for target in [network.id.to_string(), "net".to_owned()] {
            let mut wishing = view();
            let wish = NetworkAttachmentSpec { target, aliases: Vec::new(), driver_options: Default::default() };
            wishing.service.spec.task.networks.push(wish);
            assert!(is_used(&network, &[wishing], &[]));
        }
        assert!(is_used(&network, &[view()], &[on_network(TaskState::Starting)]), "an update has not reached it");
        let mut stopping = on_network(TaskState::Running);
        stopping.desired = TaskState::Shutdown;
        assert!(!is_used(&network, &[view()], &[stopping]));
    }

    #[test]
    fn peers_are_those_that_carry_the_network() {
        let (own, other, host) = (NodeId::from_random(1), NodeId::from_random(2), "192.0.2.2".parse().unwrap());
        let mut told = AssignmentSet::default();
        let endpoints = PeerEndpoints { host, addresses: Vec::new(), own: None, tunnel_keys: Vec::new() };
        told.peers.insert((network().id, other), endpoints.clone());
        told.peers.insert((NetworkId::from_random(8), own), endpoints);
        let peers = network_peers(network().id, (own, "192.0.2.1".parse().unwrap()), &told);
        let shown: Vec<&str> = peers.iter().map(|peer| peer.ip.as_str()).collect();
        assert_eq!(shown, ["192.0.2.2"], "this host does not carry it");
    }
}
