//! What runs in a task: image, command, surroundings.
//!
//! Fields, units and defaults are those of swarm mode's `ContainerSpec`. `None` means that the image decides.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Labels, PayloadReference, Sensitive};

/// A container as the user wishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Image reference, with its digest once a registry resolved it.
    pub image: String,
    /// The container's labels.
    pub labels: Labels,
    /// Replaces the image's entrypoint.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// `NAME=value`, or `NAME` to drop one of the image's.
    pub env: Vec<String>,
    /// Working directory inside.
    pub dir: Option<String>,
    /// `USER[:GROUP]`, names or numbers.
    pub user: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Security options.
    pub privileges: Privileges,
    /// Run a small init as process 1.
    pub init: Option<bool>,
    /// Signal that asks it to stop; the image's, else SIGTERM.
    pub stop_signal: Option<String>,
    /// A terminal for standard input and output.
    pub tty: bool,
    /// Keep standard input open.
    pub open_stdin: bool,
    /// Root file system read-only.
    pub read_only: bool,
    /// File systems inside.
    pub mounts: Vec<Mount>,
    /// From the stop signal to the kill; 10 s unless said.
    pub stop_grace_period: Option<Duration>,
    /// Replaces the image's health check.
    pub health_check: Option<HealthCheck>,
    /// Lines of /etc/hosts: `address name...`.
    pub hosts: Vec<String>,
    /// Resolver settings.
    pub dns: DnsConfig,
    /// Namespaced kernel settings.
    pub sysctls: BTreeMap<String, String>,
    /// Capabilities beyond the default, `CAP_NAME` or `ALL`.
    pub capability_add: Vec<String>,
    /// Capabilities taken from the default.
    pub capability_drop: Vec<String>,
    /// Resource limits of the process.
    pub ulimits: Vec<Ulimit>,
    /// Score added for the kernel's out-of-memory choice, -1000 to 1000.
    pub oom_score_adj: i32,
    /// What the registry wants to hear when a worker pulls.
    pub pull_credentials: Option<PullCredentials>,
    /// Secrets and configs that it sees as files.
    pub payloads: Vec<PayloadReference>,
}

/// An encoded `X-Registry-Auth` header, kept for the workers' pulls; never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullCredentials {
    /// base64url JSON as the client sent it.
    pub registry_auth: Sensitive,
}

/// Security options of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Privileges {
    /// Refuse new privileges at exec.
    pub no_new_privileges: bool,
    /// No system call filter.
    pub seccomp_unconfined: bool,
    /// A filter in Docker's JSON form instead of the default.
    pub seccomp_profile: Option<String>,
}

/// One resource limit of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// As in `ulimit`: nofile, nproc, ...
    pub name: String,
    /// -1 means no limit.
    pub soft: i64,
    /// -1 means no limit.
    pub hard: i64,
}

/// Resolver settings of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsConfig {
    /// Addresses asked.
    pub nameservers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// resolv.conf options.
    pub options: Vec<String>,
}

/// How a container's health is found out. Zero durations mean the defaults (30 s, 30 s, 0, 5 s) and zero retries 3.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// `["NONE"]`, `["CMD", ...]`, `["CMD-SHELL", line]`; empty inherits the image's.
    pub test: Vec<String>,
    /// Between checks.
    pub interval: Duration,
    /// For one check.
    pub timeout: Duration,
    /// In which failures do not count.
    pub start_period: Duration,
    /// Between checks in the start period.
    pub start_interval: Duration,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

/// A file system inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it comes from.
    pub kind: MountKind,
    /// Absolute path inside.
    pub target: String,
    /// Refuse writes.
    pub read_only: bool,
}

/// The source of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// A path of the host.
    Bind {
        /// Absolute, and present on the host unless `create_source`.
        source: String,
        /// How.
        options: BindOptions,
    },
    /// A named volume, or an anonymous one when the name is empty.
    Volume {
        /// Volume name; empty: one of its own, removed with the task.
        source: String,
        /// How.
        options: VolumeOptions,
    },
    /// Memory.
    Tmpfs {
        /// How.
        options: TmpfsOptions,
    },
}

/// Options of a bind mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindOptions {
    /// Mount propagation.
    pub propagation: MountPropagation,
    /// Without the mounts below the source.
    pub non_recursive: bool,
    /// Make the source when it is not there.
    pub create_source: bool,
}

/// mount_namespaces(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum MountPropagation {
    #[default]
    RPrivate,
    Private,
    RShared,
    Shared,
    RSlave,
    Slave,
}

/// Options of a volume mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeOptions {
    /// Do not fill an empty volume from the image.
    pub no_copy: bool,
    /// Labels of the volume.
    pub labels: Labels,
    /// Volume driver; empty or `local`.
    pub driver: String,
    /// Driver's options.
    pub driver_options: Labels,
    /// A directory inside the volume.
    pub subpath: Option<String>,
}

/// Options of a tmpfs mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    /// Bytes; zero: the kernel's default, half the memory.
    pub size_bytes: u64,
    /// Permission bits; 0o1777 unless said.
    pub mode: Option<u32>,
}
