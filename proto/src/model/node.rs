//! A node: a host that joined the swarm.

use serde::{Deserialize, Serialize};

use super::{Cidr, Labels, Meta, NodeId, ResourceReservations, Timestamp, TunnelKey};

/// A node in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Identity; the common name of its certificate.
    pub id: NodeId,
    /// Version and times.
    pub meta: Meta,
    /// The wish.
    pub spec: NodeSpec,
    /// The role that its certificate says; follows the spec's.
    pub role: Role,
    /// What it said of itself.
    pub description: NodeDescription,
    /// Whether it is heard of.
    pub status: NodeStatus,
    /// Its place among the managers.
    pub manager: Option<ManagerStatus>,
    /// Where other hosts send overlay traffic for it: an IP address.
    pub data_path_address: String,
    /// Its own address on the ingress network, once allocated.
    pub ingress_address: Option<Cidr>,
}

/// What a user decides of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Mostly empty; the host name serves.
    pub name: String,
    /// For constraints.
    pub labels: Labels,
    /// The wanted role.
    pub role: Role,
    /// Whether it gets tasks.
    pub availability: Availability,
}

/// What a node does in the swarm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Runs tasks.
    #[default]
    Worker,
    /// Runs tasks and holds the log.
    Manager,
}

/// Whether a node gets tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// It does.
    #[default]
    Active,
    /// It keeps what it has.
    Pause,
    /// It gives up what it has.
    Drain,
}

/// What a node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeDescription {
    /// The host's name.
    pub hostname: String,
    /// What it runs on.
    pub platform: Platform,
    /// What it has in all.
    pub resources: ResourceReservations,
    /// shoald's version.
    pub engine_version: String,
    /// shoald's labels.
    pub engine_labels: Labels,
    /// What it can do.
    pub plugins: Vec<Plugin>,
    /// Its public keys of the tunnel that encrypted networks go through, the one in use first: one, or two while one
    /// replaces the other.
    pub tunnel_keys: Vec<TunnelKey>,
}

/// Operating system and processor, in Go's words (`linux`, `amd64`) or uname's (`x86_64`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// Processor; empty: any.
    pub architecture: String,
    /// Operating system; empty: any.
    pub os: String,
}

/// Something a node can do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Plugin {
    /// Volume, Network, Log.
    pub kind: String,
    /// local, overlay, json-file, ...
    pub name: String,
}

/// Whether a node is heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What the managers believe.
    pub state: NodeState,
    /// Why.
    pub message: String,
    /// Its address as seen by the managers.
    pub address: String,
    /// Since when.
    pub since: Timestamp,
}

/// What the managers believe of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NodeState {
    /// Not heard of since the last change of leader.
    Unknown,
    /// Missed its heartbeats, or never came.
    Down,
    /// Heard of.
    Ready,
    /// Left in order.
    Disconnected,
}

/// A node's place among the managers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerStatus {
    /// Its number in the consensus; never used twice.
    pub raft_id: u64,
    /// host:port where the other managers reach it.
    pub address: String,
}

/// Whether the leader hears of a manager.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Reachability {
    #[default]
    Unknown,
    Unreachable,
    Reachable,
}
