//! What clients wish for. Every service can become as wished on the hosts of a world, or its limit can be counted.

use std::time::Duration;

use shoal_proto::model::{
    ContainerSpec, EndpointMode, EndpointSpec, FailureAction, FileTarget, NetworkAttachmentSpec, PayloadId,
    PayloadKind, PayloadReference, PayloadSpec, PayloadTarget, Placement, PortConfig, PortProtocol, PublishMode,
    ResourceReservations, Resources, RestartPolicy, ServiceMode, ServiceSpec, TaskSpec, UpdateConfig, UpdateOrder,
};

use crate::draw::Draw;
use crate::limits::REPLICAS;

/// How many replicas a service is to have.
pub(super) fn replicas(draw: &mut Draw) -> u64 {
    draw.number(0..REPLICAS + 1)
}

/// An image by its number.
pub(super) fn image(version: u64) -> String {
    format!("registry.example/web:{version}")
}

/// The name of a network, which may be there or not.
pub(super) fn network(draw: &mut Draw) -> String {
    format!("net{}", draw.number(0..3))
}

/// The wish to be on it.
pub(super) fn on_network(target: String) -> NetworkAttachmentSpec {
    NetworkAttachmentSpec { target, aliases: vec!["alias".to_owned()], driver_options: Default::default() }
}

/// A secret or config of a client's, which may be there or not.
pub(super) fn payload(draw: &mut Draw, client: usize) -> (PayloadKind, String) {
    let kind = if draw.happens(500) { PayloadKind::Secret } else { PayloadKind::Config };
    (kind, format!("c{client}-p{}", draw.number(0..3)))
}

/// It, as it is to be.
pub(super) fn payload_spec(name: String) -> PayloadSpec {
    PayloadSpec { data: name.clone().into_bytes().into(), name, ..PayloadSpec::default() }
}

/// The wish to see it.
pub(super) fn refer(kind: PayloadKind, id: PayloadId, name: String) -> PayloadReference {
    let file = FileTarget { name: name.clone(), uid: 0, gid: 0, mode: 0o444 };
    PayloadReference { kind, id, name, target: PayloadTarget::File(file) }
}

/// A service for a client.
pub(super) fn service(draw: &mut Draw, name: String, client: usize) -> ServiceSpec {
    let mode =
        if draw.happens(150) { ServiceMode::Global } else { ServiceMode::Replicated { replicas: replicas(draw) } };
    let kind = draw.number(0..100);
    let on_host_network = kind < 8;
    let ports = match kind {
        8..40 => vec![port(draw, PublishMode::Ingress, client)],
        40..52 => vec![port(draw, PublishMode::Host, client)],
        _ => Vec::new(),
    };
    let host_port = ports.iter().any(|port| port.mode == PublishMode::Host);
    let max_replicas = if mode != ServiceMode::Global && draw.happens(100) { draw.number(1..4) } else { 0 };
    // A new task beside the old one needs room that a bound may not leave.
    let tight = host_port || max_replicas > 0;
    let mut networks = Vec::new();
    if on_host_network {
        networks.push(on_network("host".to_owned()));
    } else if draw.happens(400) {
        networks.push(on_network(network(draw)));
        let other = network(draw);
        if other != networks[0].target && draw.happens(300) {
            networks.push(on_network(other));
        }
    }
    let is_published = ports.iter().any(|port| port.mode == PublishMode::Ingress);
    let mode_of_names =
        if !is_published && draw.happens(200) { EndpointMode::DnsRoundRobin } else { EndpointMode::Vip };
    ServiceSpec {
        name,
        labels: Default::default(),
        task: TaskSpec {
            container: ContainerSpec { image: image(draw.number(0..6)), ..ContainerSpec::default() },
            resources: resources(draw),
            restart: RestartPolicy { delay: draw.millis(0..1_500), ..RestartPolicy::default() },
            placement: Placement { constraints: constraints(draw), max_replicas, ..Placement::default() },
            networks,
            ..TaskSpec::default()
        },
        mode,
        update: update(draw, tight),
        rollback: update(draw, tight),
        endpoint: EndpointSpec { ports, mode: mode_of_names },
    }
}

/// Few numbers, so that clients meet: a port that another service has is refused.
fn port(draw: &mut Draw, mode: PublishMode, client: usize) -> PortConfig {
    let published_port = match mode {
        PublishMode::Ingress if draw.happens(300) => 0,
        PublishMode::Ingress => 8_000 + u16::try_from(draw.number(0..8)).unwrap_or(0),
        PublishMode::Host => 9_000 + u16::try_from(client as u64 * 3 + draw.number(0..3)).unwrap_or(0),
    };
    let protocol = if draw.happens(100) { PortProtocol::Udp } else { PortProtocol::Tcp };
    PortConfig { name: String::new(), protocol, target_port: 80, published_port, mode }
}

fn resources(draw: &mut Draw) -> Resources {
    let reservations = if draw.happens(300) {
        ResourceReservations { nano_cpus: 50_000_000, memory_bytes: 64 << 20 }
    } else {
        ResourceReservations::default()
    };
    Resources { reservations, ..Resources::default() }
}

fn constraints(draw: &mut Draw) -> Vec<String> {
    let constraint = match draw.number(0..100) {
        0..8 => "node.role == worker",
        8..12 => "node.role==manager",
        12..18 => "node.labels.zone == a",
        18..24 => "node.labels.zone != b",
        24..30 => "engine.labels.disk == ssd",
        30..33 => "node.hostname != h7",
        33..35 => "node.platform.os == plan9",
        _ => return Vec::new(),
    };
    vec![constraint.to_owned()]
}

fn update(draw: &mut Draw, tight: bool) -> UpdateConfig {
    let failure_action = match draw.number(0..10) {
        0..5 => FailureAction::Pause,
        5..8 => FailureAction::Continue,
        _ => FailureAction::Rollback,
    };
    let start_first = !tight && draw.happens(400);
    UpdateConfig {
        parallelism: draw.number(0..4),
        delay: if draw.happens(500) { Duration::ZERO } else { draw.millis(10..400) },
        failure_action,
        monitor: draw.millis(100..2_000),
        max_failure_ratio: if draw.happens(300) { 0.3 } else { 0.0 },
        order: if start_first { UpdateOrder::StartFirst } else { UpdateOrder::StopFirst },
    }
}
