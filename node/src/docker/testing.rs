//! Objects of the swarm, for the tests of this module's files.

use std::sync::Arc;

use shoal_proto::model::{
    Id, Labels, Meta, Node, NodeDescription, NodeId, NodeSpec, NodeState, NodeStatus, PortStatus, Role, Service,
    ServiceId, ServiceSpec, Task, TaskId, TaskSpec, TaskState, TaskStatus, Timestamp, Version,
};

fn meta() -> Meta {
    Meta { version: Version(1), created_at: Timestamp(1_000_000_000), updated_at: Timestamp(2_000_000_000) }
}

/// A worker that is ready.
pub(super) fn node() -> Node {
    Node {
        id: NodeId::from_random(1),
        meta: meta(),
        spec: NodeSpec::default(),
        role: Role::Worker,
        description: NodeDescription { hostname: "host1".to_owned(), ..NodeDescription::default() },
        status: NodeStatus {
            state: NodeState::Ready,
            message: String::new(),
            address: String::new(),
            since: Timestamp(0),
        },
        manager: None,
        data_path_address: String::new(),
        ingress_address: None,
    }
}

/// A service `web` that runs `web:1`.
pub(super) fn service() -> Service {
    let mut spec = ServiceSpec { name: "web".to_owned(), ..ServiceSpec::default() };
    spec.labels.insert("tier".to_owned(), "front".to_owned());
    spec.task.container.image = "web:1".to_owned();
    Service {
        id: ServiceId::from_random(2),
        meta: meta(),
        spec,
        spec_version: Version(1),
        previous_spec: None,
        previous_spec_version: None,
        endpoint: Default::default(),
        update_status: None,
        job_iteration: None,
    }
}

/// Its task on that node.
pub(super) fn task(state: TaskState) -> Task {
    Task {
        id: TaskId::from_random(3),
        meta: meta(),
        spec: Arc::new(TaskSpec::default()),
        spec_version: Version(1),
        service: ServiceId::from_random(2),
        service_name: "web".to_owned(),
        service_labels: Labels::default(),
        slot: 1,
        node: Some(NodeId::from_random(1)),
        status: TaskStatus {
            timestamp: Timestamp(0),
            state,
            message: String::new(),
            error: String::new(),
            container_id: None,
            pid: None,
            exit: None,
            ports: PortStatus::default(),
            draining: false,
        },
        desired: TaskState::Running,
        host_ports: Vec::new(),
        attachments: Vec::new(),
        job_iteration: None,
    }
}
