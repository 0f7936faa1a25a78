//! What is there of nftables: chains of all tables, and the generation of the whole.

use std::io;

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, GenAttribute, GenMessage, Hook, HookNumber, InetHookNumber, NfTablesMessage,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::super::channel::Channel;

/// A chain that is there, whoever made it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::network) struct FoundChain {
    pub(in crate::network) table: String,
    pub(in crate::network) name: String,
    /// Rules in it and references to it.
    pub(in crate::network) uses: u32,
    /// It sees forwarded packets and drops what no rule accepts.
    pub(in crate::network) drops_forwarded: bool,
}

/// All chains of the namespace.
pub(in crate::network) fn chains(channel: &mut Channel) -> io::Result<Vec<FoundChain>> {
    let found = channel.dump(question(NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() })))?;
    Ok(found
        .iter()
        .filter_map(|message| match &message.inner {
            NetfilterMessageInner::NfTables(NfTablesMessage::NewChain(chain)) => Some(found_chain(chain)),
            _ => None,
        })
        .collect())
}

/// A number that changes whenever anyone changes a table of the namespace.
pub(in crate::network) fn generation(channel: &mut Channel) -> io::Result<Option<u32>> {
    let found = channel.get(question(NfTablesMessage::GetGen(GenMessage { attributes: Vec::new() })))?;
    Ok(found.iter().find_map(|message| match &message.inner {
        NetfilterMessageInner::NfTables(NfTablesMessage::NewGen(message)) => {
            message.attributes.iter().find_map(|attribute| match attribute {
                GenAttribute::Id(id) => Some(*id),
                _ => None,
            })
        }
        _ => None,
    }))
}

fn question(message: NfTablesMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0), message)
}

fn found_chain(message: &ChainMessage) -> FoundChain {
    const POLICY_DROP: u32 = 0;
    let mut found = FoundChain::default();
    let (mut forwarded, mut drops) = (false, false);
    for attribute in &message.attributes {
        match attribute {
            ChainAttribute::Table(name) => found.table.clone_from(name),
            ChainAttribute::Name(name) => found.name.clone_from(name),
            ChainAttribute::Use(uses) => found.uses = *uses,
            ChainAttribute::Policy(policy) => drops = *policy == POLICY_DROP,
            ChainAttribute::Hook(hook) => forwarded = hook.iter().any(is_forward),
            _ => {}
        }
    }
    found.drops_forwarded = forwarded && drops;
    found
}

fn is_forward(hook: &Hook) -> bool {
    const FORWARD: u32 = 2;
    match hook {
        Hook::Number(HookNumber::Inet(InetHookNumber::Forward)) => true,
        Hook::Number(HookNumber::Other(number)) => *number == FORWARD,
        _ => false,
    }
}
