//! The swarm's settings.

use shoal_proto::model::{ClusterSpec, ControlError};

use super::Problems;
use crate::limits::{CERTIFICATE_LIFETIME_MIN, HEARTBEAT_MIN};

/// Whether these settings may be the swarm's. Zero values mean the defaults.
pub(crate) fn check_cluster(spec: &ClusterSpec) -> Result<(), ControlError> {
    let mut problems = Problems::default();
    let expiry = spec.ca.node_certificate_expiry;
    problems.add_if(!expiry.is_zero() && expiry < CERTIFICATE_LIFETIME_MIN, || {
        format!("minimum certificate expiry time is 1h0m0s: NodeCertExpiry is {expiry:?}")
    });
    let period = spec.heartbeat_period;
    problems.add_if(!period.is_zero() && period < HEARTBEAT_MIN, || {
        format!(
            "Dispatcher.HeartbeatPeriod {period:?} is too short: use at least {HEARTBEAT_MIN:?}, or 0 for the default"
        )
    });
    problems.add_if(spec.autolock_managers, || {
        "EncryptionConfig.AutoLockManagers true is not supported yet: leave it false".to_owned()
    });
    problems.into_result()
}
