//! The kernel's encoding of links, addresses, routes, neighbours and forwarding entries.
//!
//! A [`RouteChannel`] queues the requests of steps and sends them together; names become indexes here. Firewall and
//! namespace steps are not its own. Invariant: a step that only removes succeeds when its link is gone already.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::link::{
    BridgePortState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, InfoVxlan,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::libc::{EEXIST, ENODEV, ESRCH};

use super::channel::{Channel, Refusal, Request};
use crate::network::plan::{Port, Route, Step};

mod neighbour;
mod survey;

pub(in crate::network) use survey::FoundLink;

/// Links, addresses, routes and neighbours of one namespace.
#[derive(Debug)]
pub(in crate::network) struct RouteChannel {
    channel: Channel,
    indexes: HashMap<String, u32>,
    queued: Vec<Request<RouteNetlinkMessage>>,
    /// For each queued request, the position of its step in the plan.
    origins: Vec<usize>,
    /// The group of links that are to be deleted together.
    retired_group: u32,
}

impl RouteChannel {
    /// Opens a channel in the calling thread's network namespace. Retired links go to a group of this number.
    pub(in crate::network) fn open(retired_group: u32) -> io::Result<Self> {
        Ok(Self {
            retired_group,
            channel: Channel::open(NETLINK_ROUTE)?,
            indexes: HashMap::from([("lo".to_owned(), 1)]),
            queued: Vec::new(),
            origins: Vec::new(),
        })
    }

    /// Tells the index of a link that another namespace's channel makes here.
    pub(in crate::network) fn expect_link(&mut self, name: &str, index: u32) {
        self.indexes.insert(name.to_owned(), index);
    }

    /// Forgets what was queued and what is known of links, after a refusal.
    pub(in crate::network) fn reset(&mut self) {
        self.queued.clear();
        self.origins.clear();
        self.indexes.retain(|name, _| name == "lo");
    }

    /// Queues a step. The container's end of a pair goes to the namespace `inside`.
    pub(in crate::network) fn queue(
        &mut self,
        step: &Step,
        origin: usize,
        inside: Option<&OwnedFd>,
    ) -> Result<(), Refusal> {
        match self.requests(step, inside) {
            Ok(requests) => {
                self.origins.resize(self.origins.len() + requests.len(), origin);
                self.queued.extend(requests);
                Ok(())
            }
            Err(refusal) if only_removes(step) && refusal.error.raw_os_error() == Some(ENODEV) => Ok(()),
            Err(Refusal { position: None, error }) => Err(Refusal { position: Some(origin), error }),
            Err(refusal) => Err(refusal),
        }
    }

    /// Sends what is queued.
    pub(in crate::network) fn flush(&mut self) -> Result<(), Refusal> {
        let origins = std::mem::take(&mut self.origins);
        let queued = std::mem::take(&mut self.queued);
        self.channel.perform(queued).map_err(|refusal| Refusal {
            position: refusal.position.and_then(|position| origins.get(position).copied()),
            error: refusal.error,
        })
    }

    /// Deletes all retired links; none is no error.
    pub(in crate::network) fn delete_retired(&mut self) -> io::Result<()> {
        let mut group = LinkMessage::default();
        group.attributes.push(LinkAttribute::Group(self.retired_group));
        let request = request(RouteNetlinkMessage::DelLink(group), 0, &[ENODEV]);
        self.channel.perform(vec![request]).map_err(|refusal| refusal.error)
    }

    fn requests(
        &mut self,
        step: &Step,
        inside: Option<&OwnedFd>,
    ) -> Result<Vec<Request<RouteNetlinkMessage>>, Refusal> {
        Ok(match step {
            Step::Bridge { name, mac, mtu } => {
                let data = InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)]);
                let mut message = link(name, Some((InfoKind::Bridge, Some(data))));
                message.attributes.extend([LinkAttribute::Address(mac.0.to_vec()), LinkAttribute::Mtu(*mtu)]);
                vec![make(raised(message))]
            }
            Step::Vxlan { name, vni, local, port, mtu, lower } => {
                let local = local.map(|local| match local {
                    IpAddr::V4(address) => InfoVxlan::Local(address),
                    IpAddr::V6(address) => InfoVxlan::Local6(address),
                });
                let mut data = vec![InfoVxlan::Id(*vni), InfoVxlan::Port(*port)];
                data.extend(local);
                if let Some(lower) = lower {
                    let bare = [InfoVxlan::UDPZeroCsumTX(true), InfoVxlan::UDPZeroCsumRX(true)];
                    data.extend([InfoVxlan::Link(self.index(lower)?)].into_iter().chain(bare));
                }
                data.extend([InfoVxlan::Learning(false), InfoVxlan::Proxy(true)]);
                let mut message = link(name, Some((InfoKind::Vxlan, Some(InfoData::Vxlan(data)))));
                message.attributes.push(LinkAttribute::Mtu(*mtu));
                vec![make(message)]
            }
            Step::TunnelRaised { name, mac, mtu } => {
                let mut message = raised(link(name, None));
                message.header.flags |= LinkFlags::Noarp;
                message.header.change_mask |= LinkFlags::Noarp;
                message.attributes.extend([LinkAttribute::Address(mac.0.to_vec()), LinkAttribute::Mtu(*mtu)]);
                vec![change(message)]
            }
            Step::Join { name, bridge, port } => {
                let bridge = self.index(bridge)?;
                let mut joined = link(name, None);
                joined.attributes.push(LinkAttribute::Controller(bridge));
                vec![change(joined), change(port_options(name, *port))]
            }
            Step::Pair { bridge, .. } => {
                let bridge = self.index(bridge)?;
                pair(step, bridge, inside)?
            }
            Step::LinkUp { name } => vec![change(raised(link(name, None)))],
            Step::LinkRemoved { name } => {
                self.indexes.remove(name);
                vec![request(RouteNetlinkMessage::DelLink(link(name, None)), 0, &[ENODEV])]
            }
            Step::PortRetired { name } => {
                self.indexes.remove(name);
                let mut grouped = link(name, None);
                grouped.attributes.push(LinkAttribute::Group(self.retired_group));
                let disabled = port_settings(name, vec![InfoBridgePort::State(BridgePortState::Disabled)]);
                let request = |message| request(RouteNetlinkMessage::NewLink(message), 0, &[ENODEV]);
                vec![request(disabled), request(grouped)]
            }
            Step::Route(route) => {
                let message = RouteNetlinkMessage::NewRoute(self.route(route)?);
                vec![request(message, NLM_F_CREATE | NLM_F_REPLACE, &[])]
            }
            Step::RouteRemoved(route) => {
                vec![request(RouteNetlinkMessage::DelRoute(self.route(route)?), 0, &[ESRCH])]
            }
            Step::SourceRule { source, table } => vec![source_rule(*source, *table)],
            step => self.neighbour_requests(step)?,
        })
    }

    fn route(&mut self, route: &Route) -> Result<RouteMessage, Refusal> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(route.destination.address);
        message.header.destination_prefix_length = route.destination.prefix;
        message.header.table = route.table;
        message.header.protocol = RouteProtocol::Static;
        message.header.kind = RouteType::Unicast;
        message.header.scope = if route.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
        message.attributes.push(RouteAttribute::Oif(self.index(&route.link)?));
        if route.destination.prefix > 0 {
            message.attributes.push(RouteAttribute::Destination(route.destination.network().address.into()));
        }
        if let Some(gateway) = route.gateway {
            message.header.flags = RouteFlags::Onlink;
            message.attributes.push(RouteAttribute::Gateway(gateway.into()));
        }
        message.attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(source.into())));
        message.attributes.extend(route.metric.map(RouteAttribute::Priority));
        Ok(message)
    }

    /// The index of a link; sends what is queued first if that may make it.
    fn index(&mut self, name: &str) -> Result<u32, Refusal> {
        if let Some(index) = self.indexes.get(name) {
            return Ok(*index);
        }
        self.flush()?;
        let found = self.find_link(name)?.ok_or_else(|| io::Error::from_raw_os_error(ENODEV))?;
        self.indexes.insert(name.to_owned(), found.index);
        Ok(found.index)
    }
}

/// Both links of a pair in one request, then the port's options.
fn pair(step: &Step, bridge: u32, inside: Option<&OwnedFd>) -> io::Result<Vec<Request<RouteNetlinkMessage>>> {
    let Step::Pair { name, port, inside: inner, index, mac, mtu, .. } = step else { return Ok(Vec::new()) };
    let namespace = inside.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut peer = link(inner, None);
    peer.header.index = *index;
    peer.attributes.extend([
        LinkAttribute::NetNsFd(namespace.as_raw_fd()),
        LinkAttribute::Address(mac.0.to_vec()),
        LinkAttribute::Mtu(*mtu),
    ]);
    let data = InfoData::Veth(InfoVeth::Peer(peer));
    let mut message = link(name, Some((InfoKind::Veth, Some(data))));
    message.attributes.extend([LinkAttribute::Controller(bridge), LinkAttribute::Mtu(*mtu)]);
    let made = RouteNetlinkMessage::NewLink(raised(message));
    Ok(vec![request(made, NLM_F_CREATE | NLM_F_EXCL, &[]), change(port_options(name, *port))])
}

fn port_options(name: &str, port: Port) -> LinkMessage {
    // Where the bridge runs its frames through the host's translations, what comes back to its sender is no loop.
    let mut options = vec![InfoBridgePort::HairpinMode(true)];
    if port == Port::Stated {
        options.extend([InfoBridgePort::Learning(false), InfoBridgePort::UnicastFlood(false)]);
    }
    port_settings(name, options)
}

fn port_settings(name: &str, options: Vec<InfoBridgePort>) -> LinkMessage {
    let mut message = link(name, None);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(options)),
    ]));
    message
}

fn source_rule(source: IpAddr, table: u8) -> Request<RouteNetlinkMessage> {
    let mut message = RuleMessage::default();
    message.header.family = family(source);
    message.header.src_len = if source.is_ipv4() { 32 } else { 128 };
    message.header.table = table;
    message.header.action = RuleAction::ToTable;
    message.attributes.push(RuleAttribute::Source(source));
    request(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE | NLM_F_EXCL, &[EEXIST])
}

fn link(name: &str, kind: Option<(InfoKind, Option<InfoData>)>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    if let Some((kind, data)) = kind {
        let mut info = vec![LinkInfo::Kind(kind)];
        info.extend(data.map(LinkInfo::Data));
        message.attributes.push(LinkAttribute::LinkInfo(info));
    }
    message
}

fn raised(mut message: LinkMessage) -> LinkMessage {
    message.header.flags |= LinkFlags::Up;
    message.header.change_mask |= LinkFlags::Up;
    message
}

/// Makes a link; one of that name may stand already.
fn make(message: LinkMessage) -> Request<RouteNetlinkMessage> {
    request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL, &[EEXIST])
}

/// Changes a link that stands.
fn change(message: LinkMessage) -> Request<RouteNetlinkMessage> {
    request(RouteNetlinkMessage::NewLink(message), 0, &[])
}

fn request(message: RouteNetlinkMessage, flags: u16, tolerated: &'static [i32]) -> Request<RouteNetlinkMessage> {
    Request { message, flags, tolerated }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn only_removes(step: &Step) -> bool {
    matches!(
        step,
        Step::LinkRemoved { .. }
            | Step::RouteRemoved(_)
            | Step::ForwardRemoved { .. }
            | Step::TunnelRemoved { .. }
            | Step::NeighbourRemoved { .. }
    )
}
