//! The small language of nftables rules that the data path needs, and the changes of one transaction.
//!
//! Prints as `nft` would take it. Leaves registers and attribute numbers to `netlink`.

use std::fmt;
use std::net::Ipv4Addr;

use shoal_proto::model::{Cidr, PortProtocol};

use crate::network::error::protocol_name;

/// Changes of one table that the kernel makes together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Transaction {
    pub(in crate::network) family: Family,
    pub(in crate::network) table: String,
    pub(in crate::network) changes: Vec<Change>,
}

/// What packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// Frames of one device.
    Netdev,
}

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum Change {
    Table,
    TableRemoved,
    Chain { name: String, hook: Option<ChainHook> },
    ChainEmptied { name: String },
    ChainRemoved { name: String },
    Set { name: &'static str, kind: SetKind },
    Elements { set: &'static str, elements: Vec<Element> },
    ElementsRemoved { set: &'static str, elements: Vec<Element> },
    Rule(Rule),
}

/// Where a base chain is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct ChainHook {
    pub(in crate::network) hook: Hook,
    /// Lower is earlier.
    pub(in crate::network) priority: i32,
    /// Whether it is a chain of translations.
    pub(in crate::network) translates: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum Hook {
    Prerouting,
    Input,
    Output,
    Postrouting,
    /// Of one device, in the netdev family.
    Egress(String),
}

/// What a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum SetKind {
    /// Protocol and port.
    Ports,
    /// Protocol and port -> chain.
    PortChains,
    /// Protocol and port -> address and port.
    PortTargets,
    /// Address, protocol and port -> address and port.
    AddressPortTargets,
    /// Addresses.
    Addresses,
    /// Address -> chain.
    AddressChains,
}

/// A member of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Element {
    pub(in crate::network) key: Key,
    pub(in crate::network) value: ElementValue,
}

/// What a set is searched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::network) enum Key {
    Port(PortProtocol, u16),
    AddressPort(Ipv4Addr, PortProtocol, u16),
    Address(Ipv4Addr),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum ElementValue {
    None,
    Chain(String),
    Target(Ipv4Addr, u16),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Rule {
    pub(in crate::network) chain: String,
    pub(in crate::network) matches: Vec<Match>,
    pub(in crate::network) action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum Match {
    Ipv4,
    InLink(String),
    InLinkNot(String),
    OutLink(String),
    OutLinkNot(String),
    SourceIn(Cidr),
    DestinationIn(Cidr),
    /// To one of this host's addresses.
    DestinationLocal,
    /// The connection's destination was translated.
    Translated,
    /// The first packet of a connection.
    New,
    /// To who opened the connection.
    Reply,
    Transport(PortProtocol),
    PortIn(&'static str),
    /// The destination's address is in this set.
    DestinationAmong(&'static str),
    DestinationPort(u16),
    /// The packet bears a mark.
    Marked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum Action {
    Accept,
    Drop,
    /// The packet belongs to no connection that the kernel keeps.
    Untracked,
    Jump(String),
    Masquerade,
    /// Answers with a TCP reset.
    Reset,
    /// Answers "port unreachable".
    Unreachable,
    /// Goes to the chain that a map has for protocol and port.
    GotoChainOf(&'static str),
    /// Translates the destination to what a map has for protocol and port.
    TranslateTo(&'static str),
    /// Translates the destination to what a map has for address, protocol and port.
    TranslateAddressTo(&'static str),
    /// Goes to the chain that a map has for the destination's address.
    GotoChainOfAddress(&'static str),
    /// Translates the destinations of connections to these in turn.
    Balance(Vec<(Ipv4Addr, u16)>),
    /// Translates the destination's address to one of these, drawn for each connection; the port stays.
    BalanceAddresses(Vec<Ipv4Addr>),
    /// Translates the destination.
    Translate(Ipv4Addr, u16),
    /// Conntrack zone of the opening direction = last two bytes of the sender's MAC.
    SeparateSenders,
    /// Connection mark = last four bytes of the sender's MAC.
    NoteSender,
    /// Packet mark = connection mark.
    RecallSender,
    /// Last four bytes of the receiver's MAC = packet mark.
    AnswerSender,
}

impl Element {
    pub(in crate::network) fn new(key: Key) -> Self {
        Self { key, value: ElementValue::None }
    }

    pub(in crate::network) fn with(self, value: ElementValue) -> Self {
        Self { value, ..self }
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::Inet => "inet",
            Family::Netdev => "netdev",
        };
        let table = format_args!("{family} {}", self.table).to_string();
        for (position, change) in self.changes.iter().enumerate() {
            if position > 0 {
                out.write_str("\n")?;
            }
            change.print(&table, out)?;
        }
        Ok(())
    }
}

impl Change {
    fn print(&self, table: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => write!(out, "add table {table}"),
            Self::TableRemoved => write!(out, "delete table {table}"),
            Self::Chain { name, hook: None } => write!(out, "add chain {table} {name}"),
            Self::Chain { name, hook: Some(hook) } => write!(out, "add chain {table} {name} {{ {hook} }}"),
            Self::ChainEmptied { name } => write!(out, "flush chain {table} {name}"),
            Self::ChainRemoved { name } => write!(out, "delete chain {table} {name}"),
            Self::Set { name, kind } => write!(out, "add {kind} {table} {name}"),
            Self::Elements { set, elements } => {
                print_elements(out, format_args!("add element {table} {set}"), elements)
            }
            Self::ElementsRemoved { set, elements } => {
                print_elements(out, format_args!("delete element {table} {set}"), elements)
            }
            Self::Rule(rule) => write!(out, "add rule {table} {rule}"),
        }
    }
}

fn print_elements(out: &mut fmt::Formatter<'_>, head: fmt::Arguments<'_>, elements: &[Element]) -> fmt::Result {
    let elements: Vec<String> = elements.iter().map(Element::to_string).collect();
    write!(out, "{head} {{ {} }}", elements.join(", "))
}

impl fmt::Display for ChainHook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.translates { "nat" } else { "filter" };
        let hook = match &self.hook {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
            Hook::Egress(device) => &format!("egress device {device}"),
        };
        write!(out, "type {kind} hook {hook} priority {}", self.priority)
    }
}

impl fmt::Display for SetKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ports | Self::Addresses => "set",
            Self::PortChains | Self::PortTargets | Self::AddressPortTargets | Self::AddressChains => "map",
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key {
            Key::Port(protocol, port) => write!(out, "{} . {port}", protocol_name(protocol))?,
            Key::AddressPort(address, protocol, port) => {
                write!(out, "{address} . {} . {port}", protocol_name(protocol))?;
            }
            Key::Address(address) => write!(out, "{address}")?,
        }
        match &self.value {
            ElementValue::None => Ok(()),
            ElementValue::Chain(chain) => write!(out, " : goto {chain}"),
            ElementValue::Target(address, port) => write!(out, " : {address} . {port}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.chain)?;
        for one in &self.matches {
            write!(out, " {one}")?;
        }
        write!(out, " {}", self.action)
    }
}

impl fmt::Display for Match {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4 => write!(out, "meta nfproto ipv4"),
            Self::InLink(name) => write!(out, "iifname {name}"),
            Self::InLinkNot(name) => write!(out, "iifname != {name}"),
            Self::OutLink(name) => write!(out, "oifname {name}"),
            Self::OutLinkNot(name) => write!(out, "oifname != {name}"),
            Self::SourceIn(subnet) => write!(out, "ip saddr {subnet}"),
            Self::DestinationIn(subnet) => write!(out, "ip daddr {subnet}"),
            Self::DestinationLocal => write!(out, "fib daddr type local"),
            Self::Translated => write!(out, "ct status dnat"),
            Self::New => write!(out, "ct state new"),
            Self::Reply => write!(out, "ct direction reply"),
            Self::Transport(protocol) => write!(out, "meta l4proto {}", protocol_name(*protocol)),
            Self::PortIn(set) => write!(out, "meta l4proto . th dport @{set}"),
            Self::DestinationAmong(set) => write!(out, "ip daddr @{set}"),
            Self::DestinationPort(port) => write!(out, "th dport {port}"),
            Self::Marked => write!(out, "meta mark != 0"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => write!(out, "accept"),
            Self::Drop => write!(out, "drop"),
            Self::Untracked => write!(out, "notrack"),
            Self::Jump(chain) => write!(out, "jump {chain}"),
            Self::Masquerade => write!(out, "masquerade"),
            Self::Reset => write!(out, "reject with tcp reset"),
            Self::Unreachable => write!(out, "reject with icmpx port-unreachable"),
            Self::GotoChainOf(map) => write!(out, "meta l4proto . th dport vmap @{map}"),
            Self::GotoChainOfAddress(map) => write!(out, "ip daddr vmap @{map}"),
            Self::TranslateTo(map) => write!(out, "dnat ip to meta l4proto . th dport map @{map}"),
            Self::TranslateAddressTo(map) => write!(out, "dnat ip to ip daddr . meta l4proto . th dport map @{map}"),
            Self::Balance(targets) => {
                let targets: Vec<String> = targets
                    .iter()
                    .enumerate()
                    .map(|(number, (address, port))| format!("{number} : {address} . {port}"))
                    .collect();
                write!(out, "dnat ip to numgen inc mod {} map {{ {} }}", targets.len(), targets.join(", "))
            }
            Self::BalanceAddresses(addresses) => {
                let numbered = addresses.iter().enumerate().map(|(number, address)| format!("{number} : {address}"));
                let numbered: Vec<String> = numbered.collect();
                write!(out, "dnat ip to numgen random mod {} map {{ {} }}", addresses.len(), numbered.join(", "))
            }
            Self::Translate(address, port) => write!(out, "dnat ip to {address}:{port}"),
            Self::SeparateSenders => write!(out, "ct original zone set @ll,80,16"),
            Self::NoteSender => write!(out, "ct mark set @ll,64,32"),
            Self::RecallSender => write!(out, "meta mark set ct mark"),
            Self::AnswerSender => write!(out, "@ll,16,32 set meta mark"),
        }
    }
}
