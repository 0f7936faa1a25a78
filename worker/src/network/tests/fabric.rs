//! Hosts, clients and tasks for tests, all gone when dropped.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use shoal_proto::model::{Cidr, Id, NetworkId, NodeId, PortProtocol, ServiceId, TaskId};

use crate::network::ebpf::remove_programs;
use crate::network::{
    Attachment, AttachmentNetwork, Backend, Endpoint, EndpointRequest, NetworkConfig, NetworkKind, NetworkPlanInput,
    Networks, Peer, PublishedPort, PublishedService,
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Hosts joined by a switch: host n has 192.168.77.n.
pub(super) struct Fabric {
    label: String,
    pub(super) hosts: Vec<Host>,
}

/// A namespace on the switch.
pub(super) struct Host {
    pub(super) number: u8,
    pub(super) namespace: PathBuf,
    pub(super) exec_root: PathBuf,
}

/// The ingress network of tests.
pub(super) const VNI: u32 = 4096;

pub(super) fn ingress() -> NetworkId {
    NetworkId::from_random(1)
}

pub(super) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Fabric {
    pub(super) fn new(count: u8) -> Self {
        let label = format!("st{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let switch = format!("{label}-sw");
        ip(&format!("netns add {switch}"));
        ip(&format!("-n {switch} link add sw type bridge"));
        ip(&format!("-n {switch} link set sw up"));
        let hosts = (1..=count).map(|number| Host::new(&label, number)).collect();
        Self { label, hosts }
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        for host in &self.hosts {
            if let Ok(files) = fs::read_dir(host.exec_root.join("netns")) {
                for file in files.flatten() {
                    while umount2(&file.path(), MntFlags::MNT_DETACH).is_ok() {}
                }
            }
            drop(remove_programs(&host.exec_root));
            drop(fs::remove_dir_all(&host.exec_root));
            drop(Command::new("ip").args(["netns", "del", &format!("{}-{}", self.label, host.number)]).output());
        }
        drop(Command::new("ip").args(["netns", "del", &format!("{}-sw", self.label)]).output());
    }
}

impl Host {
    fn new(label: &str, number: u8) -> Self {
        let name = format!("{label}-{number}");
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {label}-sw link add p{number} type veth peer name up0 netns {name}"));
        ip(&format!("-n {label}-sw link set p{number} master sw up"));
        ip(&format!("-n {name} addr add 192.168.77.{number}/24 dev up0"));
        ip(&format!("-n {name} link set up0 up"));
        let exec_root = std::env::temp_dir().join(&name);
        let host = Self { number, namespace: Path::new("/run/netns").join(&name), exec_root };
        // Hosts differ in whether bridged frames pass the host's translations: with Docker's module they do.
        let bridged = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
        within(&host.namespace, || {
            if bridged.exists() {
                fs::write(bridged, if number.is_multiple_of(2) { "1" } else { "0" }).unwrap();
            }
        });
        host
    }

    pub(super) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 77, self.number)
    }

    /// The host's address on the ingress network.
    pub(super) fn node_address(&self) -> IpAddr {
        IpAddr::from([10, 0, 0, self.number])
    }

    pub(super) fn config(&self) -> NetworkConfig {
        let node = NodeId::from_random(u128::from(self.number));
        NetworkConfig::new(node, self.address().into(), self.exec_root.clone())
    }

    pub(super) fn start(&self) -> Networks {
        let config = self.config();
        within(&self.namespace, move || Networks::start(config).unwrap())
    }

    pub(super) async fn start_with_ingress(&self) -> Networks {
        let networks = self.start();
        networks.ensure_network(self.ingress_wish()).await.unwrap();
        networks
    }

    pub(super) fn ingress_wish(&self) -> NetworkPlanInput {
        NetworkPlanInput {
            id: ingress(),
            vni: VNI,
            data_path_port: 4789,
            encrypted: false,
            subnet: "10.0.0.0/24".parse().unwrap(),
            kind: NetworkKind::Ingress,
            mtu: None,
            node_address: Some(self.node_address()),
        }
    }

    pub(super) fn peer(&self, tasks: &[IpAddr]) -> Peer {
        Peer { host: self.address().into(), addresses: [&[self.node_address()][..], tasks].concat(), tunnel: None }
    }

    pub(super) fn nft(&self) -> String {
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.namespace.display()))
            .args(["nft", "list", "ruleset"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn ip(&self, arguments: &str) -> String {
        ip(&format!("-n {} {arguments}", self.namespace.file_name().unwrap().to_str().unwrap()))
    }
}

/// Runs `work` in a thread of a network namespace.
pub(super) fn within<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    let file = File::open(namespace).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

pub(super) fn task_address(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

pub(super) fn task_request(number: u8) -> EndpointRequest {
    let ingress_address = Cidr { address: task_address(number), prefix: 24 };
    EndpointRequest {
        container_id: format!("task{number}"),
        attachments: vec![
            Attachment { network: AttachmentNetwork::Bridge, address: None },
            Attachment { network: AttachmentNetwork::Overlay(ingress()), address: Some(ingress_address) },
        ],
        host_ports: Vec::new(),
        nameservers: Vec::new(),
    }
}

pub(super) fn service(port: u16, tasks: &[u8]) -> PublishedService {
    let ports =
        [PortProtocol::Tcp, PortProtocol::Udp].map(|protocol| PublishedPort { protocol, published: port, target: 80 });
    let backend = |number: &u8| Backend {
        task_id: TaskId::from_random(u128::from(*number)),
        address: task_address(*number),
        local: false,
    };
    PublishedService {
        service_id: ServiceId::from_random(u128::from(port)),
        ports: ports.to_vec(),
        backends: tasks.iter().map(backend).collect(),
    }
}

/// Serves `name client-address` on TCP and UDP port 80 until the process ends; a TCP client may then send lines and gets
/// them back.
pub(super) fn serve(endpoint: &Endpoint, name: &str) {
    let name = name.to_owned();
    within(&endpoint.netns_path, move || {
        let listener = TcpListener::bind("0.0.0.0:80").unwrap();
        let datagrams = UdpSocket::bind("0.0.0.0:80").unwrap();
        let datagram_name = name.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((_, client)) = datagrams.recv_from(&mut buffer) {
                drop(datagrams.send_to(format!("{datagram_name} {}", client.ip()).as_bytes(), client));
            }
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let greeting = format!("{name} {}", stream.peer_addr().unwrap().ip());
                std::thread::spawn(move || {
                    drop(stream.write_all(greeting.as_bytes()));
                    let mut buffer = [0; 100];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        drop(stream.write_all(&buffer[..length]));
                    }
                });
            }
        });
    });
}

const PATIENCE: Duration = Duration::from_secs(3);

/// Connects and returns the stream and the greeting: `name client-address`.
pub(super) fn connect(address: SocketAddr) -> std::io::Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 100];
    let length = stream.read(&mut buffer)?;
    Ok((stream, String::from_utf8_lossy(&buffer[..length]).into_owned()))
}

/// Sends a datagram and returns the answer: `name client-address`.
pub(super) fn ask(address: SocketAddr) -> std::io::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"?")?;
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
