//! The table of a container's namespace by which names work: virtual addresses lead to tasks, port 53 to the resolver.
//!
//! A connection to a virtual address is translated where it begins, in the namespace of its client, so that packets go
//! straight to the task and bear the client's address. An address that nobody answers for is refused at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::{Cidr, PortProtocol};

use super::statement::ElementValue;
use super::{Action, ChainHook, Change, Element, ElementBatch, Family, Hook, Key, Match, Rule, SetKind, Transaction};
use crate::network::config::stable_hash;

/// All that the table of one namespace should do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::network) struct NameRules {
    /// Where the resolver listens.
    pub(in crate::network) resolver: Option<ResolverPorts>,
    /// Virtual address -> who answers for it. None: connections are refused.
    pub(in crate::network) vips: BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>,
}

/// Ports of 127.0.0.11 in the namespace that nobody else had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct ResolverPorts {
    pub(in crate::network) udp: u16,
    pub(in crate::network) tcp: u16,
}

impl ResolverPorts {
    /// The address that containers are told.
    pub(in crate::network) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
}

/// The namespace is the container's own, so the name needs no tag.
pub(in crate::network) const NAMES_TABLE: &str = "shoal-names";
const RESOLVING: &str = "resolving";
pub(in crate::network) const VIPS: &str = "vips";
pub(in crate::network) const REFUSED: &str = "refused";
const DNS: u16 = 53;

impl NameRules {
    /// Builds the table, whatever is there now under its name.
    pub(in crate::network) fn whole(&self) -> Transaction {
        let mut changes = vec![Change::Table, Change::TableRemoved, Change::Table];
        changes.extend(frame());
        changes.extend(NameRules::default().changes(self).into_iter().flatten());
        transaction(changes)
    }

    /// What leads from the table of `self` to the table of `newer`, in three steps that are each taken whole: chains
    /// that nothing names yet, then what names them, then chains that nothing names any more.
    ///
    /// In one step a packet could be lost: the kernel puts a transaction's rules in place, and takes away those that go,
    /// before its elements count. For a moment a new rule finds nothing in its map, and an address leads to a chain
    /// without rules; the connection of a packet that comes just then would stay untranslated.
    pub(in crate::network) fn difference(&self, newer: &NameRules) -> [Transaction; 3] {
        self.changes(newer).map(transaction)
    }

    /// What leads port 53 of a table to a resolver, whatever else it holds.
    pub(in crate::network) fn resolver_led(ports: ResolverPorts) -> Transaction {
        let emptied = Change::ChainEmptied { name: RESOLVING.to_owned() };
        transaction(std::iter::once(emptied).chain(resolver_rules(&ports)).collect())
    }

    fn changes(&self, newer: &NameRules) -> [Vec<Change>; 3] {
        let mut prepared = Vec::new();
        if self.resolver != newer.resolver {
            prepared.push(Change::ChainEmptied { name: RESOLVING.to_owned() });
            prepared.extend(newer.resolver.iter().flat_map(resolver_rules));
        }
        let mut batch = ElementBatch::default();
        let mut chains_removed = Vec::new();
        for (vip, tasks) in &self.vips {
            if newer.vips.get(vip) == Some(tasks) {
                continue;
            }
            if tasks.is_empty() {
                batch.removed(REFUSED, Element::new(Key::Address(*vip)));
            } else {
                batch.removed(VIPS, element(*vip, tasks));
                chains_removed.push(Change::ChainRemoved { name: chain_name(*vip, tasks) });
            }
        }
        for (vip, tasks) in &newer.vips {
            if self.vips.get(vip) == Some(tasks) {
                continue;
            }
            if tasks.is_empty() {
                batch.added(REFUSED, Element::new(Key::Address(*vip)));
                continue;
            }
            let chain = chain_name(*vip, tasks);
            prepared.push(Change::Chain { name: chain.clone(), hook: None });
            prepared.push(rule(&chain, Vec::new(), Action::BalanceAddresses(tasks.clone())));
            batch.added(VIPS, element(*vip, tasks));
        }
        [prepared, batch.changes().collect(), chains_removed]
    }
}

fn frame() -> Vec<Change> {
    let base = |name: &str, hook: Hook, priority: i32, translates: bool| Change::Chain {
        name: name.to_owned(),
        hook: Some(ChainHook { hook, priority, translates }),
    };
    vec![
        Change::Set { name: VIPS, kind: SetKind::AddressChains },
        Change::Set { name: REFUSED, kind: SetKind::Addresses },
        base("refusing", Hook::Output, -150, false),
        Change::Chain { name: RESOLVING.to_owned(), hook: None },
        base("opening", Hook::Output, -100, true),
        rule("refusing", vec![Match::Ipv4, Match::DestinationAmong(REFUSED), tcp()], Action::Reset),
        rule("refusing", vec![Match::Ipv4, Match::DestinationAmong(REFUSED)], Action::Unreachable),
        rule("opening", vec![Match::Ipv4, to_resolver()], Action::Jump(RESOLVING.to_owned())),
        rule("opening", vec![Match::Ipv4], Action::GotoChainOfAddress(VIPS)),
    ]
}

fn resolver_rules(ports: &ResolverPorts) -> [Change; 2] {
    [(PortProtocol::Udp, ports.udp), (PortProtocol::Tcp, ports.tcp)].map(|(protocol, port)| {
        let matches = vec![Match::Transport(protocol), Match::DestinationPort(DNS)];
        rule(RESOLVING, matches, Action::Translate(ResolverPorts::ADDRESS, port))
    })
}

fn tcp() -> Match {
    Match::Transport(PortProtocol::Tcp)
}

fn to_resolver() -> Match {
    Match::DestinationIn(Cidr { address: IpAddr::V4(ResolverPorts::ADDRESS), prefix: 32 })
}

fn rule(chain: &str, matches: Vec<Match>, action: Action) -> Change {
    Change::Rule(Rule { chain: chain.to_owned(), matches, action })
}

fn element(vip: Ipv4Addr, tasks: &[Ipv4Addr]) -> Element {
    Element::new(Key::Address(vip)).with(ElementValue::Chain(chain_name(vip, tasks)))
}

/// Every set of tasks has a chain of its own. At most 27 characters: the bound of elements in a message counts on it. Should two sets
/// of an address ever have one name, the table refuses a step and is built anew.
fn chain_name(vip: Ipv4Addr, tasks: &[Ipv4Addr]) -> String {
    let octets: Vec<u8> = tasks.iter().flat_map(Ipv4Addr::octets).collect();
    format!("to_{}_{:08x}", vip.to_string().replace('.', "_"), stable_hash(&octets) as u32)
}

fn transaction(changes: Vec<Change>) -> Transaction {
    Transaction { family: Family::Inet, table: NAMES_TABLE.to_owned(), changes }
}
