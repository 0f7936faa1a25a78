//! Tasks: the template that a service gives them, and what became of each.

use serde::{Deserialize, Serialize};

use super::container_spec::ContainerSpec;
use super::json::unset;
use super::node::Platform;
use super::resources::{GenericResource, ResourceRequirements};
use super::service::PortConfig;
use super::swarm::Version;
use super::{StringMap, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    #[serde(rename = "ID")]
    pub id: String,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub labels: StringMap,
    pub spec: TaskSpec,
    #[serde(rename = "ServiceID", skip_serializing_if = "unset")]
    pub service_id: String,
    /// From 1; zero for global services.
    #[serde(skip_serializing_if = "unset")]
    pub slot: u64,
    #[serde(rename = "NodeID", skip_serializing_if = "unset")]
    pub node_id: String,
    pub status: TaskStatus,
    pub desired_state: TaskState,
    #[serde(skip_serializing_if = "unset")]
    pub networks_attachments: Vec<NetworkAttachment>,
    #[serde(skip_serializing_if = "unset")]
    pub generic_resources: Vec<GenericResource>,
    /// Jobs only.
    #[serde(skip_serializing_if = "unset")]
    pub job_iteration: Option<Version>,
    /// Cluster volumes.
    pub volumes: Vec<VolumeAttachment>,
}

/// The template of a service's tasks; one of the first three members is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskSpec {
    #[serde(skip_serializing_if = "unset")]
    pub container_spec: Option<ContainerSpec>,
    #[serde(skip_serializing_if = "unset")]
    pub plugin_spec: Option<PluginSpec>,
    #[serde(skip_serializing_if = "unset")]
    pub network_attachment_spec: Option<NetworkAttachmentSpec>,
    #[serde(skip_serializing_if = "unset")]
    pub resources: Option<ResourceRequirements>,
    #[serde(skip_serializing_if = "unset")]
    pub restart_policy: Option<RestartPolicy>,
    #[serde(skip_serializing_if = "unset")]
    pub placement: Option<Placement>,
    #[serde(skip_serializing_if = "unset")]
    pub networks: Vec<NetworkAttachmentConfig>,
    #[serde(skip_serializing_if = "unset")]
    pub log_driver: Option<Driver>,
    /// Raising it replaces tasks although nothing else changed.
    pub force_update: u64,
    /// `container` when empty, `plugin` or `attachment`.
    #[serde(skip_serializing_if = "unset")]
    pub runtime: String,
}

/// An engine plugin as a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PluginSpec {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    #[serde(skip_serializing_if = "unset")]
    pub remote: String,
    #[serde(skip_serializing_if = "unset")]
    pub privileges: Vec<PluginPrivilege>,
    #[serde(skip_serializing_if = "unset")]
    pub disabled: bool,
    #[serde(skip_serializing_if = "unset")]
    pub env: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PluginPrivilege {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    #[serde(skip_serializing_if = "unset")]
    pub description: String,
    #[serde(skip_serializing_if = "unset")]
    pub value: Vec<String>,
}

/// A container outside services that holds an address on a swarm network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkAttachmentSpec {
    #[serde(rename = "ContainerID")]
    pub container_id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    pub condition: RestartCondition,
    /// Nanoseconds before a new task starts.
    #[serde(skip_serializing_if = "unset")]
    pub delay: Option<i64>,
    /// Zero is no bound.
    #[serde(skip_serializing_if = "unset")]
    pub max_attempts: Option<u64>,
    /// Nanoseconds within which attempts count; zero is for ever.
    #[serde(skip_serializing_if = "unset")]
    pub window: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartCondition {
    None,
    OnFailure,
    #[default]
    #[serde(alias = "")]
    Any,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Placement {
    /// `KEY==VALUE` or `KEY!=VALUE`; all must hold.
    #[serde(skip_serializing_if = "unset")]
    pub constraints: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub preferences: Vec<PlacementPreference>,
    /// Most replicas on one node; zero is no bound.
    #[serde(skip_serializing_if = "unset")]
    pub max_replicas: u64,
    /// Platforms that the image runs on.
    #[serde(skip_serializing_if = "unset")]
    pub platforms: Vec<Platform>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PlacementPreference {
    pub spread: Option<SpreadOver>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SpreadOver {
    /// A label, such as `node.labels.zone`.
    pub spread_descriptor: String,
}

/// A network that tasks are attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkAttachmentConfig {
    /// Name or id.
    #[serde(skip_serializing_if = "unset")]
    pub target: String,
    #[serde(skip_serializing_if = "unset")]
    pub aliases: Vec<String>,
    #[serde(skip_serializing_if = "unset")]
    pub driver_opts: StringMap,
}

/// A log, network or secret driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Driver {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    #[serde(skip_serializing_if = "unset")]
    pub options: StringMap,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskStatus {
    pub timestamp: Timestamp,
    pub state: TaskState,
    #[serde(skip_serializing_if = "unset")]
    pub message: String,
    #[serde(skip_serializing_if = "unset")]
    pub err: String,
    #[serde(skip_serializing_if = "unset")]
    pub container_status: Option<ContainerStatus>,
    /// Ports published in host mode.
    pub port_status: PortStatus,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    #[default]
    #[serde(alias = "")]
    New,
    Allocated,
    Pending,
    Assigned,
    Accepted,
    Preparing,
    Ready,
    Starting,
    Running,
    Complete,
    Shutdown,
    Failed,
    Rejected,
    Remove,
    Orphaned,
}

impl TaskState {
    /// The word that JSON carries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Allocated => "allocated",
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Remove => "remove",
            Self::Orphaned => "orphaned",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerStatus {
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    #[serde(rename = "PID")]
    pub pid: i64,
    pub exit_code: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortStatus {
    #[serde(skip_serializing_if = "unset")]
    pub ports: Vec<PortConfig>,
}

/// A network that a task is on, and its addresses there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkAttachment {
    pub network: SwarmNetwork,
    /// With prefix length.
    #[serde(skip_serializing_if = "unset")]
    pub addresses: Vec<String>,
}

/// A network as the swarm's store shows it inside a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmNetwork {
    #[serde(rename = "ID")]
    pub id: String,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub spec: SwarmNetworkSpec,
    pub driver_state: Driver,
    #[serde(rename = "IPAMOptions", skip_serializing_if = "unset")]
    pub ipam_options: Option<SwarmIpamOptions>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmNetworkSpec {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub labels: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub driver_configuration: Option<Driver>,
    #[serde(rename = "IPv6Enabled", skip_serializing_if = "unset")]
    pub ipv6_enabled: bool,
    #[serde(skip_serializing_if = "unset")]
    pub internal: bool,
    #[serde(skip_serializing_if = "unset")]
    pub attachable: bool,
    #[serde(skip_serializing_if = "unset")]
    pub ingress: bool,
    #[serde(rename = "IPAMOptions", skip_serializing_if = "unset")]
    pub ipam_options: Option<SwarmIpamOptions>,
    #[serde(skip_serializing_if = "unset")]
    pub scope: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmIpamOptions {
    pub driver: Driver,
    #[serde(skip_serializing_if = "unset")]
    pub configs: Vec<SwarmIpamConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmIpamConfig {
    #[serde(skip_serializing_if = "unset")]
    pub subnet: String,
    #[serde(skip_serializing_if = "unset")]
    pub range: String,
    #[serde(skip_serializing_if = "unset")]
    pub gateway: String,
}

/// A cluster volume that a task uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeAttachment {
    #[serde(rename = "ID", skip_serializing_if = "unset")]
    pub id: String,
    #[serde(skip_serializing_if = "unset")]
    pub source: String,
    #[serde(skip_serializing_if = "unset")]
    pub target: String,
}
