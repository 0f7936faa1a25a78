//! Nodes.

use shoal_api::types;
use shoal_proto::model::{Availability, NodeSpec, NodeState, NodeView, Reachability, Role};

use super::word::meta;

/// What a client wants of a node.
#[must_use]
pub fn node_spec(spec: types::NodeSpec) -> NodeSpec {
    NodeSpec {
        name: spec.name,
        labels: spec.labels.into_iter().collect(),
        role: match spec.role {
            types::NodeRole::Worker => Role::Worker,
            types::NodeRole::Manager => Role::Manager,
        },
        availability: availability(spec.availability),
    }
}

/// Whether a node gets tasks, from Docker's words.
#[must_use]
pub fn availability(availability: types::NodeAvailability) -> Availability {
    match availability {
        types::NodeAvailability::Active => Availability::Active,
        types::NodeAvailability::Pause => Availability::Pause,
        types::NodeAvailability::Drain => Availability::Drain,
    }
}

/// A node as Docker shows it; `tls` is what every node of the swarm trusts.
#[must_use]
pub fn node(view: NodeView, tls: &types::TlsInfo) -> types::Node {
    let node = view.node;
    let shown = meta(node.meta);
    let reachability = match view.reachability {
        Reachability::Unknown => types::Reachability::Unknown,
        Reachability::Unreachable => types::Reachability::Unreachable,
        Reachability::Reachable => types::Reachability::Reachable,
    };
    let leader = view.leader;
    let description = node.description;
    let plugin = |plugin: shoal_proto::model::Plugin| types::PluginDescription { kind: plugin.kind, name: plugin.name };
    types::Node {
        id: node.id.to_string(),
        version: shown.version,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
        spec: types::NodeSpec {
            name: node.spec.name,
            labels: node.spec.labels.into_iter().collect(),
            role: match node.spec.role {
                Role::Worker => types::NodeRole::Worker,
                Role::Manager => types::NodeRole::Manager,
            },
            availability: match node.spec.availability {
                Availability::Active => types::NodeAvailability::Active,
                Availability::Pause => types::NodeAvailability::Pause,
                Availability::Drain => types::NodeAvailability::Drain,
            },
        },
        description: types::NodeDescription {
            hostname: description.hostname,
            platform: types::Platform { architecture: description.platform.architecture, os: description.platform.os },
            resources: types::Resources {
                nano_cpus: description.resources.nano_cpus,
                memory_bytes: description.resources.memory_bytes,
                generic_resources: Vec::new(),
            },
            engine: types::EngineDescription {
                engine_version: description.engine_version,
                labels: description.engine_labels.into_iter().collect(),
                plugins: description.plugins.into_iter().map(plugin).collect(),
            },
            tls_info: tls.clone(),
        },
        status: types::NodeStatus {
            state: match node.status.state {
                NodeState::Unknown => types::NodeState::Unknown,
                NodeState::Down => types::NodeState::Down,
                NodeState::Ready => types::NodeState::Ready,
                NodeState::Disconnected => types::NodeState::Disconnected,
            },
            message: node.status.message,
            addr: node.status.address,
        },
        manager_status: node.manager.map(|manager| types::ManagerStatus {
            leader,
            reachability,
            addr: manager.address,
        }),
    }
}
