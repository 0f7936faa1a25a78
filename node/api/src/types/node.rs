//! Nodes of the swarm.

use serde::{Deserialize, Serialize};

use super::json::unset;
use super::swarm::Version;
use super::{Base64Bytes, Resources, StringMap, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    #[serde(rename = "ID")]
    pub id: String,
    pub version: Version,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub spec: NodeSpec,
    pub description: NodeDescription,
    pub status: NodeStatus,
    /// On managers only.
    #[serde(skip_serializing_if = "unset")]
    pub manager_status: Option<ManagerStatus>,
}

/// What the user wants of a node; the body of `POST /nodes/{id}/update`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeSpec {
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    pub labels: StringMap,
    pub role: NodeRole,
    pub availability: NodeAvailability,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    #[default]
    #[serde(alias = "")]
    Worker,
    Manager,
}

/// Whether the scheduler may use a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeAvailability {
    #[default]
    #[serde(alias = "")]
    Active,
    /// Keeps its tasks, gets no new ones.
    Pause,
    /// Its tasks move elsewhere.
    Drain,
}

/// What a node reports of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeDescription {
    #[serde(skip_serializing_if = "unset")]
    pub hostname: String,
    pub platform: Platform,
    pub resources: Resources,
    pub engine: EngineDescription,
    #[serde(rename = "TLSInfo")]
    pub tls_info: TlsInfo,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Platform {
    /// As the kernel says it (`x86_64`) or as Go does (`amd64`).
    #[serde(skip_serializing_if = "unset")]
    pub architecture: String,
    #[serde(rename = "OS", skip_serializing_if = "unset")]
    pub os: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineDescription {
    #[serde(skip_serializing_if = "unset")]
    pub engine_version: String,
    #[serde(skip_serializing_if = "unset")]
    pub labels: StringMap,
    #[serde(skip_serializing_if = "unset")]
    pub plugins: Vec<PluginDescription>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PluginDescription {
    /// `Volume`, `Network` or `Log`.
    #[serde(rename = "Type", skip_serializing_if = "unset")]
    pub kind: String,
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
}

/// The certificates that a node or a swarm trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TlsInfo {
    /// PEM.
    #[serde(skip_serializing_if = "unset")]
    pub trust_root: String,
    /// DER.
    #[serde(skip_serializing_if = "unset")]
    pub cert_issuer_subject: Base64Bytes,
    /// DER.
    #[serde(skip_serializing_if = "unset")]
    pub cert_issuer_public_key: Base64Bytes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeStatus {
    pub state: NodeState,
    #[serde(skip_serializing_if = "unset")]
    pub message: String,
    #[serde(skip_serializing_if = "unset")]
    pub addr: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    #[default]
    #[serde(alias = "")]
    Unknown,
    Down,
    Ready,
    Disconnected,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManagerStatus {
    #[serde(skip_serializing_if = "unset")]
    pub leader: bool,
    pub reachability: Reachability,
    /// `ADDRESS:PORT`.
    #[serde(skip_serializing_if = "unset")]
    pub addr: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    #[default]
    #[serde(alias = "")]
    Unknown,
    Unreachable,
    Reachable,
}
