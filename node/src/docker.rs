//! Docker's words for the model, and back: the only place where the API's types meet the domain's.
//!
//! Inward, everything a client may say is either taken up or refused with the field's Docker name, the value and the
//! remedy ([`WordError`]); nothing is dropped in silence. Outward, every field is filled as Docker fills it, so that a
//! client that reads an object, changes one field and sends it back changes one field.

mod cluster;
mod container;
mod event;
mod local;
mod network;
mod network_use;
mod node;
mod secret;
mod service;
mod task;
mod task_spec;
#[cfg(test)]
mod testing;
mod word;

pub use cluster::{cluster_info, cluster_spec, join_tokens};
pub use event::{TASK_EVENT, swarm_events};
pub use local::{container_inspect, container_status, container_summary, health_status, is_on_network};
pub use network::{host_verification, network_resource, network_spec};
pub use network_use::{is_used, network_containers, network_peers, network_services, standing_network};
pub use node::{availability, node, node_spec};
pub use secret::{config, config_spec, secret, secret_spec};
pub use service::{service, service_spec};
pub use task::task;
pub use word::{WordError, timestamp};
