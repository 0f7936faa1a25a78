//! The swarm as a whole: its specification, its join tokens, and requests to form, enter and leave it.

use serde::{Deserialize, Serialize};

use super::json::unset;
use super::node::{NodeAvailability, TlsInfo};
use super::task::Driver;
use super::{StringMap, Timestamp};

/// `GET /swarm`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Swarm {
    #[serde(flatten)]
    pub cluster: ClusterInfo,
    pub join_tokens: JoinTokens,
}

/// A swarm without its secrets, as `GET /info` shows it too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ClusterInfo {
    #[serde(rename = "ID")]
    pub id: String,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub spec: SwarmSpec,
    #[serde(rename = "TLSInfo")]
    pub tls_info: TlsInfo,
    pub root_rotation_in_progress: bool,
    /// Address pools for networks, in CIDR form.
    pub default_addr_pool: Vec<String>,
    /// Prefix length of the subnets cut from the pools.
    pub subnet_size: u32,
    /// UDP port of overlay traffic.
    pub data_path_port: u32,
}

/// Version of an object; must be echoed in updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Version {
    #[serde(skip_serializing_if = "unset")]
    pub index: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JoinTokens {
    pub worker: String,
    pub manager: String,
}

/// What the user wants of the swarm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmSpec {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub labels: StringMap,
    pub orchestration: OrchestrationConfig,
    pub raft: RaftConfig,
    pub dispatcher: DispatcherConfig,
    #[serde(rename = "CAConfig")]
    pub ca_config: CaConfig,
    pub task_defaults: TaskDefaults,
    pub encryption_config: EncryptionConfig,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OrchestrationConfig {
    /// Finished tasks kept a slot; negative keeps all.
    #[serde(skip_serializing_if = "unset")]
    pub task_history_retention_limit: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RaftConfig {
    /// Log entries between snapshots.
    #[serde(skip_serializing_if = "unset")]
    pub snapshot_interval: u64,
    #[serde(skip_serializing_if = "unset")]
    pub keep_old_snapshots: Option<u64>,
    #[serde(skip_serializing_if = "unset")]
    pub log_entries_for_slow_followers: u64,
    /// Ticks without a leader before an election.
    pub election_tick: i64,
    /// Ticks between the leader's heartbeats.
    pub heartbeat_tick: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DispatcherConfig {
    /// Nanoseconds between a worker's heartbeats.
    #[serde(skip_serializing_if = "unset")]
    pub heartbeat_period: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CaConfig {
    /// Nanoseconds a node certificate is valid.
    #[serde(skip_serializing_if = "unset")]
    pub node_cert_expiry: i64,
    #[serde(rename = "ExternalCAs", skip_serializing_if = "unset")]
    pub external_cas: Vec<ExternalCa>,
    /// PEM.
    #[serde(rename = "SigningCACert", skip_serializing_if = "unset")]
    pub signing_ca_cert: String,
    /// PEM; never in answers.
    #[serde(rename = "SigningCAKey", skip_serializing_if = "unset")]
    pub signing_ca_key: String,
    /// Raising it makes a new root.
    #[serde(skip_serializing_if = "unset")]
    pub force_rotate: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExternalCa {
    /// `cfssl`.
    pub protocol: String,
    #[serde(rename = "URL")]
    pub url: String,
    #[serde(skip_serializing_if = "unset")]
    pub options: StringMap,
    #[serde(rename = "CACert")]
    pub ca_cert: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskDefaults {
    #[serde(skip_serializing_if = "unset")]
    pub log_driver: Option<Driver>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EncryptionConfig {
    pub auto_lock_managers: bool,
}

/// `POST /swarm/init`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InitRequest {
    /// `ADDRESS[:PORT]` or `INTERFACE[:PORT]`.
    pub listen_addr: String,
    pub advertise_addr: String,
    pub data_path_addr: String,
    pub data_path_port: u32,
    pub force_new_cluster: bool,
    pub spec: SwarmSpec,
    pub auto_lock_managers: bool,
    pub availability: NodeAvailability,
    pub default_addr_pool: Vec<String>,
    pub subnet_size: u32,
}

/// `POST /swarm/join`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JoinRequest {
    pub listen_addr: String,
    pub advertise_addr: String,
    pub data_path_addr: String,
    /// Addresses of managers, any of which will do.
    pub remote_addrs: Vec<String>,
    pub join_token: String,
    pub availability: NodeAvailability,
}

/// `POST /swarm/unlock`, and the answer of `GET /swarm/unlockkey`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UnlockRequest {
    pub unlock_key: String,
}

/// What this host is in the swarm: the `Swarm` block of `GET /info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmInfo {
    #[serde(rename = "NodeID")]
    pub node_id: String,
    pub node_addr: String,
    pub local_node_state: LocalNodeState,
    /// Whether this host is a manager.
    pub control_available: bool,
    pub error: String,
    /// Go writes `null` outside a swarm.
    pub remote_managers: Option<Vec<Peer>>,
    #[serde(skip_serializing_if = "unset")]
    pub nodes: u64,
    #[serde(skip_serializing_if = "unset")]
    pub managers: u64,
    /// On managers only.
    #[serde(skip_serializing_if = "unset")]
    pub cluster: Option<ClusterInfo>,
    #[serde(skip_serializing_if = "unset")]
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Peer {
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// `ADDRESS:PORT`.
    pub addr: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalNodeState {
    #[default]
    #[serde(alias = "")]
    Inactive,
    Pending,
    Active,
    Error,
    Locked,
}

impl LocalNodeState {
    /// The word that JSON and the `Swarm` header carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Error => "error",
            Self::Locked => "locked",
        }
    }
}
