//! Networks that people ask for.

use shoal_proto::model::{ControlError, ControlErrorKind, Network, NetworkSpec};

/// Only the networks of the swarm's making exist so far.
pub(crate) fn refuse_creation(spec: &NetworkSpec) -> ControlError {
    let text = format!(
        "network '{}' can't be created: networks of the user's own are not supported yet; services can use ingress ports \
         and the networks host, bridge and none",
        spec.name
    );
    ControlError::new(ControlErrorKind::FailedPrecondition, text)
}

/// The swarm's own networks stay.
pub(crate) fn refuse_removal(network: &Network) -> ControlError {
    let text = format!("{} is a pre-defined network and cannot be removed", network.spec.name);
    ControlError::new(ControlErrorKind::FailedPrecondition, text)
}
