//! The table of the host: published ports, ports of single containers, egress.
//!
//! [`HostRules`] is the wish; [`HostRules::whole`] builds the table anew in one transaction, [`HostRules::difference`]
//! changes what changed. Published ports that have no backend are refused at once, by name, so that no filter of the
//! host makes a client wait.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::{Cidr, PortProtocol};

use super::statement::ElementValue;
use super::{Action, ChainHook, Change, Element, ElementBatch, Family, Hook, Key, Match, Rule, SetKind, Transaction};
use crate::network::config::stable_hash;
use crate::network::error::protocol_name;

/// Transport and port.
pub(in crate::network) type PortKey = (PortProtocol, u16);

/// Address and port of a task.
pub(in crate::network) type Target = (Ipv4Addr, u16);

/// A subnet of containers and the bridge it is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::network) struct SourceRange {
    pub(in crate::network) link: String,
    pub(in crate::network) subnet: Cidr,
    /// Answers from there can't find the host that a client spoke to, so requests bear that host's address.
    pub(in crate::network) hides_clients: bool,
}

/// All that the host's table should do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::network) struct HostRules {
    /// Bridges that this host has an address on.
    pub(in crate::network) ranges: Vec<SourceRange>,
    /// Host ports of single containers, by address of the host (`None`: all).
    pub(in crate::network) host_ports: BTreeMap<(Option<Ipv4Addr>, PortKey), Target>,
    /// Published ports; where no target is, connections are refused.
    pub(in crate::network) services: BTreeMap<PortKey, Vec<Target>>,
    /// Packets of encrypted networks come by the tunnel's device or not at all, and by it comes nothing else.
    pub(in crate::network) tunnel: Option<TunnelGuard>,
    /// UDP port of overlay traffic. Every flow inside has a source port of its own outside, and each would be a
    /// connection in the host's table, on both hosts.
    pub(in crate::network) overlay_port: Option<u16>,
}

/// What packets of encrypted networks look like, and the only device that they may come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct TunnelGuard {
    pub(in crate::network) device: String,
    /// UDP port of their VXLAN packets.
    pub(in crate::network) port: u16,
}

/// Published ports that lead somewhere, and those that are refused.
pub(in crate::network) const SERVICES: &str = "services";
pub(in crate::network) const REFUSED_PORTS: &str = "refused";
const HOST_PORTS: &str = "host_ports";
const HOST_ADDRESS_PORTS: &str = "host_address_ports";
/// Before the kernel looks for a packet's connection.
const OVERLAY_CHAINS: [&str; 2] = ["overlay-in", "overlay-out"];
const LOOPBACK: Cidr = Cidr { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 };

impl HostRules {
    /// Builds the table, whatever is there now under its name.
    pub(in crate::network) fn whole(&self, table: &str) -> Transaction {
        // Making a table that exists is no error, removing one that does not is: so the table is made first.
        let mut changes = vec![Change::Table, Change::TableRemoved, Change::Table];
        changes.extend(frame());
        changes.extend(self.range_rules());
        changes.extend(self.tunnel_rules());
        changes.extend(self.overlay_rules());
        changes.extend(HostRules::default().port_changes(self).into_iter().flatten());
        Transaction { family: Family::Inet, table: table.to_owned(), changes }
    }

    /// What leads from the table of `self` to the table of `newer`, in three steps that are each taken whole, for the
    /// reason that [`NameRules::difference`](super::NameRules::difference) gives. Steps of nothing are among them.
    pub(in crate::network) fn difference(&self, newer: &HostRules, table: &str) -> [Transaction; 3] {
        let [mut changes, named, removed] = self.port_changes(newer);
        if self.ranges != newer.ranges {
            changes.extend(["guard", "leaving"].map(|name| Change::ChainEmptied { name: name.to_owned() }));
            changes.extend(newer.range_rules());
        }
        if self.tunnel != newer.tunnel {
            changes.push(Change::ChainEmptied { name: "tunnel".to_owned() });
            changes.extend(newer.tunnel_rules());
        }
        if self.overlay_port != newer.overlay_port {
            changes.extend(OVERLAY_CHAINS.map(|name| Change::ChainEmptied { name: name.to_owned() }));
            changes.extend(newer.overlay_rules());
        }
        [changes, named, removed].map(|changes| Transaction { family: Family::Inet, table: table.to_owned(), changes })
    }

    /// The table's chains and the kernel's count of what uses each: its rules, and references to it.
    pub(in crate::network) fn chains(&self) -> BTreeMap<String, u32> {
        let mut chains = BTreeMap::new();
        let mut uses = |name: &str, count| *chains.entry(name.to_owned()).or_insert(0) += count;
        for change in self.whole("").changes {
            match change {
                Change::Chain { name, .. } => uses(&name, 0),
                Change::Rule(rule) => {
                    uses(&rule.chain, 1);
                    if let Action::Jump(chain) = &rule.action {
                        uses(chain, 1);
                    }
                }
                Change::Elements { elements, .. } => {
                    for element in elements {
                        if let ElementValue::Chain(chain) = &element.value {
                            uses(chain, 1);
                        }
                    }
                }
                _ => {}
            }
        }
        chains
    }

    /// Chains that nothing names yet, then what names them, then chains that nothing names any more.
    fn port_changes(&self, newer: &HostRules) -> [Vec<Change>; 3] {
        let mut batch = ElementBatch::default();
        let mut chains_removed = Vec::new();
        let mut prepared = Vec::new();
        for ((address, key), target) in &self.host_ports {
            if newer.host_ports.get(&(*address, *key)) != Some(target) {
                batch.removed(host_port_set(*address), host_port_element(*address, *key, *target));
            }
        }
        for ((address, key), target) in &newer.host_ports {
            if self.host_ports.get(&(*address, *key)) != Some(target) {
                batch.added(host_port_set(*address), host_port_element(*address, *key, *target));
            }
        }
        for (key, targets) in &self.services {
            if newer.services.get(key) == Some(targets) {
                continue;
            }
            if targets.is_empty() {
                batch.removed(REFUSED_PORTS, Element::new(Key::Port(key.0, key.1)));
            } else {
                batch.removed(SERVICES, service_element(*key, targets));
                chains_removed.push(Change::ChainRemoved { name: chain_name(*key, targets) });
            }
        }
        for (key, targets) in &newer.services {
            if self.services.get(key) == Some(targets) {
                continue;
            }
            if targets.is_empty() {
                batch.added(REFUSED_PORTS, Element::new(Key::Port(key.0, key.1)));
                continue;
            }
            let chain = chain_name(*key, targets);
            prepared.push(Change::Chain { name: chain.clone(), hook: None });
            prepared.push(rule(chain, Vec::new(), Action::Balance(targets.clone())));
            batch.added(SERVICES, service_element(*key, targets));
        }
        [prepared, batch.changes().collect(), chains_removed]
    }

    /// Rules by which packets of encrypted networks come by the tunnel alone, and nothing else comes by it.
    fn tunnel_rules(&self) -> Vec<Change> {
        let Some(guard) = &self.tunnel else { return Vec::new() };
        let sealed = || vec![Match::Transport(PortProtocol::Udp), Match::DestinationPort(guard.port)];
        let by_tunnel = Match::InLink(guard.device.clone());
        vec![
            rule("tunnel", [vec![Match::InLinkNot(guard.device.clone())], sealed()].concat(), Action::Drop),
            rule("tunnel", [vec![by_tunnel.clone()], sealed()].concat(), Action::Accept),
            rule("tunnel", vec![by_tunnel], Action::Drop),
        ]
    }

    /// Tunnels between hosts are no connections of the host's.
    fn overlay_rules(&self) -> Vec<Change> {
        let untracked = |chain: &str, port: u16| {
            let matches = vec![Match::Transport(PortProtocol::Udp), Match::DestinationPort(port)];
            rule(chain, matches, Action::Untracked)
        };
        self.overlay_port.iter().flat_map(|port| OVERLAY_CHAINS.map(|chain| untracked(chain, *port))).collect()
    }

    /// Rules that depend on which bridges there are.
    fn range_rules(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for range in &self.ranges {
            // Bridges route loopback addresses for the host's own clients; nobody else may use that.
            let matches = vec![Match::InLink(range.link.clone()), Match::Ipv4, Match::DestinationIn(LOOPBACK)];
            changes.push(rule("guard", matches, Action::Drop));
        }
        changes.push(rule("leaving", vec![Match::OutLink("lo".to_owned())], Action::Accept));
        for range in &self.ranges {
            let outside = Match::OutLinkNot(range.link.clone());
            changes.push(rule(
                "leaving",
                vec![Match::Ipv4, Match::SourceIn(range.subnet), outside],
                Action::Masquerade,
            ));
            if range.hides_clients {
                let matches = vec![Match::OutLink(range.link.clone()), Match::Ipv4, Match::Translated];
                changes.push(rule("leaving", matches, Action::Masquerade));
                continue;
            }
            for source in [range.subnet, LOOPBACK] {
                let back = Match::OutLink(range.link.clone());
                let matches = vec![back, Match::Ipv4, Match::SourceIn(source), Match::Translated];
                changes.push(rule("leaving", matches, Action::Masquerade));
            }
        }
        changes
    }
}

/// Chains, sets and rules that are always there.
fn frame() -> Vec<Change> {
    let base = |name: &str, hook: Hook, priority: i32, translates: bool| Change::Chain {
        name: name.to_owned(),
        hook: Some(ChainHook { hook, priority, translates }),
    };
    let plain = |name: &str| Change::Chain { name: name.to_owned(), hook: None };
    let refused = |matches: Vec<Match>, action: Action| rule("refusing".to_owned(), matches, action);
    vec![
        Change::Set { name: SERVICES, kind: SetKind::PortChains },
        Change::Set { name: REFUSED_PORTS, kind: SetKind::Ports },
        Change::Set { name: HOST_PORTS, kind: SetKind::PortTargets },
        Change::Set { name: HOST_ADDRESS_PORTS, kind: SetKind::AddressPortTargets },
        plain("published"),
        base("arriving", Hook::Prerouting, -100, true),
        base("opening", Hook::Output, -100, true),
        base("leaving", Hook::Postrouting, 100, true),
        base("guard", Hook::Prerouting, -300, false),
        base("tunnel", Hook::Prerouting, -300, false),
        base("refusing", Hook::Input, -10, false),
        base(OVERLAY_CHAINS[0], Hook::Prerouting, -300, false),
        base(OVERLAY_CHAINS[1], Hook::Output, -300, false),
        rule("published", Vec::new(), Action::TranslateAddressTo(HOST_ADDRESS_PORTS)),
        rule("published", Vec::new(), Action::TranslateTo(HOST_PORTS)),
        rule("published", Vec::new(), Action::GotoChainOf(SERVICES)),
        rule("arriving", to_this_host(), Action::Jump("published".to_owned())),
        rule("opening", to_this_host(), Action::Jump("published".to_owned())),
        refused(vec![Match::New, Match::Transport(PortProtocol::Tcp), Match::PortIn(REFUSED_PORTS)], Action::Reset),
        refused(vec![Match::New, Match::PortIn(REFUSED_PORTS)], Action::Unreachable),
    ]
}

fn to_this_host() -> Vec<Match> {
    vec![Match::Ipv4, Match::DestinationLocal]
}

fn rule(chain: impl Into<String>, matches: Vec<Match>, action: Action) -> Change {
    Change::Rule(Rule { chain: chain.into(), matches, action })
}

/// Every set of targets has a chain of its own. At most 22 characters: the bound of elements in a message counts on it.
/// Should two sets of a port ever have one name, the table refuses a step and is built anew.
fn chain_name((protocol, port): PortKey, targets: &[Target]) -> String {
    let bytes: Vec<u8> =
        targets.iter().flat_map(|(address, port)| [&address.octets()[..], &port.to_be_bytes()].concat()).collect();
    format!("to_{}_{port}_{:08x}", protocol_name(protocol), stable_hash(&bytes) as u32)
}

fn service_element(key: PortKey, targets: &[Target]) -> Element {
    Element::new(Key::Port(key.0, key.1)).with(ElementValue::Chain(chain_name(key, targets)))
}

fn host_port_set(address: Option<Ipv4Addr>) -> &'static str {
    if address.is_some() { HOST_ADDRESS_PORTS } else { HOST_PORTS }
}

fn host_port_element(address: Option<Ipv4Addr>, key: PortKey, target: Target) -> Element {
    let (protocol, port) = key;
    let key = match address {
        Some(address) => Key::AddressPort(address, protocol, port),
        None => Key::Port(protocol, port),
    };
    Element::new(key).with(ElementValue::Target(target.0, target.1))
}
