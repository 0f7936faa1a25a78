//! Containers of this host.

use shoal_api::types::{
    self, ContainerHealth, ContainerInspect, ContainerNetworkSettings, ContainerState, ContainerSummary, Empty,
    EndpointSettings, HealthLogEntry, HostConfig, LogConfig, MountPoint, PortBinding, PortSummary, SummaryHostConfig,
    SummaryNetworkSettings,
};
use shoal_proto::model::{PortProtocol, Timestamp};
use shoal_worker::container::{
    ContainerInterface, ContainerLife, ContainerRecord, ContainerView, Health, HealthResult, HealthStatus,
};

use super::word::timestamp;

/// created, running, exited or dead: how far a container is, in Docker's word.
#[must_use]
pub fn container_status(life: &ContainerLife) -> &'static str {
    match life {
        ContainerLife::Created { .. } => "created",
        ContainerLife::Running { .. } => "running",
        ContainerLife::Exited(_) => "exited",
        ContainerLife::Lost | ContainerLife::Removed => "dead",
    }
}

/// A container as `ps` shows it at the time `now`.
#[must_use]
pub fn container_summary(view: &ContainerView, health: &Health, now: Timestamp) -> ContainerSummary {
    let record = &view.record;
    ContainerSummary {
        id: record.id.clone(),
        names: vec![format!("/{}", record.name)],
        image: record.image.clone(),
        image_id: record.image_id.clone(),
        command: record.command.join(" "),
        created: record.created_at.0.div_euclid(1_000_000_000),
        ports: record
            .network
            .ports
            .iter()
            .map(|port| PortSummary {
                ip: "0.0.0.0".to_owned(),
                private_port: port.target_port,
                public_port: port.published_port,
                kind: protocol(port.protocol).to_owned(),
            })
            .collect(),
        labels: record.config.labels.clone().into_iter().collect(),
        state: container_status(&view.life).to_owned(),
        status: format!("{}{}", status_text(&view.life, now), health_text(&view.life, health)),
        host_config: SummaryHostConfig { network_mode: record.network.mode.clone() },
        network_settings: SummaryNetworkSettings { networks: networks(record) },
        mounts: mounts(record),
        ..ContainerSummary::default()
    }
}

/// A container as `inspect` shows it.
#[must_use]
pub fn container_inspect(view: &ContainerView, execs: Vec<String>, health: Health) -> ContainerInspect {
    let record = &view.record;
    let mut command = record.command.iter().cloned();
    ContainerInspect {
        id: record.id.clone(),
        created: timestamp(record.created_at),
        path: command.next().unwrap_or_default(),
        args: command.collect(),
        state: ContainerState { health: shown_health(health), ..state(&view.life) },
        image: record.image_id.clone(),
        log_path: record.log.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        name: format!("/{}", record.name),
        driver: "overlay2".to_owned(),
        platform: "linux".to_owned(),
        exec_ids: (!execs.is_empty()).then_some(execs),
        host_config: host_config(record),
        mounts: mounts(record),
        config: config(record),
        network_settings: ContainerNetworkSettings {
            sandbox_id: record.id.clone(),
            sandbox_key: record.network.namespace.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            ip_address: networks(record).into_values().next().unwrap_or_default().ip_address,
            ports: record
                .network
                .ports
                .iter()
                .map(|port| {
                    let binding =
                        PortBinding { host_ip: "0.0.0.0".to_owned(), host_port: port.published_port.to_string() };
                    (format!("{}/{}", port.target_port, protocol(port.protocol)), Some(vec![binding]))
                })
                .collect(),
            networks: networks(record),
            ..ContainerNetworkSettings::default()
        },
        ..ContainerInspect::default()
    }
}

/// Docker's word for what checks say.
#[must_use]
pub fn health_status(health: &Health) -> &'static str {
    match health.status {
        HealthStatus::None => "none",
        HealthStatus::Starting => "starting",
        HealthStatus::Healthy => "healthy",
        HealthStatus::Unhealthy => "unhealthy",
    }
}

/// What stands behind the state of a container that has checks and runs.
fn health_text(life: &ContainerLife, health: &Health) -> &'static str {
    match health.status {
        HealthStatus::Starting if life.is_running() => " (health: starting)",
        HealthStatus::Healthy if life.is_running() => " (healthy)",
        HealthStatus::Unhealthy if life.is_running() => " (unhealthy)",
        _ => "",
    }
}

fn shown_health(health: Health) -> Option<ContainerHealth> {
    if health.status == HealthStatus::None {
        return None;
    }
    let status = health_status(&health).to_owned();
    let entry = |result: HealthResult| HealthLogEntry {
        start: timestamp(result.start),
        end: timestamp(result.end),
        exit_code: i64::from(result.exit_code),
        output: result.output,
    };
    let log = health.log.into_iter().map(entry).collect();
    Some(ContainerHealth { status, failing_streak: i64::from(health.failing_streak), log })
}

fn state(life: &ContainerLife) -> ContainerState {
    let state = ContainerState { status: container_status(life).to_owned(), ..ContainerState::default() };
    match life {
        ContainerLife::Created { pid } => ContainerState { pid: i64::from(*pid), ..state },
        ContainerLife::Running { pid, started_at } => {
            ContainerState { running: true, pid: i64::from(*pid), started_at: timestamp(*started_at), ..state }
        }
        ContainerLife::Exited(end) => ContainerState {
            oom_killed: end.oom_killed,
            exit_code: i64::from(end.code),
            error: end.error.clone(),
            started_at: timestamp(end.started_at),
            finished_at: timestamp(end.finished_at),
            ..state
        },
        ContainerLife::Lost | ContainerLife::Removed => ContainerState { dead: true, ..state },
    }
}

fn config(record: &ContainerRecord) -> types::ContainerConfig {
    let keys = |names: &[String]| names.iter().map(|name| (name.clone(), Empty {})).collect();
    let merged = &record.config;
    types::ContainerConfig {
        hostname: record.hostname.clone(),
        user: merged.user.clone(),
        exposed_ports: keys(&merged.exposed_ports),
        tty: record.tty,
        open_stdin: record.open_stdin,
        env: merged.env.clone(),
        cmd: merged.cmd.clone(),
        image: record.image.clone(),
        volumes: (!merged.volumes.is_empty()).then(|| keys(&merged.volumes)),
        working_dir: merged.working_dir.clone(),
        entrypoint: merged.entrypoint.clone(),
        labels: merged.labels.clone().into_iter().collect(),
        stop_signal: merged.stop_signal.clone(),
        stop_timeout: i64::try_from(record.stop_timeout_s).ok(),
        ..types::ContainerConfig::default()
    }
}

fn host_config(record: &ContainerRecord) -> HostConfig {
    let (limits, reservations) = (record.resources.limits, record.resources.reservations);
    let listed = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    HostConfig {
        log_config: LogConfig {
            kind: record.log.driver.clone(),
            config: record.log.options.clone().into_iter().collect(),
        },
        network_mode: record.network.mode.clone(),
        cap_add: listed(&record.capabilities.0),
        cap_drop: listed(&record.capabilities.1),
        cgroup_ns_mode: "private".to_owned(),
        ipc_mode: "private".to_owned(),
        readonly_rootfs: record.read_only,
        runtime: "shoal".to_owned(),
        memory: limits.memory_bytes,
        memory_reservation: reservations.memory_bytes,
        nano_cpus: limits.nano_cpus,
        pids_limit: (limits.pids != 0).then_some(limits.pids),
        init: record.init.then_some(true),
        ..HostConfig::default()
    }
}

fn mounts(record: &ContainerRecord) -> Vec<MountPoint> {
    let shown = |mount: &shoal_worker::container::MountPoint| MountPoint {
        kind: mount.kind.clone(),
        name: mount.name.clone().unwrap_or_default(),
        source: mount.source.display().to_string(),
        destination: mount.target.clone(),
        driver: if mount.kind == "volume" { "local".to_owned() } else { String::new() },
        read_write: mount.writable,
        propagation: mount.propagation.clone(),
        ..MountPoint::default()
    };
    record.mounts.iter().map(shown).collect()
}

/// By name. The bridge is a container's network only where it has no other; beside others it is but the way out.
fn networks(record: &ContainerRecord) -> std::collections::BTreeMap<String, EndpointSettings> {
    let all = &record.network.interfaces;
    if all.is_empty() {
        return [(record.network.mode.clone(), EndpointSettings::default())].into();
    }
    let is_bridge = |interface: &&ContainerInterface| interface.network == "bridge";
    let shown = all.iter().filter(|interface| all.len() == 1 || !is_bridge(interface));
    let settings = |interface: &ContainerInterface| EndpointSettings {
        network_id: interface.network.clone(),
        ip_address: interface.address.address.to_string(),
        ip_prefix_len: interface.address.prefix,
        ..EndpointSettings::default()
    };
    shown.map(|interface| (interface.name.clone(), settings(interface))).collect()
}

/// Whether a container is on the network of that name or id.
#[must_use]
pub fn is_on_network(record: &ContainerRecord, network: &str) -> bool {
    networks(record).iter().any(|(name, settings)| name == network || settings.network_id == network)
}

fn protocol(protocol: PortProtocol) -> &'static str {
    match protocol {
        PortProtocol::Tcp => "tcp",
        PortProtocol::Udp => "udp",
        PortProtocol::Sctp => "sctp",
    }
}

/// `Up 5 minutes`, `Exited (0) 2 hours ago`, in Docker's words.
fn status_text(life: &ContainerLife, now: Timestamp) -> String {
    match life {
        ContainerLife::Created { .. } => "Created".to_owned(),
        ContainerLife::Running { started_at, .. } => format!("Up {}", span(now, *started_at)),
        ContainerLife::Exited(end) => format!("Exited ({}) {} ago", end.code, span(now, end.finished_at)),
        ContainerLife::Lost | ContainerLife::Removed => "Dead".to_owned(),
    }
}

/// A span of time as Docker's clients write it.
fn span(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..=59 => format!("{seconds} seconds"),
        60..=119 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours < 2 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if days < 14 => format!("{days} days"),
        _ if days < 60 => format!("{} weeks", days / 7),
        _ if days < 730 => format!("{} months", days / 30),
        _ => format!("{} years", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_dockers() {
        let ago = |seconds: i64| span(Timestamp(seconds * 1_000_000_000), Timestamp(0));
        assert_eq!(ago(0), "Less than a second");
        assert_eq!(ago(59), "59 seconds");
        assert_eq!(ago(61), "About a minute");
        assert_eq!(ago(300), "5 minutes");
        assert_eq!(ago(3700), "About an hour");
        assert_eq!(ago(86_400 * 3), "3 days");
        assert_eq!(ago(86_400 * 20), "2 weeks");
    }
}
