//! What may enter the store: every rule about requests, in one place.
//!
//! A check collects all that is wrong before it answers. Messages name the field, the value and the remedy; where people
//! and tools know swarm mode's words, they begin with these.

mod cluster;
mod image;
mod name;
mod network;
mod node;
mod payload;
mod payload_references;
mod ports;
mod service;
mod task;
mod templates;

pub(crate) use cluster::check_cluster;
pub(crate) use network::{check_network_removal, is_encrypted, place_network, wished_mtu};
pub(crate) use node::{check_node_removal, check_node_update};
pub(crate) use payload::{check_payload, check_payload_change, check_payload_removal};
pub(crate) use service::{check_service, check_service_change};

use shoal_proto::model::{ControlError, ControlErrorKind};

/// All that is wrong with a request.
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    fn add_if(&mut self, wrong: bool, problem: impl FnOnce() -> String) {
        if wrong {
            self.0.push(problem());
        }
    }

    fn into_result(self) -> Result<(), ControlError> {
        if self.0.is_empty() { Ok(()) } else { Err(ControlError::new(ControlErrorKind::Invalid, self.0.join("; "))) }
    }
}
