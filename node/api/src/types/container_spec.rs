//! What a service's containers are made of.

use serde::{Deserialize, Serialize};

use super::json::unset;
use super::mount::Mount;
use super::{Base64Bytes, StringMap};

/// The container part of a task template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerSpec {
    #[serde(skip_serializing_if = "unset")]
    pub image: String,
    #[serde(skip_serializing_if = "unset")]
    pub labels: StringMap,
    /// Replaces the image's entrypoint.
    #[serde(skip_serializing_if = "unset")]
    pub command: Vec<String>,
    /// Replaces the image's command.
    #[serde(skip_serializing_if = "unset")]
    pub args: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub hostname: String,
    /// `NAME=VALUE`.
    #[serde(skip_serializing_if = "unset")]
    pub env: Vec<String>,
    /// Working directory.
    #[serde(skip_serializing_if = "unset")]
    pub dir: String,
    #[serde(skip_serializing_if = "unset")]
    pub user: String,
    #[serde(skip_serializing_if = "unset")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub privileges: Option<Privileges>,
    /// Run a small init as the first process.
    #[serde(skip_serializing_if = "unset")]
    pub init: Option<bool>,
    #[serde(skip_serializing_if = "unset")]
    pub stop_signal: String,
    #[serde(rename = "TTY", skip_serializing_if = "unset")]
    pub tty: bool,
    #[serde(skip_serializing_if = "unset")]
    pub open_stdin: bool,
    #[serde(skip_serializing_if = "unset")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "unset")]
    pub mounts: Vec<Mount>,
    /// Nanoseconds between the stop signal and SIGKILL.
    #[serde(skip_serializing_if = "unset")]
    pub stop_grace_period: Option<i64>,
    #[serde(skip_serializing_if = "unset")]
    pub healthcheck: Option<HealthConfig>,
    /// Lines of `/etc/hosts`: `ADDRESS NAME...`.
    #[serde(skip_serializing_if = "unset")]
    pub hosts: Vec<String>,
    #[serde(rename = "DNSConfig", skip_serializing_if = "unset")]
    pub dns_config: Option<DnsConfig>,
    #[serde(skip_serializing_if = "unset")]
    pub secrets: Vec<SecretReference>,
    #[serde(skip_serializing_if = "unset")]
    pub configs: Vec<ConfigReference>,
    /// Windows only.
    #[serde(skip_serializing_if = "unset")]
    pub isolation: String,
    #[serde(skip_serializing_if = "unset")]
    pub sysctls: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub capability_add: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub capability_drop: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub ulimits: Vec<Ulimit>,
    #[serde(skip_serializing_if = "unset")]
    pub oom_score_adj: i64,
}

/// An object without members: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Empty {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Privileges {
    #[serde(skip_serializing_if = "unset")]
    pub credential_spec: Option<CredentialSpec>,
    #[serde(rename = "SELinuxContext", skip_serializing_if = "unset")]
    pub selinux_context: Option<SeLinuxContext>,
    #[serde(skip_serializing_if = "unset")]
    pub seccomp: Option<SeccompOpts>,
    #[serde(skip_serializing_if = "unset")]
    pub app_armor: Option<AppArmorOpts>,
    #[serde(skip_serializing_if = "unset")]
    pub no_new_privileges: bool,
}

/// Windows only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CredentialSpec {
    #[serde(skip_serializing_if = "unset")]
    pub config: String,
    #[serde(skip_serializing_if = "unset")]
    pub file: String,
    #[serde(skip_serializing_if = "unset")]
    pub registry: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SeLinuxContext {
    pub disable: bool,
    pub user: String,
    pub role: String,
    #[serde(rename = "Type")]
    pub kind: String,
    pub level: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SeccompOpts {
    /// `default`, `unconfined` or `custom`.
    #[serde(skip_serializing_if = "unset")]
    pub mode: String,
    #[serde(skip_serializing_if = "unset")]
    pub profile: Base64Bytes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AppArmorOpts {
    /// `default` or `disabled`.
    #[serde(skip_serializing_if = "unset")]
    pub mode: String,
}

/// How a container's health is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthConfig {
    /// Empty inherits; `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", LINE]`.
    #[serde(skip_serializing_if = "unset")]
    pub test: Vec<String>,
    /// Nanoseconds; zero inherits.
    #[serde(skip_serializing_if = "unset")]
    pub interval: i64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "unset")]
    pub timeout: i64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "unset")]
    pub start_period: i64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "unset")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "unset")]
    pub retries: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DnsConfig {
    #[serde(skip_serializing_if = "unset")]
    pub nameservers: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub search: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub options: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecretReference {
    pub file: Option<FileTarget>,
    #[serde(rename = "SecretID")]
    pub secret_id: String,
    pub secret_name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigReference {
    #[serde(skip_serializing_if = "unset")]
    pub file: Option<FileTarget>,
    /// Not a file in the container, but an input of the runtime (credential specs).
    #[serde(skip_serializing_if = "unset")]
    pub runtime: Option<Empty>,
    #[serde(rename = "ConfigID")]
    pub config_id: String,
    pub config_name: String,
}

/// Where a secret or config appears in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileTarget {
    pub name: String,
    #[serde(rename = "UID")]
    pub uid: String,
    #[serde(rename = "GID")]
    pub gid: String,
    /// Permission bits.
    pub mode: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ulimit {
    pub name: String,
    pub hard: i64,
    pub soft: i64,
}
