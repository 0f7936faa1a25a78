//! What a table of names shows: which virtual address leads to which tasks, read from its sets, chains and maps.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::Ipv4Addr;

use netlink_packet_netfilter::nftables::{
    DataAttribute, ExpressionAttribute, Expressions, ListAttribute, Lookup, NfTablesMessage, RuleAttribute,
    RuleMessage, SetElementAttribute, SetElementList, SetElementMessage, VerdictAttribute,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::super::channel::Channel;

/// The tasks of each address that `led` has a chain for, in order, and none for those that are in `refused`.
pub(in crate::network) fn translations(
    channel: &mut Channel,
    table: &str,
    (led, refused): (&str, &str),
) -> io::Result<BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>> {
    let maps = maps_of_chains(channel, table)?;
    let mut shown = BTreeMap::new();
    for (address, _) in elements(channel, table, refused)? {
        shown.extend(address_of(&address).map(|address| (address, Vec::new())));
    }
    for (address, data) in elements(channel, table, led)? {
        let map = data.as_ref().and_then(chain_of).and_then(|chain| maps.get(chain));
        let (Some(address), Some(map)) = (address_of(&address), map) else { continue };
        let tasks = elements(channel, table, map)?.into_iter().filter_map(|(_, data)| address_of(&data?));
        let mut tasks: Vec<Ipv4Addr> = tasks.collect();
        tasks.sort_unstable();
        shown.insert(address, tasks);
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

/// Keys and data of a set.
fn elements(channel: &mut Channel, table: &str, set: &str) -> io::Result<Vec<(DataAttribute, Option<DataAttribute>)>> {
    let attributes = vec![SetElementList::Table(table.to_owned()), SetElementList::Set(set.to_owned())];
    let found = channel.dump(question(NfTablesMessage::GetSetElement(SetElementMessage { attributes })))?;
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
