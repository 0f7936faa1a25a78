//! What holds for the whole swarm: the flags that `init` and `update` share, and `shoal swarm update`.

use clap::Args;
use shoal_api::types::SwarmSpec;

use super::command::{fetch, fetch_unlock_key, unlock_text};
use crate::error::Error;
use crate::flags::FlagError;
use crate::flags::duration::Nanoseconds;
use crate::output::console::{print, print_line};
use crate::transport::Client;

/// Settings of the swarm, each absent unless given.
#[derive(Args, Debug, Default)]
pub(crate) struct SettingsFlags {
    /// Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)
    #[arg(long, value_name = "duration")]
    cert_expiry: Option<Nanoseconds>,
    /// Dispatcher heartbeat period (ns|us|ms|s|m|h)
    #[arg(long, value_name = "duration")]
    dispatcher_heartbeat: Option<Nanoseconds>,
    /// Number of additional Raft snapshots to retain
    #[arg(long, value_name = "uint")]
    max_snapshots: Option<u64>,
    /// Number of log entries between Raft snapshots (default 10000)
    #[arg(long, value_name = "uint")]
    snapshot_interval: Option<u64>,
    /// Task history retention limit (default 5)
    #[arg(long, value_name = "int")]
    task_history_limit: Option<i64>,
}

#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    /// Change manager autolocking setting (true|false)
    #[arg(long)]
    autolock: Option<bool>,
    #[command(flatten)]
    settings: SettingsFlags,
}

impl SettingsFlags {
    /// Changes what was given.
    pub(super) fn apply(&self, spec: &mut SwarmSpec) {
        if let Some(expiry) = self.cert_expiry {
            spec.ca_config.node_cert_expiry = expiry.0;
        }
        if let Some(period) = self.dispatcher_heartbeat {
            spec.dispatcher.heartbeat_period = period.0;
        }
        if let Some(count) = self.max_snapshots {
            spec.raft.keep_old_snapshots = Some(count);
        }
        if let Some(entries) = self.snapshot_interval {
            spec.raft.snapshot_interval = entries;
        }
        if let Some(limit) = self.task_history_limit {
            spec.orchestration.task_history_retention_limit = Some(limit);
        }
    }
}

/// `shoal swarm update`.
pub(crate) async fn update(args: UpdateArgs, client: &Client) -> Result<(), Error> {
    let swarm = fetch(client).await?;
    let mut spec = swarm.cluster.spec.clone();
    args.settings.apply(&mut spec);
    let locked = spec.encryption_config.auto_lock_managers;
    spec.encryption_config.auto_lock_managers = args.autolock.unwrap_or(locked);
    if args.autolock.is_none() && spec == swarm.cluster.spec && !args.settings.given() {
        return Err(FlagError::NothingToChange.into());
    }
    send(client, swarm.cluster.version.index, &spec, Rotation::default()).await?;
    print_line("Swarm updated.")?;
    if spec.encryption_config.auto_lock_managers && !locked {
        print(&unlock_text(&fetch_unlock_key(client).await?))?;
    }
    Ok(())
}

impl SettingsFlags {
    fn given(&self) -> bool {
        let times = self.cert_expiry.is_some() || self.dispatcher_heartbeat.is_some();
        let counts = self.max_snapshots.is_some() || self.snapshot_interval.is_some();
        times || counts || self.task_history_limit.is_some()
    }
}

/// Which join tokens an update replaces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rotation {
    pub(super) worker: bool,
    pub(super) manager: bool,
}

/// Posts a spec for the version that was read.
pub(super) async fn send(client: &Client, version: u64, spec: &SwarmSpec, rotation: Rotation) -> Result<(), Error> {
    let call = client.post("/swarm/update", "update the swarm").query("version", version.to_string());
    let call = call.query("rotateWorkerToken", rotation.worker.to_string());
    let call = call.query("rotateManagerToken", rotation.manager.to_string());
    call.query("rotateManagerUnlockKey", "false").json(spec).done().await
}
