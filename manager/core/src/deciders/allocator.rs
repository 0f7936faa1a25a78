//! Gives out what the swarm has one of: published ports, and addresses on its networks.
//!
//! What is given is written in the objects that hold it and counted by the tables' indexes; nothing is kept here, so
//! that nothing can leak. Numbers are given in turn, so that one that was freed is not at once another's. Subnets are
//! chosen with their network, in [`super::subnet`].

mod pool;

use std::collections::BTreeSet;
use std::sync::Arc;

use shoal_proto::model::{
    Endpoint, EndpointMode, Network, NetworkAttachment, NetworkAttachmentSpec, NetworkDriver, NetworkId, PortConfig,
    PortProtocol, PublishMode, Service, ServiceId, Task, TaskSpec, VirtualIp,
};

use super::plan::{Plan, Step};
use crate::limits::DYNAMIC_PORTS;
use crate::store::Tables;
pub use pool::Cursor;
use pool::Pools;

/// Whether the service is answered on every host.
#[must_use]
pub fn needs_ingress(service: &Service) -> bool {
    service.spec.endpoint.ports.iter().any(|port| port.mode == PublishMode::Ingress)
}

/// The overlay networks that tasks of this spec are on beside the ingress, in the order of the wishes.
pub fn overlays<'a>(
    tables: &'a Tables,
    spec: &'a TaskSpec,
) -> impl Iterator<Item = (&'a Arc<Network>, &'a NetworkAttachmentSpec)> {
    let found = spec.networks.iter().filter_map(|wish| Some((tables.network_wished(&wish.target)?, wish)));
    found.filter(|(network, _)| network.spec.driver == NetworkDriver::Overlay && !network.spec.ingress)
}

/// The ports and the addresses of one service. What it got before, it keeps.
#[must_use]
pub fn decide_service(tables: &Tables, service: &Service, cursor: &mut Cursor) -> Plan {
    let mut plan = Plan::default();
    if is_served(tables, service) {
        return plan;
    }
    let Some(ports) = numbered_ports(tables, service, cursor) else { return plan };
    let Some(virtual_ips) = virtual_ips(tables, service, cursor) else { return plan };
    let endpoint = Endpoint { spec: service.spec.endpoint.clone(), ports, virtual_ips };
    plan.push(Step::Publish { service: service.id, endpoint: Box::new(endpoint) });
    plan
}

/// The ports as wished with all numbers chosen; `None`: not all can be had.
fn numbered_ports(tables: &Tables, service: &Service, cursor: &mut Cursor) -> Option<Vec<PortConfig>> {
    let mut taken: BTreeSet<(PortProtocol, u16)> = BTreeSet::new();
    let given = service.spec.endpoint.ports.iter().filter(|port| port.published_port != 0);
    taken.extend(given.map(|port| (port.protocol, port.published_port)));
    // A rollback may ask for a port that went to another service meanwhile.
    if service.spec.endpoint.ports.iter().any(|port| is_of_another(tables, service.id, port)) {
        return None;
    }
    let mut ports = Vec::new();
    for wish in &service.spec.endpoint.ports {
        let mut port = wish.clone();
        if port.mode == PublishMode::Ingress && port.published_port == 0 {
            let kept = kept_port(service, wish).filter(|number| !taken.contains(&(wish.protocol, *number)));
            port.published_port = kept.or_else(|| free_port(tables, service.id, (wish.protocol, &taken), cursor))?;
            taken.insert((port.protocol, port.published_port));
        }
        ports.push(port);
    }
    Some(ports)
}

/// One address for each of the service's networks; `None`: one has none left.
fn virtual_ips(tables: &Tables, service: &Service, cursor: &mut Cursor) -> Option<Vec<VirtualIp>> {
    let mut pools = Pools::new(tables);
    let give = |network: NetworkId| {
        let kept = service.endpoint.virtual_ips.iter().find(|held| held.network == network).cloned();
        kept.or_else(|| Some(VirtualIp { network, address: pools.take(network, cursor)? }))
    };
    wished_vips(tables, service).map(give).collect()
}

/// The networks on which the service should have an address of its own.
fn wished_vips<'a>(tables: &'a Tables, service: &'a Service) -> impl Iterator<Item = NetworkId> + 'a {
    let has_vip = service.spec.endpoint.mode == EndpointMode::Vip;
    overlays(tables, &service.spec.task).filter(move |_| has_vip).map(|(network, _)| network.id)
}

fn is_of_another(tables: &Tables, own: ServiceId, port: &PortConfig) -> bool {
    port.mode == PublishMode::Ingress
        && port.published_port != 0
        && tables.publisher(port.protocol, port.published_port).is_some_and(|owner| owner != own)
}

/// Whether the service has all that the present wish asks for.
fn is_served(tables: &Tables, service: &Service) -> bool {
    has_ports(service) && wished_vips(tables, service).eq(service.endpoint.virtual_ips.iter().map(|held| held.network))
}

fn has_ports(service: &Service) -> bool {
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
    let Some(ingress) = tables.ingress().map(|network| network.id) else { return plan };
    let mut pools = Pools::new(tables);
    for node in tables.nodes().filter(|node| node.ingress_address.is_none()) {
        let Some(address) = pools.take(ingress, cursor) else { break };
        plan.push(Step::Address { node: node.id, address });
    }
    plan
}

/// The addresses of tasks that were just made: with them, or without need of them, tasks wait for a node.
#[must_use]
pub fn decide_tasks(tables: &Tables, cursor: &mut Cursor) -> Plan {
    let mut plan = Plan::default();
    let mut pools = Pools::new(tables);
    for task in tables.fresh_tasks().filter(|task| super::condition::is_live(task)) {
        let Some(service) = tables.service(task.service) else {
            plan.push(Step::Admit { task: task.id, attachments: Vec::new() });
            continue;
        };
        match attachments(tables, (service, task), &mut pools, cursor) {
            Ok(attachments) => plan.push(Step::Admit { task: task.id, attachments }),
            Err(shortage) if shortage == task.status.error => {}
            Err(error) => plan.push(Step::Explain { task: task.id, error }),
        }
    }
    plan
}

/// An address on each network that the task needs, or what is missing and what helps.
fn attachments(
    tables: &Tables,
    (service, task): (&Service, &Task),
    pools: &mut Pools<'_>,
    cursor: &mut Cursor,
) -> Result<Vec<NetworkAttachment>, String> {
    let published = needs_ingress(service);
    let mut wishes: Vec<(&Network, &[String])> = Vec::new();
    if published {
        let ingress = tables.ingress().ok_or("service needs ingress network, but no ingress network is present")?;
        wishes.push((ingress, &[]));
    }
    for wish in &task.spec.networks {
        let is_local = matches!(wish.target.as_str(), "host" | "bridge" | "none");
        if !is_local && tables.network_wished(&wish.target).is_none() {
            let target = &wish.target;
            return Err(format!("network {target} was removed: update the service to networks that are there"));
        }
    }
    wishes.extend(overlays(tables, &task.spec).map(|(network, wish)| (&**network, wish.aliases.as_slice())));
    if !wishes.is_empty() && !is_served(tables, service) {
        return Err(shortage_of_service(tables, service));
    }
    let mut held = Vec::new();
    for (network, aliases) in wishes {
        let Some(address) = pools.take(network.id, cursor) else {
            pools.give_back(&held);
            return Err(pools.shortage(network));
        };
        held.push(NetworkAttachment { network: network.id, address, aliases: aliases.to_vec() });
    }
    Ok(held)
}

/// What a service lacks, and what helps.
fn shortage_of_service(tables: &Tables, service: &Service) -> String {
    let taken = service.spec.endpoint.ports.iter().find(|port| is_of_another(tables, service.id, port));
    if let Some(port) = taken {
        return format!("port {} is published by another service: choose another one", port.published_port);
    }
    if !has_ports(service) {
        let (first, last) = DYNAMIC_PORTS.into_inner();
        return format!("no free port: all of {first}-{last} are published; name a port, or remove a service");
    }
    let lacks = |network: &NetworkId| !service.endpoint.virtual_ips.iter().any(|held| held.network == *network);
    let network = wished_vips(tables, service).find(lacks).and_then(|network| tables.network(network));
    network.map_or_else(
        || "the service's addresses are being chosen".to_owned(),
        |network| Pools::new(tables).shortage(network),
    )
}
