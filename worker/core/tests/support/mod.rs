//! What the tests of the core share: tasks, assignments and ids made from small numbers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use shoal_proto::model::{
    AssignmentSet, Cidr, FileTarget, Id, LocalNetwork, Meta, NetworkAssignment, NetworkAttachment, NetworkId,
    NodeDescription, NodeId, PayloadAssignment, PayloadId, PayloadKind, PayloadReference, PayloadTarget, PortConfig,
    PortProtocol, PortStatus, PublishMode, SensitiveBytes, ServiceBackend, ServiceEndpoints, ServiceId, Task,
    TaskAssignment, TaskExit, TaskId, TaskSpec, TaskState, TaskStatus, Timestamp, Version,
};
use shoal_worker_core::ContainerExit;

/// This worker.
pub(crate) fn me() -> NodeId {
    NodeId::from_random(1)
}

/// What it says of itself.
pub(crate) fn description() -> NodeDescription {
    NodeDescription { hostname: "one".to_owned(), ..NodeDescription::default() }
}

/// Secret number `n`.
pub(crate) fn payload_id(n: u8) -> PayloadId {
    PayloadId::from_random(u128::from(n))
}

/// A secret as a worker is told it.
pub(crate) fn payload(n: u8) -> PayloadAssignment {
    PayloadAssignment { kind: PayloadKind::Secret, data: SensitiveBytes::from(vec![n]), template: None }
}

/// A task's wish for secret number `n`.
pub(crate) fn refer(assigned: &mut TaskAssignment, n: u8) {
    let target = FileTarget { name: format!("p{n}"), uid: 0, gid: 0, mode: 0o444 };
    let reference = PayloadReference {
        kind: PayloadKind::Secret,
        id: payload_id(n),
        name: format!("p{n}"),
        target: PayloadTarget::File(target),
    };
    Arc::make_mut(&mut assigned.task.spec).container.payloads.push(reference);
}

/// Task number `n`.
pub(crate) fn task_id(n: u8) -> TaskId {
    TaskId::from_random(u128::from(n))
}

/// Network number `n`.
pub(crate) fn network_id(n: u8) -> NetworkId {
    NetworkId::from_random(u128::from(n))
}

/// The one service.
pub(crate) fn service_id() -> ServiceId {
    ServiceId::from_random(1)
}

/// A time, in milliseconds.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp(ms * 1_000_000)
}

/// A task of the one service, on the host's network unless one is given.
pub(crate) fn task(n: u8, desired: TaskState, network: Option<u8>) -> TaskAssignment {
    let mut spec = TaskSpec::default();
    spec.container.image = "web:1".to_owned();
    spec.resources.limits.memory_bytes = 64 << 20;
    let attachments = network.map(|network| NetworkAttachment {
        network: network_id(network),
        address: Cidr { address: address(n), prefix: 24 },
        aliases: Vec::new(),
    });
    TaskAssignment {
        local_network: if network.is_none() { LocalNetwork::Host } else { LocalNetwork::Bridge },
        task: Task {
            id: task_id(n),
            meta: Meta::default(),
            spec: Arc::new(spec),
            spec_version: Version(1),
            service: service_id(),
            service_name: "web".to_owned(),
            service_labels: BTreeMap::new(),
            slot: u64::from(n),
            node: Some(me()),
            status: assigned(),
            desired,
            host_ports: Vec::new(),
            attachments: attachments.into_iter().collect(),
            job_iteration: None,
        },
    }
}

/// A network.
pub(crate) fn network(n: u8) -> NetworkAssignment {
    NetworkAssignment {
        encrypted: false,
        name: format!("n{n}"),
        ingress: true,
        subnet: Cidr { address: IpAddr::from([10, 0, n, 0]), prefix: 24 },
        vni: 4096 + u32::from(n),
        data_path_port: 4789,
        node_address: None,
        mtu: None,
        internal: false,
    }
}

/// Publishes the tasks given: their number, and whether they are this worker's.
pub(crate) fn publish(set: &mut AssignmentSet, backends: &[(u8, bool)]) {
    let other = NodeId::from_random(2);
    let backend = |n: u8, mine: bool| ServiceBackend { address: address(n), node: if mine { me() } else { other } };
    let backends = backends.iter().map(|(n, mine)| (task_id(*n), backend(*n, *mine))).collect();
    let service = ServiceEndpoints { name: "web".to_owned(), ports: Vec::new(), backends };
    set.services.insert(service_id(), service);
}

/// A TCP port of the one service, on every host.
pub(crate) fn publish_port(set: &mut AssignmentSet, port: u16) {
    let config = PortConfig {
        name: String::new(),
        protocol: PortProtocol::Tcp,
        target_port: port,
        published_port: port,
        mode: PublishMode::Ingress,
    };
    set.services.values_mut().for_each(|service| service.ports.push(config.clone()));
}

/// An end with this code.
pub(crate) fn exit(code: i32, oom_killed: bool, ms: i64) -> ContainerExit {
    let signal = (code > 128).then_some(code - 128);
    ContainerExit { exit: TaskExit { code, oom_killed }, signal, started_at: at(1), finished_at: at(ms) }
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 1, n])
}

fn assigned() -> TaskStatus {
    TaskStatus {
        timestamp: Timestamp::default(),
        state: TaskState::Assigned,
        message: String::new(),
        error: String::new(),
        container_id: None,
        pid: None,
        exit: None,
        ports: PortStatus::default(),
        draining: false,
    }
}
