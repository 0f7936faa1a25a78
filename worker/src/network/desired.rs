//! What is wished of the data path: networks, endpoints, peers, published services. Plain data, kept by the caller.
//!
//! Leaves to `plan` what has to be done for it. Invariant: a [`MacAddress`] is a function of the address, so hosts
//! need not tell each other.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shoal_proto::model::{Cidr, NetworkId, NodeId, PortProtocol, ServiceId, TaskId, TunnelKey};

/// A network that this host should carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlanInput {
    /// Which.
    pub id: NetworkId,
    /// VXLAN network identifier, 1 to 16,777,215.
    pub vni: u32,
    /// UDP port of its traffic between hosts, 4789 by custom; the same on all hosts.
    pub data_path_port: u16,
    /// All its addresses (IPv4).
    pub subnet: Cidr,
    /// What it is for.
    pub kind: NetworkKind,
    /// Largest packet of containers, bytes; `None`: the underlay's less the tunnel's headers.
    pub mtu: Option<u32>,
    /// This host's own address there. An ingress network needs one.
    pub node_address: Option<IpAddr>,
    /// Its packets go between hosts through the tunnel only.
    #[serde(default)]
    pub encrypted: bool,
}

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkKind {
    /// The routing mesh's: hosts reach tasks over it.
    Ingress,
    /// A user's: containers reach each other over it.
    Overlay,
}

/// A container that should have a network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRequest {
    /// Names the endpoint; no slash.
    pub container_id: String,
    /// Its interfaces, in order: eth0, eth1... The default route goes through the ingress network when it is among
    /// them, else through the bridge. None: loopback alone.
    pub attachments: Vec<Attachment>,
    /// Ports answered on this host alone (publish mode host).
    pub host_ports: Vec<HostPort>,
    /// Name servers of its own, kept for whoever resolves names for it.
    #[serde(default)]
    pub nameservers: Vec<IpAddr>,
}

/// One interface of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Where to.
    pub network: AttachmentNetwork,
    /// Address and prefix. `None` on the bridge: the next free one; elsewhere it must be given.
    pub address: Option<Cidr>,
}

/// What an interface is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttachmentNetwork {
    /// The host's bridge for local egress.
    Bridge,
    /// A network given to `ensure_network`.
    Overlay(NetworkId),
}

/// A port of this host that is one container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostPort {
    /// Transport.
    pub protocol: PortProtocol,
    /// On this address of the host only; `None`: on all, loopback included.
    pub host_ip: Option<IpAddr>,
    /// The host's port; zero: one is chosen.
    pub published: u16,
    /// The container's port.
    pub target: u16,
}

/// A network namespace that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The namespace, bind-mounted on a file: enter it with `setns`.
    pub netns_path: PathBuf,
    /// Addresses in the order of the attachments.
    pub addresses: Vec<(AttachmentNetwork, Cidr)>,
    /// As asked for, every port chosen.
    pub host_ports: Vec<HostPort>,
    /// As asked for.
    #[serde(default)]
    pub nameservers: Vec<IpAddr>,
}

/// Another host on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where its overlay traffic goes.
    pub host: IpAddr,
    /// What it has on the network: its tasks' addresses and its own.
    pub addresses: Vec<IpAddr>,
    /// Its end of the tunnel; `None`: not known, so that its tasks on encrypted networks can't be reached.
    pub tunnel: Option<TunnelEnd>,
}

/// Where another host is in the tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelEnd {
    /// Its address there.
    pub address: Ipv6Addr,
    /// Its keys, the one in use first.
    pub keys: Vec<TunnelKey>,
}

impl TunnelEnd {
    /// That of a node with these keys, the one in use first.
    #[must_use]
    pub fn of(node: NodeId, keys: Vec<TunnelKey>) -> Self {
        Self { address: super::plan::TunnelPlace::address_of(node), keys }
    }
}

/// A service with published ports in ingress mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedService {
    /// Which.
    pub service_id: ServiceId,
    /// Its ports.
    pub ports: Vec<PublishedPort>,
    /// All that may get new connections, anywhere in the swarm. None: connections are refused at once.
    pub backends: Vec<Backend>,
}

/// A port answered on every host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Transport.
    pub protocol: PortProtocol,
    /// The hosts' port, not zero.
    pub published: u16,
    /// The containers' port.
    pub target: u16,
}

/// A service's virtual address on a network of containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualService {
    /// Where the address is.
    pub network: NetworkId,
    /// The address.
    pub address: IpAddr,
    /// Addresses of all tasks that may get new connections. None: connections are refused at once.
    pub tasks: Vec<IpAddr>,
}

/// A task that answers for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Backend {
    /// Which.
    pub task_id: TaskId,
    /// Its address on the ingress network.
    pub address: IpAddr,
    /// Whether it runs on this host.
    pub local: bool,
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The address of whoever has `address`: 02:42 and the four bytes of IPv4, or the last four of IPv6.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let [a, b, c, d] = match address {
            IpAddr::V4(address) => address.octets(),
            IpAddr::V6(address) => Ipv4Addr::from((u128::from(address) & 0xffff_ffff) as u32).octets(),
        };
        Self([0x02, 0x42, a, b, c, d])
    }

    /// The IPv4 address that it was made from.
    pub(super) fn address(self) -> IpAddr {
        let [.., a, b, c, d] = self.0;
        IpAddr::from([a, b, c, d])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
