//! Plans as text, held against the files of `golden/`. `SHOAL_GOLDEN=write` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use shoal_proto::model::{Cidr, Id, NetworkId, PortProtocol};

use super::network::{PlacedNetwork, Underlay};
use super::{
    EndpointPlace, Interface, InterfaceRole, Leftovers, PeerTable, TunnelPlace, bridge_plan, endpoint_plan,
    endpoint_removal, network_plan, network_removal, peer_plan, sweep_plan, tunnel_plan, tunnel_removal,
};
use crate::network::ebpf::{Answerers, NetworkNumber, Space, TableChange, VipTables};
use crate::network::firewall::{HostRules, ResolverPorts, SourceRange, Transaction, TunnelGuard};
use crate::network::{AttachmentNetwork, NetworkKind, NetworkPlanInput};

fn holds(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/network/plan/golden").join(name).with_extension("txt");
    if std::env::var_os("SHOAL_GOLDEN").is_some_and(|wish| wish == "write") {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{} differs; SHOAL_GOLDEN=write accepts:\n{text}", path.display());
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn ingress() -> PlacedNetwork {
    PlacedNetwork {
        wish: NetworkPlanInput {
            id: NetworkId::from_random(1),
            vni: 4096,
            data_path_port: 4789,
            subnet: cidr("10.0.0.0/24"),
            kind: NetworkKind::Ingress,
            mtu: None,
            node_address: Some(address("10.0.0.2")),
            encrypted: false,
        },
        bridge: "so00002a-1000".to_owned(),
        tunnel: Some("sx00002a-1000".to_owned()),
        mtu: 1450,
        metric: 43,
    }
}

fn underlay() -> Underlay {
    Underlay { local: Some(address("192.168.77.1")), port: 4789, device: None }
}

fn place() -> EndpointPlace {
    let interface = |network, link: &str, bridge: &str, text: &str, role| Interface {
        network,
        link: link.to_owned(),
        bridge: bridge.to_owned(),
        address: cidr(text),
        mtu: 1450,
        role,
    };
    let overlay = AttachmentNetwork::Overlay(NetworkId::from_random(1));
    let out = InterfaceRole::Bridge { gateway: address("172.17.0.1") };
    let (gateway, subnet) = (address("10.0.0.2"), cidr("10.0.0.0/24"));
    let mesh = InterfaceRole::Ingress { gateway, subnet, metric: 43, keeps_clients: true };
    EndpointPlace {
        namespace: PathBuf::from("/run/shoal/netns/web"),
        interfaces: vec![
            interface(AttachmentNetwork::Bridge, "sv00002a0000010", "sb00002a", "172.17.0.2/16", out),
            interface(overlay, "sv00002a0000011", "so00002a-1000", "10.0.0.5/24", mesh),
            interface(overlay, "sv00002a0000012", "so00002a-1001", "10.0.1.5/24", InterfaceRole::Overlay),
        ],
    }
}

#[test]
fn networks() {
    let gateway = cidr("172.17.0.1/16");
    holds("bridge", &bridge_plan("sb00002a", gateway, 1500, &BTreeSet::new()).to_string());
    holds("bridge-present", &bridge_plan("sb00002a", gateway, 1500, &names(&["sb00002a"])).to_string());
    let network = ingress();
    holds("ingress", &network_plan(&network, &underlay(), &BTreeSet::new()).to_string());
    let present = names(&[&network.bridge, "sx00002a-1000"]);
    holds("ingress-present", &network_plan(&network, &underlay(), &present).to_string());
    let carried_by_another = PlacedNetwork { tunnel: None, ..network.clone() };
    holds("ingress-no-tunnel", &network_plan(&carried_by_another, &underlay(), &BTreeSet::new()).to_string());
    holds("ingress-removal", &network_removal(&network).to_string());
}

#[test]
fn tunnels() {
    let place = TunnelPlace {
        device: "sw00002a".to_owned(),
        address: "fd53:9b1c:74e2::1".parse().unwrap(),
        mtu: 1440,
        metric: 43,
    };
    holds("tunnel", &tunnel_plan(&place).to_string());
    holds("tunnel-removal", &tunnel_removal(&place.device).to_string());
    let user = NetworkPlanInput { kind: NetworkKind::Overlay, node_address: None, encrypted: true, ..ingress().wish };
    let network = PlacedNetwork { wish: user, mtu: 1370, ..ingress() };
    let carried = Underlay { local: Some(IpAddr::V6(place.address)), port: 4788, device: Some(place.device.clone()) };
    holds("encrypted", &network_plan(&network, &carried, &BTreeSet::new()).to_string());
}

#[test]
fn endpoints() {
    holds("endpoint", &endpoint_plan(&place()).to_string());
    holds("endpoint-removal", &endpoint_removal(&place()).to_string());
    let bridge_only = EndpointPlace { interfaces: place().interfaces[..1].to_vec(), ..place() };
    holds("endpoint-bridge", &endpoint_plan(&bridge_only).to_string());
    let leftovers = Leftovers {
        ports: vec!["sv00002a0000010".to_owned()],
        links: vec!["so00002a-1000".to_owned()],
        namespaces: vec![PathBuf::from("/run/shoal/netns/old")],
    };
    holds("sweep", &sweep_plan(&leftovers).to_string());
}

#[test]
fn peers() {
    let table = |entries: &[(&str, &str)]| -> PeerTable {
        entries.iter().map(|(one, host)| (address(one), address(host))).collect()
    };
    let old = table(&[("10.0.0.3", "192.168.77.2"), ("10.0.0.6", "192.168.77.2"), ("10.0.0.7", "192.168.77.2")]);
    let new = table(&[("10.0.0.3", "192.168.77.2"), ("10.0.0.6", "192.168.77.3"), ("10.0.0.8", "192.168.77.3")]);
    // One stays, one moves, one goes, one comes.
    holds("peers", &peer_plan(&ingress(), &old, &new).to_string());
    assert!(peer_plan(&ingress(), &new, &new).steps.is_empty());
    assert!(peer_plan(&PlacedNetwork { tunnel: None, ..ingress() }, &old, &new).steps.is_empty());
}

#[test]
fn virtual_addresses() {
    let [one, other] = [1, 2].map(|number| NetworkNumber::of(NetworkId::from_random(number)));
    let tasks = |last: &[u8]| last.iter().map(|last| IpAddr::from([10, 0, 1, *last])).collect::<Vec<_>>();
    let old = Answerers::from([
        (address("10.0.1.2"), (one, tasks(&[5, 6]))),
        (address("10.0.1.3"), (one, tasks(&[7]))),
        (address("10.0.2.2"), (other, tasks(&[]))),
    ]);
    let (plan, told) = VipTables::default().difference(&old);
    holds("vips", &plan.to_string());
    // One has another task, one gets none, one goes, one comes.
    let mut new = old.clone();
    new.insert(address("10.0.1.2"), (one, tasks(&[5, 8])));
    new.insert(address("10.0.1.3"), (one, tasks(&[])));
    new.remove(&address("10.0.2.2"));
    new.insert(address("fd00::2"), (other, vec![address("fd00::9")]));
    let (mut plan, _) = told.difference(&new);
    let resolver = Some(ResolverPorts { udp: 30_053, tcp: 30_054 });
    let space = Space { resolver, networks: vec![one, other] };
    plan.changes.extend([TableChange::Space { cookie: 4711, space }, TableChange::SpaceRemoved { cookie: 4711 }]);
    holds("vips-changed", &plan.to_string());
}

#[test]
fn rules() {
    let target = |last: u8| (Ipv4Addr::new(10, 0, 0, last), 80);
    let tcp = |port: u16| (PortProtocol::Tcp, port);
    let old = HostRules {
        ranges: vec![
            SourceRange { link: "sb00002a".to_owned(), subnet: cidr("172.17.0.0/16"), hides_clients: false },
            SourceRange { link: "so00002a-1000".to_owned(), subnet: cidr("10.0.0.0/24"), hides_clients: false },
        ],
        host_ports: BTreeMap::from([
            ((None, tcp(9000)), target(5)),
            ((Some(Ipv4Addr::new(192, 168, 77, 1)), (PortProtocol::Udp, 53)), target(6)),
        ]),
        services: BTreeMap::from([
            (tcp(8080), vec![target(5), target(6)]),
            (tcp(8081), Vec::new()),
            ((PortProtocol::Udp, 8080), vec![target(5)]),
        ]),
        tunnel: None,
        overlay_port: Some(4789),
    };
    holds("rules", &(old.whole("shoal-00002a").to_string() + "\n"));
    let mut new = old.clone();
    new.services.insert(tcp(8080), vec![target(6), target(7)]);
    holds("rules-backend", &steps(&old.difference(&new, "shoal-00002a")));
    new.services = BTreeMap::from([(tcp(8080), Vec::new()), (tcp(8081), vec![target(5)])]);
    new.host_ports.clear();
    new.overlay_port = None;
    new.ranges.pop();
    holds("rules-all", &steps(&old.difference(&new, "shoal-00002a")));
    let mut guarded = new.clone();
    guarded.tunnel = Some(TunnelGuard { device: "sw00002a".to_owned(), port: 4788 });
    holds("rules-tunnel", &steps(&new.difference(&guarded, "shoal-00002a")));
    assert!(new.difference(&new, "shoal-00002a").iter().all(|step| step.changes.is_empty()));
    let mut hiding = HostRules { ranges: old.ranges, ..HostRules::default() };
    hiding.ranges[1].hides_clients = true;
    holds("rules-hiding", &steps(&HostRules::default().difference(&hiding, "shoal-00002a")));
}

/// Transactions that are committed one after the other.
fn steps(all: &[Transaction]) -> String {
    all.iter().filter(|step| !step.changes.is_empty()).map(|step| format!("{step}\n")).collect()
}
