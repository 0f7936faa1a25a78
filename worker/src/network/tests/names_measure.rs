//! What virtual addresses cost, by both ways. Run by hand on a quiet machine, as root:
//! `cargo test -p shoal-worker --release network::tests::names_measure -- --ignored --nocapture --test-threads 1`.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt};
use shoal_proto::model::{Cidr, Id, NetworkId};

use super::fabric::{Fabric, Host, within};
use crate::network::{
    Attachment, AttachmentNetwork, EndpointRequest, NetworkConfig, NetworkKind, NetworkPlanInput, Networks,
    VipTranslation, VirtualService,
};

const BOTH: [VipTranslation; 2] = [VipTranslation::Ebpf, VipTranslation::Nftables];
const NAMESPACES: u16 = 200;
const SERVICES: u16 = 1000;
const CHANGES: u32 = 20;
/// Each speed is the median of so many, taken in turn.
const ROUNDS: usize = 9;

fn overlay() -> NetworkId {
    NetworkId::from_random(91)
}

fn address(block: u8, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::from([10, 91, block + high, low])
}

fn vip(number: u16) -> IpAddr {
    address(128, number)
}

async fn start(host: &Host, vip_translation: VipTranslation) -> Networks {
    let config = NetworkConfig { vip_translation, ..host.config() };
    let networks = within(&host.namespace, move || Networks::start(config).unwrap());
    let wish = NetworkPlanInput {
        id: overlay(),
        vni: 4191,
        data_path_port: 4789,
        subnet: "10.91.0.0/16".parse().unwrap(),
        encrypted: false,
        kind: NetworkKind::Overlay,
        mtu: None,
        node_address: None,
    };
    networks.ensure_network(wish).await.unwrap();
    networks
}

async fn endpoint(networks: &Networks, number: u16) -> std::path::PathBuf {
    let container_id = format!("c{number}");
    let address = Some(Cidr { address: address(0, number), prefix: 16 });
    let attachments = vec![Attachment { network: AttachmentNetwork::Overlay(overlay()), address }];
    let request = EndpointRequest { container_id, attachments, host_ports: Vec::new(), nameservers: Vec::new() };
    networks.create_endpoint(request).await.unwrap().netns_path
}

fn services() -> Vec<VirtualService> {
    let tasks = |service: u16| (0..10).map(move |task| address(16, 10 * service + task)).collect();
    (1..=SERVICES)
        .map(|service| VirtualService { network: overlay(), address: vip(service), tasks: tasks(service) })
        .collect()
}

#[tokio::test]
#[ignore = "prints figures"]
async fn a_change_in_every_namespace() {
    for way in BOTH {
        let fabric = Fabric::new(1);
        let networks = start(&fabric.hosts[0], way).await;
        for number in 1..=NAMESPACES {
            endpoint(&networks, number).await;
        }
        let before = memory_kib();
        let (begin, busy) = (Instant::now(), processor_time());
        for number in 1..=NAMESPACES {
            networks.open_resolver(&format!("c{number}")).await.unwrap();
        }
        let opening = (begin.elapsed() / u32::from(NAMESPACES), (processor_time() - busy) / u32::from(NAMESPACES));
        let mut wished = services();
        let (begin, busy) = (Instant::now(), processor_time());
        networks.set_services(Vec::new(), wished.clone()).await.unwrap();
        let filling = (begin.elapsed(), processor_time() - busy);
        // tidy: allow sleep-in-test: the kernel tells no one when it has freed what it was asked to.
        std::thread::sleep(Duration::from_secs(2));
        let memory = memory_kib().saturating_sub(before);
        let (mut worst, mut sum, mut busy) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for change in 0..CHANGES {
            wished[7].tasks[3] = address(64, change as u16 + 1);
            let told = wished.clone();
            let (begin, busy_before) = (Instant::now(), processor_time());
            networks.set_services(Vec::new(), told).await.unwrap();
            let taken = begin.elapsed();
            busy += processor_time() - busy_before;
            sum += taken;
            worst = worst.max(taken);
        }
        println!("{way:?}: {SERVICES} services x 10 tasks in {NAMESPACES} namespaces");
        println!("  one namespace opened: {:?}, {:?} of processor", opening.0, opening.1);
        println!("  all told at once: {:?}, {:?} of processor; {memory} KiB for all of it", filling.0, filling.1);
        println!("  one task replaced: {:?} mean, {worst:?} worst of {CHANGES}", sum / CHANGES);
        let each = busy / CHANGES / u32::from(NAMESPACES);
        println!("  processor for one change: {:?}, {each:?} a namespace", busy / CHANGES);
        let shown = Instant::now();
        let read = networks.shown_vips().await.unwrap();
        assert!(read.values().all(|vips| vips.len() == usize::from(SERVICES)));
        println!("  read back of all: {:?}", shown.elapsed());
        networks.teardown().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "prints figures"]
async fn speed_by_virtual_address_and_direct() {
    for way in BOTH {
        let fabric = Fabric::new(1);
        let networks = start(&fabric.hosts[0], way).await;
        let (client, task) = (endpoint(&networks, 1).await, endpoint(&networks, 2).await);
        networks.open_resolver("c1").await.unwrap();
        let mut wished = services();
        wished[0].tasks = vec![address(0, 2)];
        networks.set_services(Vec::new(), wished).await.unwrap();
        serve(&task);
        let (direct, by_vip) = (address(0, 2), vip(1));
        println!("{way:?}: by virtual address against direct, medians of {ROUNDS}");
        compare("connections a second", || connections(&client, direct), || connections(&client, by_vip));
        compare("datagrams there and back a second", || datagrams(&client, direct), || datagrams(&client, by_vip));
        compare("MB a second", || throughput(&client, direct), || throughput(&client, by_vip));
        networks.teardown().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "prints figures"]
async fn cost_for_sockets_of_the_host() {
    let fabric = Fabric::new(1);
    let host = &fabric.hosts[0];
    let to = SocketAddr::from(([127, 0, 0, 1], 9));
    let cost = || {
        within(&host.namespace, || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let begin = Instant::now();
            (0..200_000).for_each(|_| socket.connect(to).unwrap());
            begin.elapsed().as_secs_f64() / 200_000.0 * 1e9
        })
    };
    let without = median((0..ROUNDS).map(|_| cost()));
    let networks = start(host, VipTranslation::Ebpf).await;
    let with = median((0..ROUNDS).map(|_| cost()));
    println!("connect() of a datagram socket of the host: {without:.0} ns without programs, {with:.0} ns with");
    networks.teardown().await.unwrap();
}

fn compare(what: &str, mut direct: impl FnMut() -> f64, mut by_vip: impl FnMut() -> f64) {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(direct());
        other.push(by_vip());
    }
    let (one, other) = (median(one), median(other));
    println!("  {what}: {other:.0} against {one:.0}, {:.3}", other / one);
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Port 80: accepts and closes. Port 81: reads what comes. Port 82: answers datagrams.
fn serve(task: &Path) {
    within(task, || {
        let closing = TcpListener::bind("0.0.0.0:80").unwrap();
        std::thread::spawn(move || closing.incoming().for_each(drop));
        let reading = TcpListener::bind("0.0.0.0:81").unwrap();
        std::thread::spawn(move || {
            for stream in reading.incoming() {
                let Ok(mut stream) = stream else { return };
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 256 << 10];
                    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
                });
            }
        });
        let answering = UdpSocket::bind("0.0.0.0:82").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while let Ok((length, client)) = answering.recv_from(&mut buffer) {
                drop(answering.send_to(&buffer[..length], client));
            }
        });
    });
}

fn connections(client: &Path, to: IpAddr) -> f64 {
    const COUNT: u32 = 4000;
    within(client, || {
        let begin = Instant::now();
        for _ in 0..COUNT {
            let stream = TcpStream::connect((to, 80)).unwrap();
            // Ended by a reset, or ports would run out.
            let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&stream.as_fd(), sockopt::Linger, &at_once).unwrap();
        }
        f64::from(COUNT) / begin.elapsed().as_secs_f64()
    })
}

fn datagrams(client: &Path, to: IpAddr) -> f64 {
    const COUNT: u32 = 20_000;
    within(client, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let begin = Instant::now();
        for _ in 0..COUNT {
            socket.send_to(b"?", (to, 82)).unwrap();
            assert_eq!(socket.recv_from(&mut [0; 100]).unwrap().1.ip(), to);
        }
        f64::from(COUNT) / begin.elapsed().as_secs_f64()
    })
}

fn throughput(client: &Path, to: IpAddr) -> f64 {
    within(client, || {
        let mut stream = TcpStream::connect((to, 81)).unwrap();
        let buffer = vec![0; 256 << 10];
        let (begin, mut sent) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_millis(700) {
            stream.write_all(&buffer).unwrap();
            sent += buffer.len();
        }
        sent as f64 / 1e6 / begin.elapsed().as_secs_f64()
    })
}

/// Of this process, in the kernel and outside.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let [user, system] = [usage.user_time(), usage.system_time()]
        .map(|time| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()) as u64));
    user + system
}

/// What the kernel has for itself, and this process. Of the whole machine: nothing else may run.
fn memory_kib() -> u64 {
    let of = |file: &str, keys: &[&str]| -> u64 {
        let text = fs::read_to_string(file).unwrap();
        let number = |line: &str| line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        let wanted = text.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
        wanted.filter_map(number).sum()
    };
    of("/proc/meminfo", &["SUnreclaim:", "Percpu:", "VmallocUsed:"]) + of("/proc/self/status", &["RssAnon:"])
}
