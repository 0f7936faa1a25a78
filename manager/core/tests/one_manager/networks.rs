//! Networks: where they come, what is refused, who is told which key.

use std::net::IpAddr;
use std::time::Duration;

use shoal_manager_core::{Input, RequestId, SessionId};
use shoal_proto::model::{
    Availability, ControlError, ControlReply, ControlRequest, Id, IpamConfig, Labels, NetworkAttachmentSpec, NetworkId,
    NetworkSpec, NodeDescription, NodeId, Role, ServiceMode, ServiceSpec, TaskState, TunnelKey,
};

use super::host::{Host, description, get, web};

fn network(name: &str, subnet: Option<&str>) -> NetworkSpec {
    let config = |text: &str| IpamConfig { subnet: text.parse().unwrap(), range: None, gateway: None };
    NetworkSpec { name: name.to_owned(), ipam: subnet.into_iter().map(config).collect(), ..NetworkSpec::default() }
}

fn create_network(host: &mut Host, spec: NetworkSpec) -> Result<NetworkId, ControlError> {
    match host.ask(ControlRequest::CreateNetwork { spec: Box::new(spec) })? {
        ControlReply::NetworkCreated { network } => Ok(network),
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn a_network_comes_to_hosts_with_its_tasks() {
    let mut host = Host::swarm();
    let front = create_network(&mut host, network("front", None)).unwrap();
    assert!(!host.told.networks.contains_key(&front), "nobody is on it yet");
    let mut spec = web(2);
    let wish = NetworkAttachmentSpec {
        target: "front".to_owned(),
        aliases: vec!["www".to_owned()],
        driver_options: Labels::new(),
    };
    spec.task.networks.push(wish);
    host.ask(ControlRequest::CreateService { spec: Box::new(spec) }).unwrap();
    host.report(TaskState::Running);
    let view = get(&mut host);
    assert_eq!(view.service.spec.task.networks[0].target, front.to_string());
    let told = host.told.names.get(&(front, view.service.id)).unwrap();
    assert_eq!((told.name.as_str(), told.aliases.as_slice()), ("web", &["www".to_owned()][..]));
    assert_eq!(told.vip, Some("10.0.0.2".parse().unwrap()));
    let addresses: Vec<String> = told.tasks.values().map(|task| task.address.to_string()).collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert_eq!(host.told.networks.len(), 2, "the routing mesh's and this one");
    assert!(host.told.tasks.values().all(|it| it.task.attachments.len() == 2));

    let refused = host.ask(ControlRequest::RemoveNetwork { reference: "front".to_owned() }).unwrap_err();
    assert!(refused.message.contains("network front is in use by service web"), "{}", refused.message);
    host.ask(ControlRequest::RemoveService { reference: "web".to_owned() }).unwrap();
    assert!(host.told.names.is_empty(), "the name goes with the service");
    host.ask(ControlRequest::RemoveNetwork { reference: "front".to_owned() }).unwrap();
    host.report(TaskState::Shutdown);
    host.pass(Duration::from_millis(100));
    assert_eq!(host.told.networks.len(), 1);
    assert_eq!(host.plane.tables().addresses().count(front), 0, "nothing is held any more");
}

#[test]
fn networks_that_can_not_be_are_refused_by_name() {
    let mut host = Host::swarm();
    create_network(&mut host, network("one", Some("10.9.0.0/24"))).unwrap();
    let mut refused = |spec: NetworkSpec| create_network(&mut host, spec).unwrap_err().message;
    let with = |options: &[(&str, &str)]| NetworkSpec {
        driver_options: options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..network("two", None)
    };
    for (spec, words) in [
        (network("ONE", None), "network with name one already exists"),
        (network("two", Some("10.9.0.128/25")), "Pool overlaps with other one on this address space"),
        (network("two", Some("10.9.1.5/24")), "write 10.9.1.0/24"),
        (network("two", Some("10.9.1.0/31")), "has no room for tasks"),
        (network("two", Some("127.0.0.0/16")), "hosts keep its addresses"),
        (network("two", Some("fd00::/64")), "IPv6"),
        (network("a b", None), "network name 'a b' is invalid"),
        (network("host", None), "already exists"),
        (with(&[("encrypted", "perhaps")]), "option encrypted 'perhaps' is invalid"),
        (with(&[("com.docker.network.driver.mtu", "9")]), "give 576 to 65485"),
        (with(&[("com.docker.network.driver.overlay.vxlanid_list", "7")]), "give one number from 4097"),
    ] {
        let message = refused(spec);
        assert!(message.contains(words), "'{words}' is missing in: {message}");
    }
    let lost = host.ask(ControlRequest::CreateService { spec: Box::new(on("nowhere")) }).unwrap_err();
    assert!(lost.message.contains("network nowhere not found"), "{}", lost.message);
}

#[test]
fn keys_of_tunnels_go_to_those_on_encrypted_networks() {
    let mut host = Host::swarm();
    let sealed = |value: &str| Labels::from([("encrypted".to_owned(), value.to_owned())]);
    create_network(&mut host, NetworkSpec { driver_options: sealed(""), ..network("sealed", None) }).unwrap();
    create_network(&mut host, NetworkSpec { driver_options: sealed("false"), ..network("open", None) }).unwrap();
    let other = NodeId::from_random(8);
    let (role, availability) = (Role::Worker, Availability::Active);
    host.input(Input::AdmitNode { id: RequestId(900), node: other, role, availability });
    let comes = |host: &mut Host, session: u64, keys: &[u8]| {
        let tunnel_keys = keys.iter().map(|byte| TunnelKey([*byte; 32])).collect();
        host.input(Input::SessionOpened {
            node: other,
            session: SessionId(session),
            description: NodeDescription { tunnel_keys, ..description() },
            observed_address: IpAddr::from([10, 0, 0, 2]),
            data_path_address: None,
        });
    };
    comes(&mut host, 901, &[1]);
    for name in ["sealed", "open"] {
        let mut spec = on(name);
        spec.name = format!("on-{name}");
        spec.mode = ServiceMode::Global;
        spec.endpoint.ports.clear();
        host.ask(ControlRequest::CreateService { spec: Box::new(spec) }).unwrap();
    }
    let told = |host: &Host, name: &str| {
        let (id, network) = host.told.networks.iter().find(|(_, network)| network.name == name).unwrap();
        let peer = host.told.peers.get(&(*id, other)).unwrap();
        (network.encrypted, peer.tunnel_keys.iter().map(|key| key.0[0]).collect::<Vec<u8>>())
    };
    assert_eq!(told(&host, "sealed"), (true, vec![1]));
    assert_eq!(told(&host, "open"), (false, vec![]), "who needs none is told none");
    assert_eq!(told(&host, "ingress"), (false, vec![]));
    comes(&mut host, 902, &[1, 2]);
    assert_eq!(told(&host, "sealed"), (true, vec![1, 2]), "both, while one replaces the other");
    comes(&mut host, 903, &[2]);
    assert_eq!(told(&host, "sealed"), (true, vec![2]));
}

fn on(network: &str) -> ServiceSpec {
    let mut spec = web(1);
    let target = network.to_owned();
    spec.task.networks.push(NetworkAttachmentSpec { target, aliases: Vec::new(), driver_options: Labels::new() });
    spec
}
