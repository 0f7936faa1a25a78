//! Virtual addresses and the resolver's port, by both ways to translate: rules in every namespace, programs at connect.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::libc;
use shoal_proto::model::{Cidr, Id, NetworkId};

use super::fabric::{Fabric, Host, ask, connect, serve, within};
use crate::network::{
    Attachment, AttachmentNetwork, EndpointRequest, NetworkConfig, NetworkKind, NetworkPlanInput, Networks,
    VipTranslation, VirtualService,
};

/// One host with tasks t11 to t13 on a network, and a client there.
pub(super) struct Stage {
    fabric: Fabric,
    pub(super) networks: Networks,
    pub(super) client: PathBuf,
}

pub(super) const VIP: Ipv4Addr = Ipv4Addr::new(10, 91, 1, 2);
const TASKS: [u8; 3] = [11, 12, 13];

fn overlay() -> NetworkId {
    NetworkId::from_random(91)
}

fn task(number: u8) -> IpAddr {
    IpAddr::from([10, 91, 1, number])
}

fn vip(tasks: &[u8]) -> VirtualService {
    let tasks = tasks.iter().map(|number| task(*number)).collect();
    VirtualService { network: overlay(), address: VIP.into(), tasks }
}

fn at(address: impl Into<IpAddr>) -> SocketAddr {
    SocketAddr::new(address.into(), 80)
}

fn wish(id: NetworkId, third: u8) -> NetworkPlanInput {
    NetworkPlanInput {
        id,
        vni: 4100 + u32::from(third),
        data_path_port: 4789,
        subnet: Cidr { address: [10, 91, third, 0].into(), prefix: 24 },
        encrypted: false,
        kind: NetworkKind::Overlay,
        mtu: None,
        node_address: None,
    }
}

fn request(container: &str, network: NetworkId, address: IpAddr) -> EndpointRequest {
    let address = Some(Cidr { address, prefix: 24 });
    EndpointRequest {
        container_id: container.to_owned(),
        attachments: vec![Attachment { network: AttachmentNetwork::Overlay(network), address }],
        host_ports: Vec::new(),
        nameservers: Vec::new(),
    }
}

fn start(host: &Host, vip_translation: VipTranslation) -> Networks {
    let config = NetworkConfig { vip_translation, ..host.config() };
    within(&host.namespace, move || Networks::start(config).unwrap())
}

impl Stage {
    pub(super) async fn new(translation: VipTranslation) -> Self {
        let fabric = Fabric::new(1);
        let networks = start(&fabric.hosts[0], translation);
        networks.ensure_network(wish(overlay(), 1)).await.unwrap();
        for number in TASKS {
            let endpoint = networks.create_endpoint(request(&format!("t{number}"), overlay(), task(number))).await;
            serve(&endpoint.unwrap(), &format!("t{number}"));
        }
        let client = networks.create_endpoint(request("client", overlay(), task(100))).await.unwrap().netns_path;
        networks.open_resolver("client").await.unwrap();
        let stage = Self { fabric, networks, client };
        stage.lead(&TASKS).await;
        stage
    }

    pub(super) fn host(&self) -> &Host {
        &self.fabric.hosts[0]
    }

    async fn lead(&self, tasks: &[u8]) {
        self.networks.set_services(Vec::new(), vec![vip(tasks)]).await.unwrap();
    }

    /// How often each task answered on connections to the VIP.
    pub(super) fn answers(&self, times: usize) -> BTreeMap<String, usize> {
        within(&self.client, || {
            let mut answers = BTreeMap::new();
            for _ in 0..times {
                let (_, greeting) = connect(at(VIP)).unwrap();
                let (name, client) = greeting.split_once(' ').unwrap();
                assert_eq!(client, task(100).to_string());
                *answers.entry(name.to_owned()).or_default() += 1;
            }
            answers
        })
    }
}

fn exchange(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes())?;
    let mut buffer = vec![0; text.len()];
    stream.read_exact(&mut buffer)?;
    assert_eq!(buffer, text.as_bytes());
    Ok(())
}

async fn connections_are_spread_over_tasks(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    let answers = stage.answers(300);
    assert_eq!(answers.len(), 3, "{answers:?}");
    // Drawn by chance: each a third, and sixty is six deviations from that.
    assert!(answers.values().all(|count| (50..=150).contains(count)), "{answers:?}");
    let shown = stage.networks.shown_vips().await.unwrap();
    assert_eq!(shown["client"][&VIP], TASKS.map(|number| Ipv4Addr::new(10, 91, 1, number)));
}

async fn a_socket_is_told_the_address_that_it_asked_for(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    within(&stage.client, || {
        let (stream, _) = connect(at(VIP)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), at(VIP));
        // As programs that know IPv6 alone do it.
        let mapped = SocketAddr::from((VIP.to_ipv6_mapped(), 80));
        let (stream, _) = connect(mapped).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), mapped);
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        socket.send_to(b"?", mapped).unwrap();
        assert_eq!(socket.recv_from(&mut [0; 100]).unwrap().1, mapped);
        let (stream, greeting) = connect(at(task(11))).unwrap();
        assert_eq!((stream.peer_addr().unwrap(), &*greeting), (at(task(11)), "t11 10.91.1.100"));
    });
}

async fn datagrams_come_from_the_virtual_address_and_one_task(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    within(&stage.client, || {
        let mut seen = BTreeSet::new();
        for _ in 0..30 {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            let mut tasks = BTreeSet::new();
            for _ in 0..5 {
                socket.send_to(b"?", at(VIP)).unwrap();
                let mut buffer = [0; 100];
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                assert_eq!(from, at(VIP));
                tasks.insert(buffer[..length].to_vec());
            }
            assert_eq!(tasks.len(), 1, "one socket reached {tasks:?}");
            seen.extend(tasks);
            let connected = UdpSocket::bind("0.0.0.0:0").unwrap();
            connected.connect(at(VIP)).unwrap();
            assert_eq!(connected.peer_addr().unwrap(), at(VIP));
            connected.send(b"?").unwrap();
            connected.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            assert_eq!(connected.recv_from(&mut [0; 100]).unwrap().1, at(VIP));
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
    });
}

async fn an_address_without_tasks_refuses_at_once(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    stage.lead(&[]).await;
    let begin = Instant::now();
    within(&stage.client, || {
        assert_eq!(connect(at(VIP)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let datagram = UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", at(VIP));
        // A datagram that a rule rejects is "not permitted" for its sender.
        let refusal = if translation == VipTranslation::Ebpf {
            ErrorKind::ConnectionRefused
        } else {
            ErrorKind::PermissionDenied
        };
        assert_eq!(ask(at(VIP)).unwrap_err().kind(), refusal);
        assert_eq!(datagram.unwrap_err().kind(), refusal);
    });
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(stage.networks.shown_vips().await.unwrap()["client"][&VIP], Vec::<Ipv4Addr>::new());
    stage.lead(&[12]).await;
    assert_eq!(stage.answers(3), BTreeMap::from([("t12".to_owned(), 3)]));
    stage.networks.set_services(Vec::new(), Vec::new()).await.unwrap();
    within(&stage.client, || assert_ne!(connect(at(VIP)).unwrap_err().kind(), ErrorKind::ConnectionRefused));
}

async fn a_change_reaches_new_connections_and_leaves_the_old(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    let mut open: Vec<TcpStream> =
        within(&stage.client, || (0..20).map(|_| connect(at(VIP)).unwrap().0).collect::<Vec<_>>());
    stage.lead(&[12]).await;
    assert_eq!(stage.answers(20), BTreeMap::from([("t12".to_owned(), 20)]));
    stage.lead(&[12, 13]).await;
    assert_eq!(stage.answers(60).keys().collect::<Vec<_>>(), ["t12", "t13"]);
    open.iter_mut().for_each(|stream| exchange(stream, "still here").unwrap());
}

async fn a_task_that_is_gone_ends_its_connections(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    stage.lead(&[11]).await;
    let (mut stream, connected, unconnected) = within(&stage.client, || {
        let [connected, unconnected] = [0; 2].map(|_| UdpSocket::bind("0.0.0.0:0").unwrap());
        connected.connect(at(VIP)).unwrap();
        (connect(at(VIP)).unwrap().0, connected, unconnected)
    });
    for socket in [&connected, &unconnected] {
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    }
    let answerer = |sent: std::io::Result<usize>, socket: &UdpSocket| -> std::io::Result<String> {
        sent?;
        let mut buffer = [0; 100];
        let (length, from) = socket.recv_from(&mut buffer)?;
        assert_eq!(from, at(VIP));
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    let of_connected = || answerer(connected.send(b"?"), &connected);
    let of_unconnected = || answerer(unconnected.send_to(b"?", at(VIP)), &unconnected);
    assert!(of_connected().unwrap().starts_with("t11 ") && of_unconnected().unwrap().starts_with("t11 "));

    stage.lead(&[12]).await;
    // It goes on while it ends.
    exchange(&mut stream, "still here").unwrap();
    assert!(of_connected().unwrap().starts_with("t11 ") && of_unconnected().unwrap().starts_with("t11 "));
    stage.networks.remove_endpoint("t11").await.unwrap();
    let begin = Instant::now();
    while stream.write_all(b"anyone?").is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(3));
        std::thread::yield_now();
    }
    assert!(of_unconnected().unwrap().starts_with("t12 "));
    let outcome = loop {
        match of_connected() {
            Ok(text) if text.starts_with("t11 ") => assert!(begin.elapsed() < Duration::from_secs(3)),
            outcome => break outcome,
        }
    };
    match outcome {
        // A program has no hand in what a connected socket sends: it is told that its peer is gone.
        Err(error) if translation == VipTranslation::Ebpf => {
            let told = [libc::ECONNABORTED, libc::EDESTADDRREQ];
            assert!(error.raw_os_error().is_some_and(|code| told.contains(&code)), "{error}");
            assert!(within(&stage.client, || ask(at(VIP)).unwrap()).starts_with("t12 "));
        }
        outcome => assert!(outcome.unwrap().starts_with("t12 ")),
    }
}

async fn changes_without_pause_refuse_nobody(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    let client = stage.client.clone();
    let connecting =
        std::thread::spawn(move || within(&client, || (0..500).for_each(|_| drop(connect(at(VIP)).unwrap()))));
    let mut changes = 0;
    while !connecting.is_finished() {
        stage.lead([&[11, 12, 13][..], &[11], &[12, 13]][changes % 3]).await;
        changes += 1;
    }
    connecting.join().unwrap();
    assert!(changes > 100, "{changes}");
}

async fn a_restart_misses_no_connection(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    let mut open = within(&stage.client, || connect(at(VIP)).unwrap().0);
    restart_under_load(&stage, translation).await;
    exchange(&mut open, "still here").unwrap();
    assert_eq!(stage.answers(20), BTreeMap::from([("t13".to_owned(), 20)]));
}

/// Starts another daemon with a way to translate, as after the first was killed, while a client connects again and
/// again; at the end the VIP leads to t13.
async fn restart_under_load(stage: &Stage, next: VipTranslation) {
    let (host, client) = (stage.host(), &stage.client);
    let ended = AtomicBool::new(false);
    let (made, seen) = sync_channel(1);
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            within(client, || {
                while !ended.load(Ordering::Relaxed) {
                    connect(at(VIP)).unwrap();
                    // That one is waiting to be seen is enough.
                    let _full = made.try_send(());
                }
                drop(made);
            });
        });
        let restarting = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            drop(runtime.block_on(restart(host, next, &seen)));
        });
        let restarted = restarting.join();
        ended.store(true, Ordering::Relaxed);
        connecting.join().unwrap();
        restarted.unwrap();
    });
}

/// The daemon before this one is not heard any more: it does nothing unasked, as one that was killed.
async fn restart(host: &Host, translation: VipTranslation, connected: &Receiver<()>) -> Networks {
    let connections_go_on = || (0..20).for_each(|_| connected.recv().unwrap());
    connections_go_on();
    let networks = start(host, translation);
    let kept = ["t11", "t12", "t13", "client"].map(str::to_owned).to_vec();
    assert_eq!(networks.adopt(kept).await.unwrap().len(), 4);
    networks.ensure_network(wish(overlay(), 1)).await.unwrap();
    networks.open_resolver("client").await.unwrap();
    connections_go_on();
    networks.set_services(Vec::new(), vec![vip(&[13])]).await.unwrap();
    connections_go_on();
    networks
}

#[tokio::test]
async fn programs_take_over_from_rules_without_a_gap() {
    let stage = Stage::new(VipTranslation::Nftables).await;
    let mut open = within(&stage.client, || connect(at(VIP)).unwrap().0);
    restart_under_load(&stage, VipTranslation::Ebpf).await;
    exchange(&mut open, "still here").unwrap();
    assert_eq!(stage.answers(20), BTreeMap::from([("t13".to_owned(), 20)]));
    let listed = within(&stage.client, || Command::new("nft").args(["list", "ruleset"]).output().unwrap().stdout);
    assert!(!String::from_utf8(listed).unwrap().contains("10.91.1."), "the table still translates");
}

#[tokio::test]
async fn rules_take_over_from_programs_without_a_gap() {
    let stage = Stage::new(VipTranslation::Ebpf).await;
    let mut open = within(&stage.client, || connect(at(VIP)).unwrap().0);
    restart_under_load(&stage, VipTranslation::Nftables).await;
    exchange(&mut open, "still here").unwrap();
    assert_eq!(stage.answers(20), BTreeMap::from([("t13".to_owned(), 20)]));
    assert!(!stage.host().exec_root.join("bpf").exists());
}

async fn port_53_leads_to_the_resolver(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    let resolver = stage.networks.open_resolver("client").await.unwrap();
    let port_53 = SocketAddr::from(([127, 0, 0, 11], 53));
    resolver.udp.set_nonblocking(false).unwrap();
    resolver.udp.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let answer = || {
        let (_, client) = resolver.udp.recv_from(&mut [0; 100]).unwrap();
        resolver.udp.send_to(b"!", client).unwrap();
    };
    within(&stage.client, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        socket.send_to(b"?", port_53).unwrap();
        answer();
        assert_eq!(socket.recv_from(&mut [0; 100]).unwrap(), (1, port_53));
        socket.connect(port_53).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), port_53);
        socket.send(b"?").unwrap();
        answer();
        assert_eq!(socket.recv_from(&mut [0; 100]).unwrap(), (1, port_53));
        let stream = TcpStream::connect(port_53).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), port_53);
    });
    resolver.tcp.accept().unwrap();
}

async fn an_address_answers_to_ping(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    let ping = |size: &str| {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", stage.client.display()));
        command.args(["busybox", "ping", "-c", "2", "-i", "0.2", "-W", "2", "-s", size, &VIP.to_string()]);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // The second takes several packets.
    for size in ["56", "4000"] {
        let (answered, text) = ping(size);
        assert!(answered && text.contains("from 10.91.1.2"), "{size}: {text}");
    }
    stage.lead(&[]).await;
    assert!(!ping("56").0);
}

async fn who_is_not_on_the_network_is_not_translated(translation: VipTranslation) {
    let stage = Stage::new(translation).await;
    let other = NetworkId::from_random(92);
    stage.networks.ensure_network(wish(other, 3)).await.unwrap();
    let elsewhere = stage.networks.create_endpoint(request("other", other, [10, 91, 3, 5].into())).await.unwrap();
    stage.networks.open_resolver("other").await.unwrap();
    stage.lead(&TASKS).await;
    // Neither has a way to the address, so a connection that gets anywhere was translated.
    for namespace in [&stage.host().namespace, &elsewhere.netns_path] {
        let outcome = within(namespace, || TcpStream::connect_timeout(&at(VIP), Duration::from_secs(3)));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NetworkUnreachable, "{}", namespace.display());
    }
}

#[tokio::test]
async fn teardown_leaves_no_program() {
    let stage = Stage::new(VipTranslation::Ebpf).await;
    let bpf = stage.host().exec_root.join("bpf");
    let build = std::fs::read_dir(&bpf).unwrap().next().unwrap().unwrap().path();
    let program = aya::programs::ProgramInfo::from_pin(build.join("answer")).unwrap().id();
    let loaded = || aya::programs::loaded_programs().any(|found| found.is_ok_and(|found| found.id() == program));
    assert!(loaded());
    stage.networks.teardown().await.unwrap();
    assert!(!bpf.exists());
    let Stage { fabric, networks, client } = stage;
    drop(networks);
    // The kernel frees it once no processor may be running it.
    let begin = Instant::now();
    while loaded() {
        assert!(begin.elapsed() < Duration::from_secs(5));
        std::thread::yield_now();
    }
    assert!(!client.exists());
    drop(fabric);
}

macro_rules! both_ways {
    ($($name:ident,)*) => {
        mod by_programs {
            $(#[tokio::test] async fn $name() { super::$name(super::VipTranslation::Ebpf).await; })*
        }
        mod by_rules {
            $(#[tokio::test] async fn $name() { super::$name(super::VipTranslation::Nftables).await; })*
        }
    };
}

both_ways! {
    connections_are_spread_over_tasks,
    a_socket_is_told_the_address_that_it_asked_for,
    datagrams_come_from_the_virtual_address_and_one_task,
    an_address_without_tasks_refuses_at_once,
    a_change_reaches_new_connections_and_leaves_the_old,
    a_task_that_is_gone_ends_its_connections,
    changes_without_pause_refuse_nobody,
    a_restart_misses_no_connection,
    port_53_leads_to_the_resolver,
    an_address_answers_to_ping,
    who_is_not_on_the_network_is_not_translated,
}
