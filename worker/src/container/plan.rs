//! From a task, an image and what stands already to the description that the keeper gets, and the record for people.
//!
//! Decides only; what it needs made (volumes, folders) is made before, by `mounts` and `create`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use shoal_proto::model::{LogDriver, Resources as Wished, Task, TaskId, Timestamp, Ulimit};
use shoal_runtime::spec as runtime;
use shoal_worker_core::ContainerFile;

use super::files::file_mounts;
use super::health::Check;
use super::mounts::Mounted;
use super::process::{merge, process, seccomp, stop_signal};
use super::record::Folder;
use super::{ContainerError, ContainerRecord, LogSettings, NetworkSettings};
use crate::executor::StandingEndpoint;
use crate::image::{ImageRecord, Rootfs};

/// What containers get unless their spec says otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContainerDefaults {
    /// Resource limits.
    pub(crate) ulimits: Vec<Ulimit>,
    /// Where output goes.
    pub(crate) log_driver: Option<LogDriver>,
    /// Absolute cgroup path.
    pub(crate) cgroup_parent: Option<String>,
    /// The host's name, for containers on its network.
    pub(crate) hostname: String,
}

/// What a container is planned from.
#[derive(Debug)]
pub(super) struct PlanInput<'a> {
    pub(super) id: &'a str,
    pub(super) task: &'a Task,
    pub(super) image: &'a ImageRecord,
    pub(super) rootfs: Rootfs,
    pub(super) mounts: Vec<Mounted>,
    /// Secrets and configs.
    pub(super) files: &'a [ContainerFile],
    pub(super) endpoint: Option<&'a StandingEndpoint>,
    pub(super) folder: &'a Folder,
    pub(super) defaults: &'a ContainerDefaults,
    pub(super) created_at: Timestamp,
}

/// A container, planned.
#[derive(Debug)]
pub(super) struct ContainerPlan {
    pub(super) spec: runtime::ContainerSpec,
    pub(super) record: ContainerRecord,
}

/// The id of a task's container.
pub(super) fn container_id(task: TaskId) -> String {
    use sha2::{Digest, Sha256};
    hex(&Sha256::digest(format!("shoal container {task}")))
}

/// The host name inside: the spec's, the host's on its network, else the id's first twelve digits.
pub(super) fn hostname(task: &Task, id: &str, shares_host_network: bool, defaults: &ContainerDefaults) -> String {
    match &task.spec.container.hostname {
        Some(name) => name.clone(),
        None if shares_host_network && !defaults.hostname.is_empty() => defaults.hostname.clone(),
        None => id[..12].to_owned(),
    }
}

/// Plans a container.
pub(super) fn plan(input: PlanInput<'_>) -> Result<ContainerPlan, ContainerError> {
    let spec = &input.task.spec.container;
    let hostname = hostname(input.task, input.id, input.endpoint.is_none(), input.defaults);
    let mut merged = merge(&input.image.config, spec, &hostname);
    merged.labels.extend(swarm_labels(input.task));
    let process = process(&merged, spec, &input.defaults.ulimits)?;
    Check::of(merged.healthcheck.as_ref())?;
    let log = log_settings(&input)?;
    let id = runtime::ContainerId::new(input.id)
        .map_err(|error| ContainerError::invalid("container id", error.value, "this is a mistake of shoald"))?;
    let rootfs = runtime::RootFs {
        layers: runtime::Layers::Overlay {
            lower: input.rootfs.lower.clone(),
            upper: input.rootfs.upper.clone(),
            work: input.rootfs.work.clone(),
        },
        mountpoint: input.rootfs.merged.clone(),
        read_only: spec.read_only,
    };
    let command = process.args.clone();
    let mut container = runtime::ContainerSpec::new(id, rootfs, process);
    container.hostname = Some(hostname.clone());
    container.mounts = etc_mounts(&input);
    container.mounts.extend(input.mounts.iter().map(|mounted| mounted.mount.clone()));
    container.mounts.extend(file_mounts(&input.folder.payloads(), input.files));
    container.sysctls.clone_from(&spec.sysctls);
    container.seccomp = seccomp(spec)?;
    if let Some(endpoint) = input.endpoint {
        container.namespaces.network = runtime::NetworkNamespace::Path(endpoint.namespace.clone());
    }
    container.resources = resources(&input.task.spec.resources)?;
    container.cgroup_parent.clone_from(&input.defaults.cgroup_parent);
    container.init = spec.init.unwrap_or(false);
    container.log = log_spec(&log)?;
    container.stop_signal = stop_signal(&merged)?;
    let record = ContainerRecord {
        id: input.id.to_owned(),
        name: input.task.name(),
        task: input.task.id,
        image: spec.image.clone(),
        image_id: input.image.id.to_string(),
        created_at: input.created_at,
        command,
        hostname,
        config: merged,
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        init: container.init,
        read_only: spec.read_only,
        resources: input.task.spec.resources.clone(),
        capabilities: (spec.capability_add.clone(), spec.capability_drop.clone()),
        mounts: input.mounts.into_iter().map(|mounted| mounted.point).collect(),
        network: network_settings(input.task, input.endpoint),
        log,
        stop_timeout_s: spec.stop_grace_period.map_or(10, |grace| grace.as_secs()),
    };
    Ok(ContainerPlan { spec: container, record })
}

/// The addresses that a container's own name stands for.
pub(super) fn addresses(endpoint: Option<&StandingEndpoint>) -> Vec<IpAddr> {
    endpoint.iter().flat_map(|endpoint| &endpoint.interfaces).map(|one| one.address.address).collect()
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

fn swarm_labels(task: &Task) -> [(String, String); 6] {
    let node = task.node.map(|node| node.to_string()).unwrap_or_default();
    [
        ("com.docker.swarm.task", String::new()),
        ("com.docker.swarm.task.id", task.id.to_string()),
        ("com.docker.swarm.task.name", task.name()),
        ("com.docker.swarm.node.id", node),
        ("com.docker.swarm.service.id", task.service.to_string()),
        ("com.docker.swarm.service.name", task.service_name.clone()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

fn etc_mounts(input: &PlanInput<'_>) -> Vec<runtime::Mount> {
    let wished = |target: &str| input.mounts.iter().any(|mounted| mounted.point.target.trim_end_matches('/') == target);
    let file = |name: &str| runtime::Mount {
        target: PathBuf::from(format!("/etc/{name}")),
        kind: runtime::MountKind::Bind(runtime::BindMount {
            source: input.folder.mounted.join(name),
            read_only: input.task.spec.container.read_only,
            recursive: true,
            propagation: runtime::Propagation::Rprivate,
        }),
    };
    ETC_FILES.iter().filter(|name| !wished(&format!("/etc/{name}"))).map(|name| file(name)).collect()
}

fn network_settings(task: &Task, endpoint: Option<&StandingEndpoint>) -> NetworkSettings {
    let none = task.spec.networks.iter().any(|network| network.target == "none");
    let mode = match endpoint {
        None => "host",
        Some(_) if none => "none",
        Some(_) => "default",
    };
    NetworkSettings {
        mode: mode.to_owned(),
        interfaces: endpoint.map(|endpoint| endpoint.interfaces.clone()).unwrap_or_default(),
        ports: endpoint.map(|endpoint| endpoint.info.ports.clone()).unwrap_or_default(),
        namespace: endpoint.map(|endpoint| endpoint.namespace.clone()),
    }
}

fn resources(wished: &Wished) -> Result<runtime::Resources, ContainerError> {
    let positive = |field: &str, value: i64| match u64::try_from(value) {
        Ok(0) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(_) => {
            Err(ContainerError::invalid(field, value.to_string(), "give a positive number, or zero for no limit"))
        }
    };
    let memory = positive("memory limit", wished.limits.memory_bytes)?;
    // Docker's default: as much swap as memory.
    let memory_swap = memory.map(|memory| match wished.swap_bytes {
        None => i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX),
        Some(-1) => -1,
        Some(swap) => i64::try_from(memory).unwrap_or(i64::MAX).saturating_add(swap),
    });
    Ok(runtime::Resources {
        memory,
        memory_swap,
        memory_reservation: positive("memory reservation", wished.reservations.memory_bytes)?,
        nano_cpus: positive("CPU limit", wished.limits.nano_cpus)?,
        pids: (wished.limits.pids > 0).then_some(wished.limits.pids),
        ..runtime::Resources::default()
    })
}

fn log_settings(input: &PlanInput<'_>) -> Result<LogSettings, ContainerError> {
    let chosen = input.task.spec.log_driver.as_ref().or(input.defaults.log_driver.as_ref());
    let (driver, options) = match chosen {
        None => ("json-file".to_owned(), Default::default()),
        Some(driver) if driver.name.is_empty() => ("json-file".to_owned(), driver.options.clone()),
        Some(driver) => (driver.name.clone(), driver.options.clone()),
    };
    let path = match driver.as_str() {
        "json-file" => Some(input.folder.file(&format!("{}-json.log", input.id))),
        "none" => None,
        other => return Err(ContainerError::invalid("log driver", other, "use json-file or none")),
    };
    Ok(LogSettings { driver, options, path, attributes: Default::default() })
}

fn log_spec(log: &LogSettings) -> Result<Option<runtime::LogSpec>, ContainerError> {
    let Some(path) = log.path.clone() else { return Ok(None) };
    let mut spec = runtime::LogSpec { path, max_size: None, max_files: 1, attributes: log.attributes.clone() };
    for (option, value) in &log.options {
        match option.as_str() {
            "max-size" if value == "-1" => {}
            "max-size" => spec.max_size = Some(size(value)?),
            "max-file" => {
                let files = value.parse().ok().filter(|files| (1..=crate::limits::LOG_FILES_MAX).contains(files));
                spec.max_files = files.ok_or_else(|| {
                    ContainerError::invalid("log option max-file", value, "give a number from 1 to 1000")
                })?;
            }
            other => {
                let field = format!("log option {other}");
                return Err(ContainerError::invalid(field, value, "json-file takes max-size and max-file here"));
            }
        }
    }
    Ok(Some(spec))
}

/// `10m`, `512k`, `1g`, or bytes.
fn size(text: &str) -> Result<u64, ContainerError> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, shift) = match lower.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if lower.ends_with('k') => (digits, 10),
        Some(digits) if lower.ends_with('m') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (lower, 0),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| ContainerError::invalid("log option max-size", text, "give a size such as 10m"))
}

/// Files made for each container.
pub(super) const ETC_FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [("10m", 10 << 20), ("512K", 512 << 10), ("1g", 1 << 30), ("1gb", 1 << 30), ("77", 77)] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "m", "-1m", "1t", "0", "99999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_become_the_runtimes() {
        let mut wished = Wished::default();
        assert_eq!(resources(&wished).unwrap(), runtime::Resources::default());
        wished.limits.memory_bytes = 64 << 20;
        assert_eq!(resources(&wished).unwrap().memory_swap, Some(128 << 20));
        wished.swap_bytes = Some(1 << 20);
        assert_eq!(resources(&wished).unwrap().memory_swap, Some(65 << 20));
        wished.swap_bytes = Some(-1);
        assert_eq!(resources(&wished).unwrap().memory_swap, Some(-1));
        wished.limits.nano_cpus = -1;
        assert!(resources(&wished).unwrap_err().to_string().contains("CPU limit '-1'"));
    }

    #[test]
    fn an_id_is_the_tasks() {
        use shoal_proto::model::Id;
        let id = container_id(TaskId::from_random(7));
        assert_eq!((id.len(), id.clone()), (64, container_id(TaskId::from_random(7))));
        assert_ne!(id, container_id(TaskId::from_random(8)));
    }
}
