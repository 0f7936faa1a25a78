//! Gives out what the swarm has one of: published ports, and addresses on the ingress network.
//!
//! What is given is written in the objects that hold it and counted by the tables' indexes; nothing is kept here, so
//! that nothing can leak. Numbers are given in turn, so that one that was freed is not at once another's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::{
    Cidr, Endpoint, Network, NetworkAttachment, PortConfig, PortProtocol, PublishMode, Service, ServiceId, Task,
};

use super::plan::{Plan, Step};
use crate::limits::DYNAMIC_PORTS;
use crate::store::Tables;

/// Where the last search ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The address that was given last.
    pub address: u32,
    /// The port that was given last.
    pub port: u16,
}

/// Whether the service is answered on every host.
#[must_use]
pub fn needs_ingress(service: &Service) -> bool {
    service.spec.endpoint.ports.iter().any(|port| port.mode == PublishMode::Ingress)
}

/// The ports of one service. What it got before, it keeps.
#[must_use]
pub fn decide_service(tables: &Tables, service: &Service, cursor: &mut Cursor) -> Plan {
    let mut plan = Plan::default();
    if is_served(service) {
        return plan;
    }
    let mut taken: BTreeSet<(PortProtocol, u16)> = BTreeSet::new();
    let given = service.spec.endpoint.ports.iter().filter(|port| port.published_port != 0);
    taken.extend(given.map(|port| (port.protocol, port.published_port)));
    // A rollback may ask for a port that went to another service meanwhile.
    if service.spec.endpoint.ports.iter().any(|port| is_of_another(tables, service.id, port)) {
        return plan;
    }
    let mut ports = Vec::new();
    for wish in &service.spec.endpoint.ports {
        let mut port = wish.clone();
        if port.mode == PublishMode::Ingress && port.published_port == 0 {
            let kept = kept_port(service, wish).filter(|number| !taken.contains(&(wish.protocol, *number)));
            let Some(number) = kept.or_else(|| free_port(tables, service.id, (wish.protocol, &taken), cursor)) else {
                return plan;
            };
            port.published_port = number;
            taken.insert((port.protocol, number));
        }
        ports.push(port);
    }
    let endpoint = Endpoint { spec: service.spec.endpoint.clone(), ports, ..service.endpoint.clone() };
    plan.push(Step::Publish { service: service.id, endpoint: Box::new(endpoint) });
    plan
}

fn is_of_another(tables: &Tables, own: ServiceId, port: &PortConfig) -> bool {
    port.mode == PublishMode::Ingress
        && port.published_port != 0
        && tables.publisher(port.protocol, port.published_port).is_some_and(|owner| owner != own)
}

/// Whether all ports of the present wish have their numbers.
fn is_served(service: &Service) -> bool {
    if service.endpoint.spec != service.spec.endpoint {
        return false;
    }
    let numbered = |port: &PortConfig| port.mode == PublishMode::Host || port.published_port != 0;
    service.endpoint.ports.len() == service.spec.endpoint.ports.len() && service.endpoint.ports.iter().all(numbered)
}

/// The number that was chosen for the same wish before.
fn kept_port(service: &Service, wish: &PortConfig) -> Option<u16> {
    let mut before = service.endpoint.spec.ports.iter().zip(&service.endpoint.ports);
    before.find(|(asked, _)| *asked == wish).map(|(_, port)| port.published_port).filter(|number| *number != 0)
}

fn free_port(
    tables: &Tables,
    service: ServiceId,
    (protocol, taken): (PortProtocol, &BTreeSet<(PortProtocol, u16)>),
    cursor: &mut Cursor,
) -> Option<u16> {
    let after = (cursor.port + 1).max(*DYNAMIC_PORTS.start());
    let in_turn = (after..=*DYNAMIC_PORTS.end()).chain(DYNAMIC_PORTS);
    let is_free = |port: &u16| {
        !taken.contains(&(protocol, *port)) && tables.publisher(protocol, *port).is_none_or(|owner| owner == service)
    };
    let port = in_turn.into_iter().find(is_free)?;
    cursor.port = port;
    Some(port)
}

/// The addresses of nodes that have none.
#[must_use]
pub fn decide_nodes(tables: &Tables, cursor: &mut Cursor) -> Plan {
    let mut plan = Plan::default();
    let Some(mut pool) = tables.ingress().and_then(|network| Pool::of(tables, network)) else { return plan };
    for node in tables.nodes().filter(|node| node.ingress_address.is_none()) {
        let Some(address) = pool.take(cursor) else { break };
        plan.push(Step::Address { node: node.id, address });
    }
    plan
}

/// The addresses of tasks that were just made: with them, or without need of them, tasks wait for a node.
#[must_use]
pub fn decide_tasks(tables: &Tables, cursor: &mut Cursor) -> Plan {
    let mut plan = Plan::default();
    let ingress = tables.ingress();
    let mut pool = ingress.and_then(|network| Pool::of(tables, network));
    for task in tables.fresh_tasks().filter(|task| super::condition::is_live(task)) {
        let service = tables.service(task.service).filter(|service| needs_ingress(service));
        let Some(service) = service else {
            plan.push(Step::Admit { task: task.id, attachments: Vec::new() });
            continue;
        };
        let address = is_served(service).then(|| pool.as_mut().and_then(|pool| pool.take(cursor))).flatten();
        match (address, ingress) {
            (Some(address), Some(network)) => {
                let attachment = NetworkAttachment { network: network.id, address, aliases: Vec::new() };
                plan.push(Step::Admit { task: task.id, attachments: vec![attachment] });
            }
            _ => explain(task, shortage(tables, service), &mut plan),
        }
    }
    plan
}

fn explain(task: &Task, error: String, plan: &mut Plan) {
    if task.status.error != error {
        plan.push(Step::Explain { task: task.id, error });
    }
}

/// What is missing, and what helps.
fn shortage(tables: &Tables, service: &Service) -> String {
    let Some(network) = tables.ingress() else {
        return "service needs ingress network, but no ingress network is present".to_owned();
    };
    let taken = service.spec.endpoint.ports.iter().find(|port| is_of_another(tables, service.id, port));
    if let Some(port) = taken {
        return format!("port {} is published by another service: choose another one", port.published_port);
    }
    if !is_served(service) {
        let (first, last) = DYNAMIC_PORTS.into_inner();
        return format!("no free port: all of {first}-{last} are published; name a port, or remove a service");
    }
    let used = tables.addresses().count(network.id);
    let name = &network.spec.name;
    format!("no free address on network {name}: {used} are in use; remove tasks of services with published ports")
}

/// The addresses of a network that nobody has.
struct Pool<'a> {
    tables: &'a Tables,
    network: &'a Network,
    /// First and last that may be given: the lowest is the network's, the next the gateway's, the highest is broadcast.
    bounds: (u32, u32),
    prefix: u8,
    given: BTreeSet<u32>,
}

impl<'a> Pool<'a> {
    fn of(tables: &'a Tables, network: &'a Network) -> Option<Self> {
        let subnet = network.subnet?;
        let (lowest, highest) = subnet.ipv4_bounds()?;
        let bounds = (lowest.checked_add(2)?, highest.checked_sub(1)?);
        (bounds.0 <= bounds.1).then(|| Self { tables, network, bounds, prefix: subnet.prefix, given: BTreeSet::new() })
    }

    fn take(&mut self, cursor: &mut Cursor) -> Option<Cidr> {
        let (first, last) = self.bounds;
        let after = cursor.address.saturating_add(1).max(first);
        let in_turn = (after..=last).chain(first..=last);
        let address = in_turn.into_iter().find(|address| self.is_free(*address))?;
        cursor.address = address;
        self.given.insert(address);
        Some(Cidr { address: IpAddr::V4(Ipv4Addr::from(address)), prefix: self.prefix })
    }

    fn is_free(&self, address: u32) -> bool {
        let held = self.tables.addresses().is_held(self.network.id, IpAddr::V4(Ipv4Addr::from(address)));
        !held && !self.given.contains(&address)
    }
}
