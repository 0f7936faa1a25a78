//! Connections that the kernel tracks: those translated to an address that is gone are forgotten.
//!
//! Without that, datagrams of a client that goes on sending follow the old translation for ever, and TCP clients wait for
//! an answer that can't come; a forgotten connection's next packet is refused or goes elsewhere. Leaves which addresses
//! are gone to `actor`.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use netlink_packet_netfilter::conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, Status, Tuple};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use nix::libc::ENOENT;

use super::channel::{Channel, Request};

/// Forgets all connections whose destination was translated to one of these addresses.
pub(super) fn forget_connections(channel: &mut Channel, gone: &BTreeSet<IpAddr>) -> io::Result<usize> {
    let found = channel.dump(message(ConntrackMessage::Get(Vec::new())))?;
    let requests: Vec<Request<NetfilterMessage>> = found
        .into_iter()
        .filter_map(|found| match found.inner {
            NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) => opening_tuple(attributes, gone),
            _ => None,
        })
        .map(|tuple| Request {
            message: message(ConntrackMessage::Delete(vec![ConntrackAttribute::CtaTupleOrig(tuple)])),
            flags: 0,
            // It ended by itself.
            tolerated: &[ENOENT],
        })
        .collect();
    let count = requests.len();
    channel.perform(requests).map_err(|refusal| refusal.error)?;
    Ok(count)
}

/// What names a connection, if its answers come from one of these addresses by translation.
fn opening_tuple(attributes: Vec<ConntrackAttribute>, gone: &BTreeSet<IpAddr>) -> Option<Vec<Tuple>> {
    let mut opening = None;
    let (mut translated, mut is_gone) = (false, false);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(tuple) => opening = Some(tuple),
            ConntrackAttribute::CtaTupleReply(tuple) => is_gone = source(&tuple).is_some_and(|one| gone.contains(&one)),
            ConntrackAttribute::CtaStatus(status) => translated = status.contains(Status::DstNat),
            _ => {}
        }
    }
    opening.filter(|_| translated && is_gone)
}

fn source(tuple: &[Tuple]) -> Option<IpAddr> {
    tuple.iter().find_map(|part| match part {
        Tuple::Ip(addresses) => addresses.iter().find_map(|address| match address {
            IPTuple::SourceAddress(address) => Some(*address),
            _ => None,
        }),
        _ => None,
    })
}

fn message(message: ConntrackMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0), message)
}
