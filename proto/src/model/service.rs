//! A service: the user's wish for tasks, how to place, publish, restart and update them.
//!
//! Fields and defaults are those of swarm mode. What a spec may hold is checked at admission, in the manager's core;
//! types here only make the impossible unsayable.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cidr, ContainerSpec, Labels, Meta, NetworkId, Platform, ServiceId, Timestamp, Version};

/// A service in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Identity.
    pub id: ServiceId,
    /// Version and times.
    pub meta: Meta,
    /// The wish.
    pub spec: ServiceSpec,
    /// When the spec last changed; a task made from it carries this.
    pub spec_version: Version,
    /// The wish before the last update, for a rollback.
    pub previous_spec: Option<Box<ServiceSpec>>,
    /// Of the previous spec.
    pub previous_spec_version: Option<Version>,
    /// What the allocator gave it.
    pub endpoint: Endpoint,
    /// The update in progress or the last one.
    pub update_status: Option<UpdateStatus>,
    /// Counts executions of a job; moves with each update.
    pub job_iteration: Option<Version>,
}

/// What a user asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    /// Unique in the swarm, letter case aside.
    pub name: String,
    /// The service's labels.
    pub labels: Labels,
    /// What each task is.
    pub task: TaskSpec,
    /// How many, and where.
    pub mode: ServiceMode,
    /// How changes roll out.
    pub update: UpdateConfig,
    /// How a rollback rolls out.
    pub rollback: UpdateConfig,
    /// Ports and discovery.
    pub endpoint: EndpointSpec,
}

/// How many tasks a service has, and what their end means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceMode {
    /// So many tasks, kept running.
    Replicated {
        /// How many.
        replicas: u64,
    },
    /// One task on every node that fits.
    Global,
    /// So many tasks that end well.
    ReplicatedJob {
        /// At once.
        max_concurrent: u64,
        /// In all.
        total_completions: u64,
    },
    /// One task on every node that fits, until it ends well.
    GlobalJob,
}

impl Default for ServiceMode {
    fn default() -> Self {
        Self::Replicated { replicas: 1 }
    }
}

impl ServiceMode {
    /// Whether tasks are meant to end.
    #[must_use]
    pub fn is_job(&self) -> bool {
        matches!(self, Self::ReplicatedJob { .. } | Self::GlobalJob)
    }

    /// Whether nodes, not slots, number the tasks.
    #[must_use]
    pub fn is_global(&self) -> bool {
        matches!(self, Self::Global | Self::GlobalJob)
    }
}

/// What each task of a service is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskSpec {
    /// The container.
    pub container: ContainerSpec,
    /// Limits and reservations.
    pub resources: Resources,
    /// What follows a task's end.
    pub restart: RestartPolicy,
    /// Where it may run.
    pub placement: Placement,
    /// Networks beside the ingress.
    pub networks: Vec<NetworkAttachmentSpec>,
    /// Where its output goes; the node's default unless said.
    pub log_driver: Option<LogDriver>,
    /// Raised to replace tasks whose spec is otherwise unchanged.
    pub force_update: u64,
}

/// A wish for a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttachmentSpec {
    /// Name or id as given; the node-local networks `host`, `bridge` and `none` keep their names.
    pub target: String,
    /// Further names there.
    pub aliases: Vec<String>,
    /// Options for the driver.
    pub driver_options: Labels,
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDriver {
    /// json-file or none.
    pub name: String,
    /// Options, such as max-size.
    pub options: Labels,
}

/// Limits and reservations of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What it may not exceed.
    pub limits: ResourceLimits,
    /// What a node must have free.
    pub reservations: ResourceReservations,
    /// Swap beside the memory limit, in bytes; -1: no limit.
    pub swap_bytes: Option<i64>,
    /// 0 to 100; -1: the kernel's.
    pub memory_swappiness: Option<i64>,
}

/// Upper bounds; zero means none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceLimits {
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Processes and threads.
    pub pids: i64,
}

/// What must be free on a node; also what a node has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceReservations {
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Bytes.
    pub memory_bytes: i64,
}

/// What follows a task's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    /// After which ends a new task comes.
    pub condition: RestartCondition,
    /// Before it comes; 5 s unless said.
    pub delay: Duration,
    /// How often within the window; zero: for ever.
    pub max_attempts: u64,
    /// In which attempts count; zero: all time.
    pub window: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            condition: RestartCondition::Any,
            delay: Duration::from_secs(5),
            max_attempts: 0,
            window: Duration::ZERO,
        }
    }
}

/// After which ends of a task a new one comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartCondition {
    /// Never.
    None,
    /// After a failure.
    OnFailure,
    /// After any end.
    #[default]
    Any,
}

/// Where tasks may run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Placement {
    /// `KEY==VALUE` or `KEY!=VALUE`, all of which must hold.
    pub constraints: Vec<String>,
    /// Spread over the values of these, outermost first.
    pub preferences: Vec<Preference>,
    /// At most so many tasks of the service on a node; zero: no bound.
    pub max_replicas: u64,
    /// What the image runs on; empty: anything.
    pub platforms: Vec<Platform>,
}

/// Spread over the values of `node.labels.X` or `engine.labels.X`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// The label's path.
    pub spread: String,
}

/// How changes roll out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateConfig {
    /// Slots at once; zero: all.
    pub parallelism: u64,
    /// Between slots.
    pub delay: Duration,
    /// What a failure leads to.
    pub failure_action: FailureAction,
    /// How long a new task is watched for failure; 5 s unless said.
    pub monitor: Duration,
    /// Share of failed tasks that is borne, 0 to 1.
    pub max_failure_ratio: f32,
    /// Whether the old task stops first.
    pub order: UpdateOrder,
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            parallelism: 1,
            delay: Duration::ZERO,
            failure_action: FailureAction::Pause,
            monitor: Duration::from_secs(5),
            max_failure_ratio: 0.0,
            order: UpdateOrder::StopFirst,
        }
    }
}

/// What a failed update leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureAction {
    /// Stop, and wait for the user.
    #[default]
    Pause,
    /// Go on.
    Continue,
    /// Back to the previous spec.
    Rollback,
}

/// Which of old and new task comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateOrder {
    /// The old one stops, then the new one starts.
    #[default]
    StopFirst,
    /// The new one runs before the old one stops.
    StartFirst,
}

/// The update in progress or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// How far.
    pub state: UpdateState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// For people.
    pub message: String,
}

/// How far an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are swarm mode's")]
pub enum UpdateState {
    Updating,
    Paused,
    Completed,
    RollbackStarted,
    RollbackPaused,
    RollbackCompleted,
}

/// Ports and discovery as wished.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSpec {
    /// One address for the service, or one a task.
    pub mode: EndpointMode,
    /// Ports for the world.
    pub ports: Vec<PortConfig>,
}

/// How a service's name is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointMode {
    /// By one virtual address.
    #[default]
    Vip,
    /// By the addresses of its tasks.
    DnsRoundRobin,
}

/// A port for the world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortConfig {
    /// A name for people; may be empty.
    pub name: String,
    /// Transport.
    pub protocol: PortProtocol,
    /// The container's port.
    pub target_port: u16,
    /// The hosts' port; zero: one is chosen.
    pub published_port: u16,
    /// Where it is answered.
    pub mode: PublishMode,
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum PortProtocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

/// Where a published port is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PublishMode {
    /// On every host, for all tasks.
    #[default]
    Ingress,
    /// On the task's host, for that task.
    Host,
}

/// What the allocator gave a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// The wish that was served.
    pub spec: EndpointSpec,
    /// Its ports with all numbers chosen.
    pub ports: Vec<PortConfig>,
    /// One a network.
    pub virtual_ips: Vec<VirtualIp>,
}

/// A service's address on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualIp {
    /// Where.
    pub network: NetworkId,
    /// Address and prefix.
    pub address: Cidr,
}
