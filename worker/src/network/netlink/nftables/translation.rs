//! Where a table leads connections: which address or port goes to which tasks, read from its sets, chains and maps.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::Ipv4Addr;

use netlink_packet_netfilter::nftables::{
    DataAttribute, ExpressionAttribute, Expressions, ListAttribute, Lookup, NfTablesMessage, RuleAttribute,
    RuleMessage, SetElementAttribute, SetElementList, SetElementMessage, VerdictAttribute,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use nix::libc::ENOENT;
use shoal_proto::model::PortProtocol;

use super::super::channel::Channel;
use super::expression::protocol_number;
use crate::network::firewall::{PortKey, Target};

/// The tasks of each virtual address, in order; the sets are those of addresses that lead somewhere, and of those that
/// are refused.
pub(in crate::network) fn translations(
    channel: &mut Channel,
    table: &str,
    sets: (&str, &str),
) -> io::Result<BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>> {
    led(channel, table, sets, (address_of, address_of))
}

/// The targets of each published port, in order; the sets are as above.
pub(in crate::network) fn published(
    channel: &mut Channel,
    table: &str,
    sets: (&str, &str),
) -> io::Result<BTreeMap<PortKey, Vec<Target>>> {
    led(channel, table, sets, (port_of, target_of))
}

/// Understands what a set's element has.
type Read<T> = fn(&DataAttribute) -> Option<T>;

/// What each key of `led` has in the map of its chain, in order, and nothing for those that are in `refused`.
fn led<K: Ord, V: Ord>(
    channel: &mut Channel,
    table: &str,
    (led, refused): (&str, &str),
    (key_of, value_of): (Read<K>, Read<V>),
) -> io::Result<BTreeMap<K, Vec<V>>> {
    let maps = maps_of_chains(channel, table)?;
    let mut shown = BTreeMap::new();
    for (key, _) in elements(channel, table, refused)? {
        shown.extend(key_of(&key).map(|key| (key, Vec::new())));
    }
    for (key, data) in elements(channel, table, led)? {
        let map = data.as_ref().and_then(chain_of).and_then(|chain| maps.get(chain));
        let (Some(key), Some(map)) = (key_of(&key), map) else { continue };
        let values = elements(channel, table, map)?.into_iter().filter_map(|(_, data)| value_of(&data?));
        let mut values: Vec<V> = values.collect();
        values.sort_unstable();
        shown.insert(key, values);
    }
    Ok(shown)
}

/// The map that each chain's rule looks a task up in.
fn maps_of_chains(channel: &mut Channel, table: &str) -> io::Result<HashMap<String, String>> {
    let wanted = RuleMessage { attributes: vec![RuleAttribute::Table(table.to_owned())] };
    let found = channel.dump(question(NfTablesMessage::GetRule(wanted)))?;
    let rules = found.iter().filter_map(|message| match &message.inner {
        NetfilterMessageInner::NfTables(NfTablesMessage::NewRule(rule)) => Some(rule),
        _ => None,
    });
    Ok(rules.filter_map(map_of_rule).collect())
}

fn map_of_rule(rule: &RuleMessage) -> Option<(String, String)> {
    let (mut chain, mut map) = (None, None);
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::Chain(name) => chain = Some(name.clone()),
            RuleAttribute::Expressions(expressions) => map = expressions.iter().find_map(map_of_expression),
            _ => {}
        }
    }
    Some((chain?, map?))
}

fn map_of_expression(expression: &ListAttribute<ExpressionAttribute>) -> Option<String> {
    let ListAttribute::Element(attributes) = expression else { return None };
    attributes.iter().find_map(|attribute| match attribute {
        ExpressionAttribute::Data(Expressions::Lookup(lookup)) => lookup.iter().find_map(|part| match part {
            Lookup::Set(name) => Some(name.clone()),
            _ => None,
        }),
        _ => None,
    })
}

/// Keys and data of a set; none of one that is not there.
fn elements(channel: &mut Channel, table: &str, set: &str) -> io::Result<Vec<(DataAttribute, Option<DataAttribute>)>> {
    let attributes = vec![SetElementList::Table(table.to_owned()), SetElementList::Set(set.to_owned())];
    let question = question(NfTablesMessage::GetSetElement(SetElementMessage { attributes }));
    let found = match channel.dump(question) {
        Err(error) if error.raw_os_error() == Some(ENOENT) => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let lists = found.into_iter().filter_map(|message| match message.inner {
        NetfilterMessageInner::NfTables(NfTablesMessage::NewSetElement(list)) => Some(list.attributes),
        _ => None,
    });
    let listed = lists.flatten().filter_map(|attribute| match attribute {
        SetElementList::Elements(elements) => Some(elements),
        _ => None,
    });
    Ok(listed.flatten().filter_map(element).collect())
}

fn element(element: ListAttribute<SetElementAttribute>) -> Option<(DataAttribute, Option<DataAttribute>)> {
    let ListAttribute::Element(attributes) = element else { return None };
    let (mut key, mut data) = (None, None);
    for attribute in attributes {
        match attribute {
            SetElementAttribute::Key(found) => key = Some(found),
            SetElementAttribute::Data(found) => data = Some(found),
            _ => {}
        }
    }
    Some((key?, data))
}

fn address_of(data: &DataAttribute) -> Option<Ipv4Addr> {
    let DataAttribute::Value(bytes) = data else { return None };
    <[u8; 4]>::try_from(bytes.as_slice()).ok().map(Ipv4Addr::from)
}

/// Protocol and port, as keys have them.
fn port_of(data: &DataAttribute) -> Option<PortKey> {
    let DataAttribute::Value(bytes) = data else { return None };
    let [number, _, _, _, high, low, _, _] = <[u8; 8]>::try_from(bytes.as_slice()).ok()?;
    let protocols = [PortProtocol::Tcp, PortProtocol::Udp, PortProtocol::Sctp];
    let protocol = protocols.into_iter().find(|protocol| protocol_number(*protocol) == number)?;
    Some((protocol, u16::from_be_bytes([high, low])))
}

/// Address and port of a task, as balancing maps have them.
fn target_of(data: &DataAttribute) -> Option<Target> {
    let DataAttribute::Value(bytes) = data else { return None };
    let [a, b, c, d, high, low, ..] = *bytes.as_slice() else { return None };
    Some((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

fn chain_of(data: &DataAttribute) -> Option<&str> {
    let DataAttribute::Verdict(verdict) = data else { return None };
    verdict.iter().find_map(|part| match part {
        VerdictAttribute::Chain(chain) => Some(chain.as_str()),
        _ => None,
    })
}

fn question(message: NfTablesMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Inet, 0, 0), message)
}
