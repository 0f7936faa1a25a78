//! The swarm's settings.

use shoal_api::types;
use shoal_proto::model::{CaConfig, Cluster, ClusterSpec, RaftConfig};

use super::word::{WordError, duration, meta, nanoseconds};

/// What a client wants the swarm's settings to be, over `base`: at `swarm init` the defaults, at an update nothing.
///
/// # Errors
/// [`WordError`], naming the field.
pub fn cluster_spec(spec: types::SwarmSpec, base: &ClusterSpec) -> Result<ClusterSpec, WordError> {
    refuse_absent(&spec)?;
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    let tick = |field: &str, value: i64, default: u64| match u64::try_from(value) {
        Ok(value) => Ok(or(value, default)),
        Err(_) => Err(WordError::new(field, value, "a number of zero or more is expected")),
    };
    let heartbeat = match spec.dispatcher.heartbeat_period {
        0 => base.heartbeat_period,
        period => duration("Spec.Dispatcher.HeartbeatPeriod", period)?,
    };
    let expiry = match spec.ca_config.node_cert_expiry {
        0 => base.ca.node_certificate_expiry,
        expiry => duration("Spec.CAConfig.NodeCertExpiry", expiry)?,
    };
    Ok(ClusterSpec {
        labels: spec.labels.into_iter().collect(),
        task_history_retention_limit: spec
            .orchestration
            .task_history_retention_limit
            .unwrap_or(base.task_history_retention_limit),
        raft: RaftConfig {
            snapshot_interval: or(spec.raft.snapshot_interval, base.raft.snapshot_interval),
            keep_old_snapshots: spec.raft.keep_old_snapshots.unwrap_or(base.raft.keep_old_snapshots),
            log_entries_for_slow_followers: or(
                spec.raft.log_entries_for_slow_followers,
                base.raft.log_entries_for_slow_followers,
            ),
            election_tick: tick("Spec.Raft.ElectionTick", spec.raft.election_tick, base.raft.election_tick)?,
            heartbeat_tick: tick("Spec.Raft.HeartbeatTick", spec.raft.heartbeat_tick, base.raft.heartbeat_tick)?,
        },
        heartbeat_period: heartbeat,
        ca: CaConfig { node_certificate_expiry: expiry },
        autolock_managers: false,
    })
}

fn refuse_absent(spec: &types::SwarmSpec) -> Result<(), WordError> {
    if !matches!(spec.name.as_str(), "" | "default") {
        return Err(WordError::new("Spec.Name", &spec.name, "the swarm's name is default"));
    }
    if spec.encryption_config.auto_lock_managers {
        return Err(WordError::absent("Spec.EncryptionConfig.AutoLockManagers", true));
    }
    if let Some(ca) = spec.ca_config.external_cas.first() {
        return Err(WordError::absent("Spec.CAConfig.ExternalCAs", &ca.url));
    }
    if !spec.ca_config.signing_ca_cert.is_empty() || !spec.ca_config.signing_ca_key.is_empty() {
        return Err(WordError::absent("Spec.CAConfig.SigningCACert", "a certificate"));
    }
    if spec.ca_config.force_rotate != 0 {
        return Err(WordError::absent("Spec.CAConfig.ForceRotate", spec.ca_config.force_rotate));
    }
    if let Some(driver) = &spec.task_defaults.log_driver {
        return Err(WordError::absent("Spec.TaskDefaults.LogDriver", &driver.name));
    }
    Ok(())
}

/// The swarm as Docker shows it.
#[must_use]
pub fn cluster_info(cluster: &Cluster, tls: types::TlsInfo) -> types::ClusterInfo {
    let shown = meta(cluster.meta);
    types::ClusterInfo {
        id: cluster.id.to_string(),
        version: shown.version,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
        spec: shown_spec(&cluster.spec),
        tls_info: tls,
        root_rotation_in_progress: false,
        default_addr_pool: cluster.default_address_pool.iter().map(ToString::to_string).collect(),
        subnet_size: u32::from(cluster.subnet_size),
        data_path_port: u32::from(cluster.data_path_port),
    }
}

fn shown_spec(spec: &ClusterSpec) -> types::SwarmSpec {
    let tick = |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX);
    types::SwarmSpec {
        name: "default".to_owned(),
        labels: spec.labels.clone().into_iter().collect(),
        orchestration: types::OrchestrationConfig {
            task_history_retention_limit: Some(spec.task_history_retention_limit),
        },
        raft: types::RaftConfig {
            snapshot_interval: spec.raft.snapshot_interval,
            keep_old_snapshots: Some(spec.raft.keep_old_snapshots),
            log_entries_for_slow_followers: spec.raft.log_entries_for_slow_followers,
            election_tick: tick(spec.raft.election_tick),
            heartbeat_tick: tick(spec.raft.heartbeat_tick),
        },
        dispatcher: types::DispatcherConfig { heartbeat_period: nanoseconds(spec.heartbeat_period) },
        ca_config: types::CaConfig {
            node_cert_expiry: nanoseconds(spec.ca.node_certificate_expiry),
            ..types::CaConfig::default()
        },
        task_defaults: types::TaskDefaults::default(),
        encryption_config: types::EncryptionConfig { auto_lock_managers: spec.autolock_managers },
    }
}

/// The tokens as Docker shows them.
#[must_use]
pub fn join_tokens(cluster: &Cluster) -> types::JoinTokens {
    types::JoinTokens { worker: cluster.join_tokens.worker.0.clone(), manager: cluster.join_tokens.manager.0.clone() }
}
