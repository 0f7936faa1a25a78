//! Services: what is wanted, how it is published, and how an update goes.

use serde::{Deserialize, Serialize};

use super::container_spec::Empty;
use super::json::unset;
use super::swarm::Version;
use super::task::{NetworkAttachmentConfig, TaskSpec};
use super::{StringMap, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Service {
    #[serde(rename = "ID")]
    pub id: String,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub spec: ServiceSpec,
    /// What `rollback` would go back to.
    #[serde(skip_serializing_if = "unset")]
    pub previous_spec: Option<Box<ServiceSpec>>,
    pub endpoint: Endpoint,
    #[serde(skip_serializing_if = "unset")]
    pub update_status: Option<UpdateStatus>,
    /// Only when a list asks for it.
    #[serde(skip_serializing_if = "unset")]
    pub service_status: Option<ServiceStatus>,
    /// Jobs only.
    #[serde(skip_serializing_if = "unset")]
    pub job_status: Option<JobStatus>,
}

/// What the user wants of a service; the body of create and update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceSpec {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub labels: StringMap,
    pub task_template: TaskSpec,
    pub mode: ServiceMode,
    #[serde(skip_serializing_if = "unset")]
    pub update_config: Option<UpdateConfig>,
    #[serde(skip_serializing_if = "unset")]
    pub rollback_config: Option<UpdateConfig>,
    /// The old place of `TaskTemplate.Networks`.
    #[serde(skip_serializing_if = "unset")]
    pub networks: Vec<NetworkAttachmentConfig>,
    #[serde(skip_serializing_if = "unset")]
    pub endpoint_spec: Option<EndpointSpec>,
}

/// How many tasks, and where; at most one member is set, none means one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceMode {
    #[serde(skip_serializing_if = "unset")]
    pub replicated: Option<ReplicatedService>,
    #[serde(skip_serializing_if = "unset")]
    pub global: Option<Empty>,
    #[serde(skip_serializing_if = "unset")]
    pub replicated_job: Option<ReplicatedJob>,
    #[serde(skip_serializing_if = "unset")]
    pub global_job: Option<Empty>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReplicatedService {
    #[serde(skip_serializing_if = "unset")]
    pub replicas: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReplicatedJob {
    #[serde(skip_serializing_if = "unset")]
    pub max_concurrent: Option<u64>,
    #[serde(skip_serializing_if = "unset")]
    pub total_completions: Option<u64>,
}

/// How an update or a rollback proceeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateConfig {
    /// Tasks at once; zero is all.
    pub parallelism: u64,
    /// Nanoseconds between batches.
    #[serde(skip_serializing_if = "unset")]
    pub delay: i64,
    pub failure_action: FailureAction,
    /// Nanoseconds a new task is watched for failure.
    #[serde(skip_serializing_if = "unset")]
    pub monitor: i64,
    /// 0 to 1.
    pub max_failure_ratio: f32,
    pub order: UpdateOrder,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    #[default]
    #[serde(alias = "")]
    Pause,
    Continue,
    Rollback,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOrder {
    #[default]
    #[serde(alias = "")]
    StopFirst,
    StartFirst,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointSpec {
    #[serde(skip_serializing_if = "unset")]
    pub mode: Option<EndpointMode>,
    #[serde(skip_serializing_if = "unset")]
    pub ports: Vec<PortConfig>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointMode {
    /// One virtual address.
    #[default]
    #[serde(alias = "")]
    Vip,
    /// The addresses of all tasks.
    Dnsrr,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortConfig {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub protocol: PortProtocol,
    #[serde(skip_serializing_if = "unset")]
    pub target_port: u32,
    /// Zero lets the manager choose.
    #[serde(skip_serializing_if = "unset")]
    pub published_port: u32,
    pub publish_mode: PublishMode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortProtocol {
    #[default]
    #[serde(alias = "")]
    Tcp,
    Udp,
    Sctp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// On every node, balanced.
    #[default]
    #[serde(alias = "")]
    Ingress,
    /// On the task's own node.
    Host,
}

/// What the allocator gave a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Endpoint {
    pub spec: EndpointSpec,
    #[serde(skip_serializing_if = "unset")]
    pub ports: Vec<PortConfig>,
    #[serde(rename = "VirtualIPs", skip_serializing_if = "unset")]
    pub virtual_ips: Vec<EndpointVirtualIp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointVirtualIp {
    #[serde(rename = "NetworkID", skip_serializing_if = "unset")]
    pub network_id: String,
    /// With prefix length, such as `10.0.0.5/24`.
    #[serde(skip_serializing_if = "unset")]
    pub addr: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateStatus {
    #[serde(skip_serializing_if = "unset")]
    pub state: Option<UpdateState>,
    #[serde(skip_serializing_if = "unset")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "unset")]
    pub completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "unset")]
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    Updating,
    Paused,
    Completed,
    RollbackStarted,
    RollbackPaused,
    RollbackCompleted,
}

/// Counts for `service ls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceStatus {
    pub running_tasks: u64,
    pub desired_tasks: u64,
    pub completed_tasks: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobStatus {
    pub job_iteration: Version,
    pub last_execution: Timestamp,
}

/// The answer of `POST /services/create`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceCreateResponse {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(skip_serializing_if = "unset")]
    pub warnings: Vec<String>,
}

/// The answer of `POST /services/{id}/update`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceUpdateResponse {
    pub warnings: Vec<String>,
}
