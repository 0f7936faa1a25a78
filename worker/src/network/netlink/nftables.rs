//! The kernel's encoding of table changes: registers, expressions, attribute numbers.
//!
//! Numbers are those of `linux/netfilter/nf_tables.h`. The crate frames the messages; what its types lack (numbers in
//! maps, translation, FIB) is written as plain attributes, and the rest alike, for one way of doing it.

use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};

use super::attribute::{bytes, nest, number, text};
use super::channel::{Channel, Refusal};
use crate::network::firewall::{ChainHook, Change, Element, ElementValue, Family, Hook, Key, SetKind, Transaction};
use crate::network::limits::ELEMENTS_A_MESSAGE;

mod expression;
mod survey;
mod translation;

pub(in crate::network) use survey::{FoundChain, chains, generation};
pub(in crate::network) use translation::{published, translations};

/// Performs a transaction; on a refusal the position is that of the change.
pub(in crate::network) fn commit(channel: &mut Channel, transaction: &Transaction) -> Result<(), Refusal> {
    let mut encoder = Encoder { transaction, messages: Vec::new(), origins: Vec::new(), sets: 0 };
    for (origin, change) in transaction.changes.iter().enumerate() {
        encoder.change(change);
        encoder.origins.resize(encoder.messages.len(), origin);
    }
    if encoder.messages.is_empty() {
        return Ok(());
    }
    let mut messages = vec![(mark(ControlMessage::BatchBegin), 0)];
    messages.append(&mut encoder.messages);
    messages.push((mark(ControlMessage::BatchEnd), 0));
    channel.transact(messages).map_err(|refusal| Refusal {
        position: refusal.position.and_then(|position| encoder.origins.get(position).copied()),
        error: refusal.error,
    })
}

struct Encoder<'a> {
    transaction: &'a Transaction,
    messages: Vec<(NetfilterMessage, u16)>,
    /// For each message, the change that it belongs to.
    origins: Vec<usize>,
    /// Sets without a name so far, which number them in the transaction.
    sets: u32,
}

impl Encoder<'_> {
    fn change(&mut self, change: &Change) {
        let table = text(1, &self.transaction.table);
        match change {
            Change::Table => self.push(NEW_TABLE, NLM_F_CREATE, vec![table]),
            Change::TableRemoved => self.push(DELETE_TABLE, 0, vec![table]),
            Change::Chain { name, hook } => {
                let mut attributes = vec![table, text(3, name)];
                if let Some(hook) = hook {
                    attributes.extend(self.base_chain(hook));
                }
                self.push(NEW_CHAIN, NLM_F_CREATE, attributes);
            }
            Change::ChainEmptied { name } => self.push(DELETE_RULE, 0, vec![table, text(2, name)]),
            Change::ChainRemoved { name } => self.push(DELETE_CHAIN, 0, vec![table, text(3, name)]),
            Change::Set { name, kind } => {
                let mut attributes = vec![table, text(2, name)];
                attributes.extend(set_attributes(*kind));
                self.sets += 1;
                attributes.push(number(10, self.sets));
                self.push(NEW_SET, NLM_F_CREATE, attributes);
            }
            Change::Elements { set, elements } => self.elements(NEW_ELEMENTS, NLM_F_CREATE, set, elements),
            Change::ElementsRemoved { set, elements } => self.elements(DELETE_ELEMENTS, 0, set, elements),
            Change::Rule(rule) => {
                let expressions = self.expressions(rule);
                let attributes = vec![table, text(2, &rule.chain), nest(4, &expressions)];
                self.push(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, attributes);
            }
        }
    }

    fn base_chain(&self, hook: &ChainHook) -> Vec<DefaultNla> {
        let (place, device) = match &hook.hook {
            Hook::Prerouting => (0, None),
            Hook::Input => (1, None),
            Hook::Output => (3, None),
            Hook::Postrouting => (4, None),
            Hook::Egress(device) => (1, Some(device)),
        };
        let mut members = vec![number(1, place), number(2, hook.priority.cast_unsigned())];
        members.extend(device.map(|device| text(3, device)));
        let kind = if hook.translates { "nat" } else { "filter" };
        vec![nest(4, &members), text(7, kind), number(5, ACCEPT)]
    }

    fn elements(&mut self, message: u8, flags: u16, set: &str, elements: &[Element]) {
        for part in elements.chunks(ELEMENTS_A_MESSAGE) {
            let members: Vec<DefaultNla> = part.iter().map(element).collect();
            let attributes = vec![text(1, &self.transaction.table), text(2, set), nest(3, &members)];
            self.push(message, flags, attributes);
        }
    }

    fn push(&mut self, message_type: u8, flags: u16, attributes: Vec<DefaultNla>) {
        let family = match self.transaction.family {
            Family::Inet => NetfilterProtoFamily::Inet,
            Family::Netdev => NetfilterProtoFamily::NetDev,
        };
        let header = NetfilterHeader::new(family, 0, 0);
        self.messages.push((NetfilterMessage::new(header, NfTablesMessage::Other { message_type, attributes }), flags));
    }
}

fn set_attributes(kind: SetKind) -> Vec<DefaultNla> {
    let (key_type, key_length, data) = match kind {
        SetKind::Ports => (TYPE_PORT, 8, None),
        SetKind::PortChains => (TYPE_PORT, 8, Some((DATA_VERDICT, 16))),
        SetKind::PortTargets => (TYPE_PORT, 8, Some((TYPE_TARGET, 8))),
        SetKind::AddressPortTargets => (TYPE_ADDRESS_PORT, 12, Some((TYPE_TARGET, 8))),
        SetKind::Addresses => (TYPE_ADDRESS, 4, None),
        SetKind::AddressChains => (TYPE_ADDRESS, 4, Some((DATA_VERDICT, 16))),
    };
    let flags = if data.is_some() { SET_MAP } else { 0 };
    let mut attributes = vec![number(3, flags), number(4, key_type), number(5, key_length)];
    if let Some((data_type, data_length)) = data {
        attributes.extend([number(6, data_type), number(7, data_length)]);
    }
    attributes
}

fn element(element: &Element) -> DefaultNla {
    let mut members = vec![nest(1, &[bytes(1, &key(element.key))])];
    match &element.value {
        ElementValue::None => {}
        ElementValue::Chain(chain) => members.push(nest(2, &[expression::verdict(VERDICT_GOTO, Some(chain))])),
        ElementValue::Target(address, port) => {
            members.push(nest(2, &[bytes(1, &expression::target(*address, *port))]));
        }
    }
    nest(LIST_ELEMENT, &members)
}

/// Every part of a key takes whole registers.
fn key(key: Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12);
    if let Key::Address(address) | Key::AddressPort(address, ..) = key {
        bytes.extend(address.octets());
    }
    if let Key::Port(protocol, port) | Key::AddressPort(_, protocol, port) = key {
        bytes.extend([expression::protocol_number(protocol), 0, 0, 0]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 0]);
    }
    bytes
}

/// The mark that opens or closes a batch for nftables.
fn mark(message: ControlMessage) -> NetfilterMessage {
    const SUBSYSTEM_NFTABLES: u16 = 10;
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM_NFTABLES), message)
}

const NEW_TABLE: u8 = 0;
const DELETE_TABLE: u8 = 2;
const NEW_CHAIN: u8 = 3;
const DELETE_CHAIN: u8 = 5;
const NEW_RULE: u8 = 6;
const DELETE_RULE: u8 = 8;
const NEW_SET: u8 = 9;
const NEW_ELEMENTS: u8 = 12;
const DELETE_ELEMENTS: u8 = 14;
const LIST_ELEMENT: u16 = 1;
const ACCEPT: u32 = 1;
const SET_MAP: u32 = 8;
const VERDICT_GOTO: i32 = -4;
const DATA_VERDICT: u32 = 0xffff_ff00;
/// `nft`'s numbers of types, six bits each, so that it lists our sets readably: inet_proto . inet_service.
const TYPE_PORT: u32 = (12 << 6) | 13;
/// ipv4_addr
const TYPE_ADDRESS: u32 = 7;
/// ipv4_addr . inet_service
const TYPE_TARGET: u32 = (7 << 6) | 13;
/// ipv4_addr . inet_proto . inet_service
const TYPE_ADDRESS_PORT: u32 = (7 << 12) | (12 << 6) | 13;
