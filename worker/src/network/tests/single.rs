//! One host: egress, host ports, restarts, leaving; and two daemons in one namespace.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use shoal_proto::model::{Cidr, PortProtocol};

use super::fabric::{Fabric, Host, ask, connect, ingress, ip, serve, service, task_address, task_request, within};
use crate::network::ebpf::remove_programs;
use crate::network::netlink::{Channel, chains};
use crate::network::{
    Attachment, AttachmentNetwork, EndpointRequest, HostPort, NetworkError, NetworkPlanInput, Networks, await_listeners,
};

fn bridged(container: &str, host_ports: Vec<HostPort>) -> EndpointRequest {
    EndpointRequest {
        container_id: container.to_owned(),
        attachments: vec![Attachment { network: AttachmentNetwork::Bridge, address: None }],
        host_ports,
        nameservers: Vec::new(),
    }
}

fn host_port(published: u16) -> HostPort {
    HostPort { protocol: PortProtocol::Tcp, host_ip: None, published, target: 80 }
}

#[tokio::test]
async fn containers_reach_the_world_under_the_hosts_address() {
    let fabric = Fabric::new(2);
    let host = &fabric.hosts[0];
    let networks = host.start();
    let listener = within(&fabric.hosts[1].namespace, || TcpListener::bind("0.0.0.0:99").unwrap());
    let endpoint = networks.create_endpoint(bridged("a", Vec::new())).await.unwrap();
    let stream = within(&endpoint.netns_path, || std::net::TcpStream::connect("192.168.77.2:99").unwrap());
    assert_eq!(listener.accept().unwrap().1.ip(), host.address());
    drop(stream);
}

#[tokio::test]
async fn a_host_port_answers_on_every_address_of_the_host() {
    let fabric = Fabric::new(2);
    let (host, client) = (&fabric.hosts[0], &fabric.hosts[1]);
    let networks = host.start();
    let udp = HostPort { protocol: PortProtocol::Udp, ..host_port(8081) };
    let endpoint = networks.create_endpoint(bridged("a", vec![host_port(8081), udp, host_port(0)])).await.unwrap();
    serve(&endpoint, "a");
    let chosen = endpoint.host_ports[2].published;
    assert_ne!(chosen, 0);
    for port in [8081, chosen] {
        let outside = within(&client.namespace, || connect(SocketAddr::from((host.address(), port))).unwrap().1);
        assert_eq!(outside, "a 192.168.77.2");
        within(&host.namespace, || connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap());
        within(&host.namespace, || connect(SocketAddr::from((host.address(), port))).unwrap());
        within(&endpoint.netns_path, || connect(SocketAddr::from((host.address(), port))).unwrap());
    }
    assert_eq!(within(&client.namespace, || ask(SocketAddr::from((host.address(), 8081))).unwrap()), "a 192.168.77.2");
    networks.remove_endpoint("a").await.unwrap();
    within(&client.namespace, || {
        let refused = connect(SocketAddr::from((host.address(), 8081))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[tokio::test]
async fn a_host_port_of_one_address_answers_there_only() {
    let fabric = Fabric::new(2);
    let (host, client) = (&fabric.hosts[0], &fabric.hosts[1]);
    let networks = host.start();
    let local = HostPort { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..host_port(8081) };
    let outer = HostPort { host_ip: Some(host.address().into()), ..host_port(8081) };
    for (name, port) in [("local", local), ("outer", outer)] {
        let endpoint = networks.create_endpoint(bridged(name, vec![port])).await.unwrap();
        serve(&endpoint, name);
    }
    let greeting = |from: &Path, to: Ipv4Addr| within(from, || connect(SocketAddr::from((to, 8081))).unwrap().1);
    assert_eq!(greeting(&client.namespace, host.address()), "outer 192.168.77.2");
    assert!(greeting(&host.namespace, Ipv4Addr::LOCALHOST).starts_with("local "));
}

#[tokio::test]
async fn a_taken_host_port_is_refused_with_its_holder() {
    let fabric = Fabric::new(1);
    let host = &fabric.hosts[0];
    let networks = host.start();
    networks.create_endpoint(bridged("first", vec![host_port(8081)])).await.unwrap();
    let refused = networks.create_endpoint(bridged("second", vec![host_port(8081)])).await.unwrap_err();
    assert!(refused.to_string().contains("container first"), "{refused}");
    let listener = within(&host.namespace, || TcpListener::bind("127.0.0.1:8082").unwrap());
    let refused = networks.create_endpoint(bridged("second", vec![host_port(8082)])).await.unwrap_err();
    let expected = format!("process {}", std::process::id());
    assert!(refused.to_string().contains(&expected), "{refused}");
    drop(listener);
    // Another test's child holds a copy of the listener between its fork and its exec.
    let begin = Instant::now();
    while let Err(refused) = networks.create_endpoint(bridged("second", vec![host_port(8082)])).await {
        assert!(begin.elapsed() < Duration::from_secs(3), "{refused}");
    }
    // And our own holding keeps others off.
    let late = within(&host.namespace, || TcpListener::bind("0.0.0.0:8081").unwrap_err());
    assert_eq!(late.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn who_listens_is_seen_from_outside() {
    let fabric = Fabric::new(1);
    let networks = fabric.hosts[0].start();
    let endpoint = networks.create_endpoint(bridged("a", Vec::new())).await.unwrap();
    let namespace = &endpoint.netns_path;
    let ports = BTreeSet::from([80, 8080]);
    let _open = within(namespace, || TcpListener::bind("0.0.0.0:8080").unwrap());
    let _hidden = within(namespace, || TcpListener::bind("127.0.0.1:80").unwrap());
    let silent = await_listeners(namespace, &ports, Duration::ZERO).await.unwrap();
    assert_eq!(silent, BTreeSet::from([80]), "loopback is reached by nobody outside");
    let ports = BTreeSet::from([8080, 8081]);
    let waiting = await_listeners(namespace, &ports, Duration::from_secs(30));
    let (silent, _late) =
        tokio::join!(waiting, async { within(namespace, || TcpListener::bind("[::]:8081").unwrap()) });
    assert_eq!(silent.unwrap(), BTreeSet::new());
}

#[tokio::test]
async fn bad_wishes_are_refused_and_leave_nothing() {
    let fabric = Fabric::new(1);
    let host = &fabric.hosts[0];
    let networks = host.start();
    let before = snapshot(host);
    let refused = networks.create_endpoint(bridged("../etc", Vec::new())).await.unwrap_err();
    assert!(matches!(refused, NetworkError::Invalid { field: "container id", .. }), "{refused}");
    let refused = networks.create_endpoint(task_request(101)).await.unwrap_err();
    assert!(matches!(refused, NetworkError::UnknownNetwork(_)), "{refused}");
    let wish = NetworkPlanInput { node_address: None, ..host.ingress_wish() };
    let refused = networks.ensure_network(wish).await.unwrap_err();
    assert!(matches!(refused, NetworkError::Invalid { field: "node address", .. }), "{refused}");
    let refused = networks.set_services(vec![service(80, &[]), service(80, &[1])], Vec::new()).await.unwrap_err();
    assert!(matches!(refused, NetworkError::Invalid { field: "published port", .. }), "{refused}");
    assert_eq!(snapshot(host), before);
}

#[tokio::test]
async fn a_restart_keeps_connections_and_removes_what_is_not_kept() {
    let fabric = Fabric::new(2);
    let (host, client) = (&fabric.hosts[0], &fabric.hosts[1]);
    let networks = host.start_with_ingress().await;
    for number in [101, 102] {
        let mut request = task_request(number);
        request.host_ports = vec![host_port(9000 + u16::from(number))];
        let endpoint = networks.create_endpoint(request).await.unwrap();
        serve(&endpoint, &format!("task{number}"));
    }
    networks.set_services(vec![service(8080, &[101])], Vec::new()).await.unwrap();
    let published = SocketAddr::from((host.address(), 8080));
    let kept_port = SocketAddr::from((host.address(), 9101));
    let open: Vec<_> =
        within(&client.namespace, || [published, kept_port].map(|address| connect(address).unwrap().0).into());
    drop(networks);

    let networks = host.start();
    // Before it is told anything the new daemon serves what the old one did.
    assert_eq!(within(&client.namespace, || connect(published).unwrap().1), "task101 192.168.77.2");
    let kept = networks.adopt(vec!["task101".to_owned(), "unknown".to_owned()]).await.unwrap();
    assert_eq!(kept.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["task101"]);
    networks.ensure_network(host.ingress_wish()).await.unwrap();
    let mut request = task_request(101);
    request.host_ports = vec![host_port(9101)];
    assert_eq!(networks.create_endpoint(request).await.unwrap(), kept[0].1);
    networks.set_services(vec![service(8080, &[101])], Vec::new()).await.unwrap();
    for mut stream in open {
        stream.write_all(b"on").unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
    }
    for address in [published, kept_port] {
        assert_eq!(within(&client.namespace, || connect(address).unwrap().1), "task101 192.168.77.2");
    }
    let gone = within(&client.namespace, || connect(SocketAddr::from((host.address(), 9102))).unwrap_err());
    assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
    assert!(!host.exec_root.join("netns/task102").exists());
}

#[tokio::test]
async fn an_endpoint_that_was_never_finished_is_made_anew() {
    let fabric = Fabric::new(1);
    let host = &fabric.hosts[0];
    let networks = host.start();
    networks.create_endpoint(bridged("a", Vec::new())).await.unwrap();
    drop(networks);
    // As if the daemon had died before the interfaces stood.
    let file = host.exec_root.join("endpoints/a.json");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"complete\":true"));
    std::fs::write(&file, text.replace("\"complete\":true", "\"complete\":false")).unwrap();
    let link = host
        .ip("-o link show type veth")
        .lines()
        .find_map(|line| line.split(": ").nth(1).filter(|name| name.starts_with("sv")).map(str::to_owned));
    let link = link.unwrap();
    host.ip(&format!("link del {}", link.split('@').next().unwrap()));
    let networks = host.start();
    let endpoint = networks.create_endpoint(bridged("a", Vec::new())).await.unwrap();
    within(&endpoint.netns_path, || std::net::UdpSocket::bind("0.0.0.0:0").unwrap().connect("192.168.77.1:9").unwrap());
    assert_eq!(networks.adopt(vec!["a".to_owned()]).await.unwrap(), [("a".to_owned(), endpoint)]);
}

#[tokio::test]
async fn filters_of_others_that_drop_forwarded_packets_are_seen() {
    let fabric = Fabric::new(1);
    let host = &fabric.hosts[0];
    let rules = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; } ; chain INPUT { type filter hook input priority 0; policy drop; } ; }";
    let found = within(&host.namespace, || {
        assert!(std::process::Command::new("nft").arg(rules).status().unwrap().success());
        let mut channel = Channel::open(netlink_sys::protocols::NETLINK_NETFILTER).unwrap();
        chains(&mut channel).unwrap()
    });
    let dropping: Vec<_> = found.iter().filter(|chain| chain.drops_forwarded).collect();
    assert_eq!(dropping.iter().map(|chain| (&*chain.table, &*chain.name)).collect::<Vec<_>>(), [("filter", "FORWARD")]);
}

#[tokio::test]
async fn teardown_leaves_nothing() {
    let fabric = Fabric::new(2);
    let host = &fabric.hosts[0];
    let before = snapshot(host);
    let networks = host.start_with_ingress().await;
    let mut request = task_request(101);
    request.host_ports = vec![host_port(8081)];
    networks.create_endpoint(request).await.unwrap();
    networks.set_peers(ingress(), vec![fabric.hosts[1].peer(&[task_address(103)])]).await.unwrap();
    networks.set_services(vec![service(8080, &[101, 103])], Vec::new()).await.unwrap();
    assert_ne!(snapshot(host), before);
    networks.teardown().await.unwrap();
    assert_eq!(snapshot(host), before);
    assert!(!host.exec_root.join("netns").exists() && !host.exec_root.join("network.json").exists());
}

#[tokio::test]
async fn a_ruleset_that_others_flushed_is_made_anew() {
    let fabric = Fabric::new(2);
    let (host, client) = (&fabric.hosts[0], &fabric.hosts[1]);
    let networks = host.start_with_ingress().await;
    let endpoint = networks.create_endpoint(task_request(101)).await.unwrap();
    serve(&endpoint, "task101");
    networks.set_services(vec![service(8080, &[101])], Vec::new()).await.unwrap();
    within(&host.namespace, || std::process::Command::new("nft").args(["flush", "ruleset"]).status().unwrap());
    networks.set_services(vec![service(8080, &[101]), service(8081, &[101])], Vec::new()).await.unwrap();
    for port in [8080, 8081] {
        let address = SocketAddr::from((host.address(), port));
        assert_eq!(within(&client.namespace, || connect(address).unwrap().1), "task101 192.168.77.2");
    }
}

#[tokio::test]
async fn a_ruleset_that_others_flushed_is_repaired_unasked() {
    let fabric = Fabric::new(2);
    let (host, client) = (&fabric.hosts[0], &fabric.hosts[1]);
    let mut config = host.config();
    config.verify_period = Duration::from_millis(20);
    let networks = within(&host.namespace, move || Networks::start(config).unwrap());
    networks.ensure_network(host.ingress_wish()).await.unwrap();
    let endpoint = networks.create_endpoint(task_request(101)).await.unwrap();
    serve(&endpoint, "task101");
    networks.set_services(vec![service(8080, &[101])], Vec::new()).await.unwrap();
    within(&host.namespace, || std::process::Command::new("nft").args(["flush", "ruleset"]).status().unwrap());
    let address = SocketAddr::from((host.address(), 8080));
    let begin = Instant::now();
    let answered = || within(&client.namespace, || connect(address)).is_ok();
    while !answered() {
        assert!(begin.elapsed() < Duration::from_secs(3), "{}", host.nft());
    }
}

#[tokio::test]
async fn two_daemons_in_one_namespace_serve_each_others_tasks() {
    let fabric = Fabric::new(2);
    let (host, client) = (&fabric.hosts[0], &fabric.hosts[1]);
    let mut daemons = Vec::new();
    for number in [11, 12] {
        let mut config = host.config();
        config.exec_root = host.exec_root.join(format!("d{number}"));
        let networks = within(&host.namespace, move || Networks::start(config).unwrap());
        let node_address = Some(IpAddr::from([10, 0, 0, number]));
        networks.ensure_network(NetworkPlanInput { node_address, ..host.ingress_wish() }).await.unwrap();
        let endpoint = networks.create_endpoint(task_request(number + 100)).await.unwrap();
        serve(&endpoint, &format!("task{}", number + 100));
        daemons.push(networks);
    }
    for networks in &daemons {
        networks.set_services(vec![service(8080, &[111, 112])], Vec::new()).await.unwrap();
    }
    let address = SocketAddr::from((host.address(), 8080));
    let mut greetings = within(&client.namespace, || [0; 2].map(|_| connect(address).unwrap().1));
    greetings.sort();
    assert_eq!(greetings, ["task111 192.168.77.2", "task112 192.168.77.2"]);
    // One leaves; the other goes on.
    daemons[0].teardown().await.unwrap();
    daemons[1].set_services(vec![service(8080, &[112])], Vec::new()).await.unwrap();
    assert_eq!(within(&client.namespace, || connect(address).unwrap().1), "task112 192.168.77.2");
    for number in [11, 12] {
        remove_programs(&host.exec_root.join(format!("d{number}"))).unwrap();
        for file in std::fs::read_dir(host.exec_root.join(format!("d{number}/netns"))).into_iter().flatten().flatten() {
            nix::mount::umount2(&file.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
        }
    }
}

#[tokio::test]
async fn the_bridge_subnet_avoids_routes_and_is_kept() {
    let fabric = Fabric::new(1);
    let host = &fabric.hosts[0];
    host.ip("route add 172.17.0.0/24 dev up0");
    drop(host.start());
    host.ip("route del 172.17.0.0/24 dev up0");
    let networks = host.start();
    let endpoint = networks.create_endpoint(bridged("a", Vec::new())).await.unwrap();
    let expected: Cidr = "172.18.0.2/16".parse().unwrap();
    assert_eq!(endpoint.addresses, [(AttachmentNetwork::Bridge, expected)]);
}

/// What a host has of links, routes, rules and tables; without what changes by itself.
fn snapshot(host: &Host) -> [String; 5] {
    let links: Vec<String> =
        host.ip("-o link").lines().filter_map(|line| line.split(": ").nth(1).map(str::to_owned)).collect();
    [links.join(" "), host.ip("route show table all"), host.ip("neigh show nud permanent"), host.nft(), ip("rule")]
}
