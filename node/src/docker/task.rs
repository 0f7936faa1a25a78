//! Tasks.

use std::collections::BTreeMap;

use shoal_api::types;
use shoal_proto::model::{Network, NetworkId, Task, TaskState, TaskStatus};

use super::network::attached_network;
use super::service::shown_port;
use super::task_spec::shown_task_spec;
use super::word::{meta, timestamp, version};

/// A task as Docker shows it; `networks` are those of the swarm, for what it is attached to.
#[must_use]
pub fn task(task: Task, networks: &BTreeMap<NetworkId, Network>) -> types::Task {
    let shown = meta(task.meta);
    let attachments = task.attachments.iter().filter_map(|attachment| {
        let network = networks.get(&attachment.network)?;
        Some(types::NetworkAttachment {
            network: attached_network(network),
            addresses: vec![attachment.address.to_string()],
        })
    });
    types::Task {
        id: task.id.to_string(),
        version: shown.version,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
        name: String::new(),
        labels: types::StringMap::default(),
        networks_attachments: attachments.collect(),
        spec: shown_task_spec((*task.spec).clone()),
        service_id: task.service.to_string(),
        slot: task.shown_slot(),
        node_id: task.node.map(|node| node.to_string()).unwrap_or_default(),
        status: status(task.status),
        desired_state: state(task.desired),
        generic_resources: Vec::new(),
        job_iteration: task.job_iteration.map(version),
        volumes: Vec::new(),
    }
}

fn status(status: TaskStatus) -> types::TaskStatus {
    let known = status.container_id.is_some() || status.pid.is_some() || status.exit.is_some();
    let container = types::ContainerStatus {
        container_id: status.container_id.unwrap_or_default(),
        pid: status.pid.map_or(0, i64::from),
        exit_code: status.exit.map_or(0, |exit| i64::from(exit.code)),
    };
    types::TaskStatus {
        timestamp: timestamp(status.timestamp),
        state: state(status.state),
        message: status.message,
        err: status.error,
        container_status: known.then_some(container),
        port_status: types::PortStatus { ports: status.ports.ports.into_iter().map(shown_port).collect() },
    }
}

/// A state in Docker's words.
pub(super) fn state(state: TaskState) -> types::TaskState {
    match state {
        TaskState::New => types::TaskState::New,
        TaskState::Pending => types::TaskState::Pending,
        TaskState::Assigned => types::TaskState::Assigned,
        TaskState::Accepted => types::TaskState::Accepted,
        TaskState::Preparing => types::TaskState::Preparing,
        TaskState::Ready => types::TaskState::Ready,
        TaskState::Starting => types::TaskState::Starting,
        TaskState::Running => types::TaskState::Running,
        TaskState::Complete => types::TaskState::Complete,
        TaskState::Shutdown => types::TaskState::Shutdown,
        TaskState::Failed => types::TaskState::Failed,
        TaskState::Rejected => types::TaskState::Rejected,
        TaskState::Remove => types::TaskState::Remove,
        TaskState::Orphaned => types::TaskState::Orphaned,
    }
}
