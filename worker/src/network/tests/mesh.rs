//! The routing mesh over several hosts: every host answers, evenly, with the client's address kept.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use super::fabric::{Fabric, Host, ask, connect, ingress, serve, service, task_address, task_request, within};
use crate::network::{NetworkConfig, Networks, Peer};

/// Three hosts with two tasks each, 10.0.0.101 on, all published on port 8080; host 4 is a client and has no daemon.
struct Mesh {
    fabric: Fabric,
    daemons: Vec<Networks>,
}

impl Mesh {
    async fn new() -> Self {
        Self::with(None).await
    }

    async fn with(keep_client_addresses: Option<bool>) -> Self {
        let fabric = Fabric::new(4);
        let mut daemons = Vec::new();
        for host in &fabric.hosts[..3] {
            let config = NetworkConfig { keep_client_addresses, ..host.config() };
            let networks = within(&host.namespace, move || Networks::start(config).unwrap());
            networks.ensure_network(host.ingress_wish()).await.unwrap();
            for number in tasks_of(host) {
                let endpoint = networks.create_endpoint(task_request(number)).await.unwrap();
                serve(&endpoint, &format!("task{number}"));
            }
            networks.set_peers(ingress(), peers_of(&fabric, host)).await.unwrap();
            daemons.push(networks);
        }
        let mesh = Self { fabric, daemons };
        mesh.publish(&[101, 102, 103, 104, 105, 106]).await;
        mesh
    }

    async fn publish(&self, tasks: &[u8]) {
        for daemon in &self.daemons {
            daemon.set_services(vec![service(8080, tasks)], Vec::new()).await.unwrap();
        }
    }

    fn client(&self) -> &Host {
        &self.fabric.hosts[3]
    }
}

fn tasks_of(host: &Host) -> [u8; 2] {
    [99 + 2 * host.number, 100 + 2 * host.number]
}

fn peers_of(fabric: &Fabric, host: &Host) -> Vec<Peer> {
    let others = fabric.hosts[..3].iter().filter(|other| other.number != host.number);
    others.map(|other| other.peer(&tasks_of(other).map(task_address))).collect()
}

fn at(address: impl Into<IpAddr>) -> SocketAddr {
    SocketAddr::new(address.into(), 8080)
}

/// Connects `times` from a namespace; how often each task answered, and the clients' addresses that they saw.
fn answers(namespace: &Path, address: SocketAddr, times: usize) -> (BTreeMap<String, usize>, Vec<String>) {
    within(namespace, || {
        let (mut tasks, mut clients) = (BTreeMap::new(), Vec::new());
        for _ in 0..times {
            for greeting in [connect(address).unwrap().1, ask(address).unwrap()] {
                let (task, client) = greeting.split_once(' ').unwrap();
                *tasks.entry(task.to_owned()).or_insert(0) += 1;
                clients.push(client.to_owned());
            }
        }
        clients.sort();
        clients.dedup();
        (tasks, clients)
    })
}

#[tokio::test]
async fn every_host_reaches_all_tasks_evenly_and_keeps_the_client() {
    let mesh = Mesh::new().await;
    for host in &mesh.fabric.hosts[..3] {
        let (tasks, clients) = answers(&mesh.client().namespace, at(host.address()), 12);
        assert_eq!(tasks.len(), 6, "host {}: {tasks:?}", host.number);
        assert!(tasks.values().all(|count| *count == 4), "host {}: {tasks:?}", host.number);
        assert_eq!(clients, ["192.168.77.4"], "host {}", host.number);
    }
}

#[tokio::test]
async fn one_socket_of_a_client_reaches_one_task_through_several_hosts() {
    let mesh = Mesh::new().await;
    mesh.publish(&[103]).await;
    within(&mesh.client().namespace, || {
        let first = connect_from(None, at(mesh.fabric.hosts[0].address()));
        let port = first.local_addr().unwrap().port();
        let others = mesh.fabric.hosts[1..3].iter().map(|host| connect_from(Some(port), at(host.address())));
        let mut streams: Vec<TcpStream> = std::iter::once(first).chain(others).collect();
        for round in 0..3u8 {
            for (index, stream) in (0..).zip(&mut streams) {
                stream.write_all(&[round, index]).unwrap();
            }
            for (index, stream) in (0..).zip(&mut streams) {
                let mut buffer = [0; 2];
                stream.read_exact(&mut buffer).unwrap();
                assert_eq!(buffer, [round, index]);
            }
        }
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        for _ in 0..3 {
            for host in &mesh.fabric.hosts[..3] {
                socket.send_to(b"?", at(host.address())).unwrap();
                let mut buffer = [0; 100];
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[..length], from), (&b"task103 192.168.77.4"[..], at(host.address())));
            }
        }
    });
}

/// A connection from a port, which other connections may share, with its greeting read.
fn connect_from(port: Option<u16>, to: SocketAddr) -> TcpStream {
    let socket = shareable(port);
    connect_socket(&socket, to);
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut buffer = [0; 100];
    let length = stream.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"task103 192.168.77.4");
    stream
}

fn shareable(port: Option<u16>) -> OwnedFd {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
    let address = SockaddrIn::new(0, 0, 0, 0, port.unwrap_or_default());
    bind(socket.as_raw_fd(), &address).unwrap();
    socket
}

fn connect_socket(socket: &OwnedFd, to: SocketAddr) {
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
}

#[tokio::test]
async fn a_kernel_that_cannot_keep_clients_serves_all_the_same() {
    let mesh = Mesh::with(Some(false)).await;
    for host in &mesh.fabric.hosts[..3] {
        let (tasks, clients) = answers(&mesh.client().namespace, at(host.address()), 6);
        assert_eq!((tasks.len(), clients), (6, vec![host.node_address().to_string()]), "{tasks:?}");
        let (tasks, _) = answers(&host.namespace, at(Ipv4Addr::LOCALHOST), 6);
        assert_eq!(tasks.len(), 6, "{tasks:?}");
    }
}

#[tokio::test]
async fn hosts_reach_tasks_by_every_address_of_their_own() {
    let mesh = Mesh::new().await;
    for host in &mesh.fabric.hosts[..3] {
        let (tasks, clients) = answers(&host.namespace, at(Ipv4Addr::LOCALHOST), 6);
        assert_eq!((tasks.len(), clients), (6, vec![host.node_address().to_string()]), "{tasks:?}");
        let (tasks, clients) = answers(&host.namespace, at(host.address()), 6);
        assert_eq!((tasks.len(), clients), (6, vec![host.address().to_string()]), "{tasks:?}");
        let next = &mesh.fabric.hosts[usize::from(host.number % 3)];
        let (tasks, clients) = answers(&host.namespace, at(next.address()), 6);
        assert_eq!((tasks.len(), clients), (6, vec![host.address().to_string()]), "{tasks:?}");
    }
}

#[tokio::test]
async fn containers_reach_the_mesh_their_host_and_the_world() {
    let mesh = Mesh::new().await;
    let host = &mesh.fabric.hosts[0];
    let inside = host.exec_root.join("netns/task101");
    // Its own host, itself among the tasks, and another host, which sees this host as the client.
    let (tasks, _) = answers(&inside, at(host.address()), 6);
    assert_eq!(tasks.len(), 6, "{tasks:?}");
    let (tasks, clients) = answers(&inside, at(mesh.fabric.hosts[1].address()), 6);
    assert_eq!((tasks.len(), clients), (6, vec![host.address().to_string()]), "{tasks:?}");
}

#[tokio::test]
async fn removed_tasks_get_no_new_connection_and_keep_the_old() {
    let mesh = Mesh::new().await;
    let address = at(mesh.fabric.hosts[0].address());
    let open = within(&mesh.client().namespace, || (0..6).map(|_| connect(address).unwrap()).collect::<Vec<_>>());
    mesh.publish(&[101, 103, 105]).await;
    let (tasks, _) = answers(&mesh.client().namespace, address, 12);
    assert_eq!(tasks.keys().collect::<Vec<_>>(), ["task101", "task103", "task105"]);
    for (mut stream, greeting) in open {
        stream.write_all(b"still here").unwrap();
        let mut buffer = [0; 10];
        stream.read_exact(&mut buffer).unwrap_or_else(|error| panic!("{greeting}: {error}"));
    }
}

#[tokio::test]
async fn a_service_without_tasks_refuses_at_once() {
    let mesh = Mesh::new().await;
    mesh.publish(&[]).await;
    for host in &mesh.fabric.hosts[..3] {
        let begin = Instant::now();
        within(&mesh.client().namespace, || {
            assert_eq!(connect(at(host.address())).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert_eq!(ask(at(host.address())).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        });
        assert!(begin.elapsed() < Duration::from_secs(1));
        within(&host.namespace, || {
            assert_eq!(connect(at(Ipv4Addr::LOCALHOST)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        });
    }
    mesh.publish(&[106]).await;
    let (tasks, _) = answers(&mesh.client().namespace, at(mesh.fabric.hosts[0].address()), 2);
    assert_eq!(tasks.keys().collect::<Vec<_>>(), ["task106"]);
}

#[tokio::test]
async fn a_task_moves_between_hosts_with_its_address() {
    let mesh = Mesh::new().await;
    let [from, to] = [0, 1].map(|index: usize| (&mesh.fabric.hosts[index], &mesh.daemons[index]));
    from.1.remove_endpoint("task101").await.unwrap();
    let endpoint = to.1.create_endpoint(task_request(101)).await.unwrap();
    serve(&endpoint, "moved");
    let moved = |host: &Host| match host.number {
        1 => host.peer(&[task_address(102)]),
        2 => host.peer(&[task_address(101), task_address(103), task_address(104)]),
        _ => host.peer(&tasks_of(host).map(task_address)),
    };
    for (host, daemon) in mesh.fabric.hosts.iter().zip(&mesh.daemons) {
        let others = mesh.fabric.hosts[..3].iter().filter(|other| other.number != host.number);
        daemon.set_peers(ingress(), others.map(moved).collect()).await.unwrap();
    }
    mesh.publish(&[101]).await;
    for host in &mesh.fabric.hosts[..3] {
        let (tasks, clients) = answers(&mesh.client().namespace, at(host.address()), 2);
        assert_eq!(tasks.keys().collect::<Vec<_>>(), ["moved"], "host {}", host.number);
        assert_eq!(clients, ["192.168.77.4"]);
    }
}

#[tokio::test]
async fn a_task_that_is_gone_ends_its_connections() {
    let mesh = Mesh::new().await;
    let address = at(mesh.fabric.hosts[0].address());
    mesh.publish(&[103]).await;
    let client = &mesh.client().namespace;
    let (mut stream, _) = within(client, || connect(address).unwrap());
    let socket = within(client, || UdpSocket::bind("0.0.0.0:0").unwrap());
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut buffer = [0; 100];
    socket.send(b"?").unwrap();
    assert!(socket.recv(&mut buffer).is_ok_and(|length| buffer[..length].starts_with(b"task103")));

    mesh.publish(&[101]).await;
    mesh.daemons[1].remove_endpoint("task103").await.unwrap();
    for (host, daemon) in mesh.fabric.hosts.iter().zip(&mesh.daemons) {
        let mut peers = peers_of(&mesh.fabric, host);
        peers.iter_mut().for_each(|peer| peer.addresses.retain(|address| *address != task_address(103)));
        daemon.set_peers(ingress(), peers).await.unwrap();
    }
    let begin = Instant::now();
    // The next packets find no connection: TCP is reset, datagrams go to the task that there is.
    let ended = loop {
        assert!(begin.elapsed() < Duration::from_secs(3));
        if let Err(error) = stream.write_all(b"anyone?") {
            break error;
        }
    };
    assert!(matches!(ended.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{ended}");
    socket.send(b"?").unwrap();
    assert!(socket.recv(&mut buffer).is_ok_and(|length| buffer[..length].starts_with(b"task101")));
}

#[tokio::test]
#[ignore = "prints figures"]
async fn many_connections() {
    let mesh = Mesh::new().await;
    let mut slow = Vec::new();
    let begin = Instant::now();
    within(&mesh.client().namespace, || {
        for round in 0..3000 {
            let host = &mesh.fabric.hosts[round % 3];
            let begin = Instant::now();
            let (stream, task) = connect(at(host.address())).unwrap();
            if begin.elapsed() > Duration::from_millis(500) {
                slow.push((round, host.number, task, stream.local_addr().unwrap().port(), begin.elapsed()));
            }
        }
    });
    println!("3000 connections through the mesh: {:?} each; slow: {slow:?}", begin.elapsed() / 3000);
}
