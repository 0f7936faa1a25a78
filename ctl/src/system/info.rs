//! `shoal info`.

use std::fmt::{self, Write};

use serde_json::Value;
use shoal_api::types::{LocalNodeState, SwarmInfo, SystemInfo};

use super::command::FormatArgs;
use crate::error::{EXIT_DONE, Error};
use crate::flags::duration::Nanoseconds;
use crate::output::console::{note, print};
use crate::output::{Inspection, human};
use crate::transport::Client;

pub(crate) async fn info(args: FormatArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let answer: Value = client.get("/info", ACTION).fetch().await?;
    if let Inspection::Pretty = inspection {
        let info: SystemInfo =
            serde_json::from_value(answer).map_err(|source| Error::Answer { action: ACTION, source: source.into() })?;
        print(&pretty(&info))?;
        info.warnings.iter().flatten().for_each(|warning| note(warning));
    } else {
        print(&inspection.render(&[answer])?)?;
    }
    Ok(EXIT_DONE)
}

fn pretty(info: &SystemInfo) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _infallible = write_info(&mut text, info);
    text
}

fn write_info(out: &mut String, info: &SystemInfo) -> fmt::Result {
    writeln!(out, "Client: Shoal\n Version:    {}\n\nServer:", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, " Containers: {}", info.containers)?;
    writeln!(
        out,
        "  Running: {}\n  Paused: {}\n  Stopped: {}",
        info.containers_running, info.containers_paused, info.containers_stopped
    )?;
    writeln!(out, " Images: {}", info.images)?;
    writeln!(out, " Server Version: {}", info.server_version)?;
    writeln!(out, " Storage Driver: {}", info.driver)?;
    for [name, value] in &info.driver_status {
        writeln!(out, "  {name}: {value}")?;
    }
    writeln!(out, " Logging Driver: {}", info.logging_driver)?;
    writeln!(out, " Cgroup Driver: {}\n Cgroup Version: {}", info.cgroup_driver, info.cgroup_version)?;
    write_swarm(out, &info.swarm)?;
    writeln!(out, " Default Runtime: {}", info.default_runtime)?;
    writeln!(out, " Kernel Version: {}", info.kernel_version)?;
    writeln!(out, " Operating System: {}", info.operating_system)?;
    writeln!(out, " OSType: {}\n Architecture: {}", info.os_type, info.architecture)?;
    writeln!(out, " CPUs: {}\n Total Memory: {}", info.n_cpu, human::size_binary(info.mem_total))?;
    writeln!(out, " Name: {}\n ID: {}", info.name, info.id)?;
    writeln!(out, " Data Root Dir: {}\n Debug Mode: {}", info.docker_root_dir, info.debug)?;
    if !info.labels.is_empty() {
        writeln!(out, " Labels:")?;
    }
    for label in &info.labels {
        writeln!(out, "  {label}")?;
    }
    let insecure: Vec<&String> =
        info.registry_config.index_configs.iter().filter(|(_, index)| !index.secure).map(|(name, _)| name).collect();
    if !insecure.is_empty() || !info.registry_config.insecure_registry_cidrs.is_empty() {
        writeln!(out, " Insecure Registries:")?;
    }
    for registry in insecure.into_iter().chain(&info.registry_config.insecure_registry_cidrs) {
        writeln!(out, "  {registry}")?;
    }
    Ok(())
}

fn write_swarm(out: &mut String, swarm: &SwarmInfo) -> fmt::Result {
    writeln!(out, " Swarm: {}", swarm.local_node_state.as_str())?;
    if matches!(swarm.local_node_state, LocalNodeState::Inactive | LocalNodeState::Locked) {
        return Ok(());
    }
    writeln!(out, "  NodeID: {}", swarm.node_id)?;
    if !swarm.error.is_empty() {
        writeln!(out, "  Error: {}", swarm.error)?;
    }
    writeln!(out, "  Is Manager: {}", swarm.control_available)?;
    if let Some(cluster) = swarm.cluster.as_ref().filter(|_| swarm.control_available) {
        writeln!(out, "  ClusterID: {}\n  Managers: {}\n  Nodes: {}", cluster.id, swarm.managers, swarm.nodes)?;
        if let Some(limit) = cluster.spec.orchestration.task_history_retention_limit {
            writeln!(out, "  Orchestration:\n   Task History Retention Limit: {limit}")?;
        }
        writeln!(out, "  Raft:\n   Snapshot Interval: {}", cluster.spec.raft.snapshot_interval)?;
        writeln!(out, "  Dispatcher:\n   Heartbeat Period: {}", Nanoseconds(cluster.spec.dispatcher.heartbeat_period))?;
        writeln!(
            out,
            "  CA Configuration:\n   Expiry Duration: {}",
            Nanoseconds(cluster.spec.ca_config.node_cert_expiry)
        )?;
        writeln!(out, "  Autolock Managers: {}", cluster.spec.encryption_config.auto_lock_managers)?;
    }
    writeln!(out, "  Node Address: {}", swarm.node_addr)?;
    let mut managers: Vec<&str> = swarm.remote_managers.iter().flatten().map(|peer| peer.addr.as_str()).collect();
    managers.sort_unstable();
    if !managers.is_empty() {
        writeln!(out, "  Manager Addresses:")?;
    }
    for manager in managers {
        writeln!(out, "   {manager}")?;
    }
    Ok(())
}

const ACTION: &str = "read the state of the daemon";
