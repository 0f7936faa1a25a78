//! The swarm itself: its settings, its certificate authority, its tokens.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cidr, ClusterId, Labels, Meta};

/// The swarm in the store; there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Identity; the organisation in every node's certificate.
    pub id: ClusterId,
    /// Version and times.
    pub meta: Meta,
    /// The settings.
    pub spec: ClusterSpec,
    /// The certificate authority.
    pub root_ca: RootCa,
    /// What joining hosts show.
    pub join_tokens: JoinTokens,
    /// Where subnets come from.
    pub default_address_pool: Vec<Cidr>,
    /// Prefix length of a subnet from the pools.
    pub subnet_size: u8,
    /// UDP port of overlay traffic.
    pub data_path_port: u16,
}

/// Settings of a swarm; zero values of update requests stay zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterSpec {
    /// The swarm's labels.
    pub labels: Labels,
    /// Ended tasks kept a slot; 5 unless said. Negative: all.
    pub task_history_retention_limit: i64,
    /// The consensus.
    pub raft: RaftConfig,
    /// How often a worker is heard; 1 s unless said.
    pub heartbeat_period: Duration,
    /// Certificates.
    pub ca: CaConfig,
    /// Managers need a key to start.
    pub autolock_managers: bool,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            labels: Labels::new(),
            task_history_retention_limit: 5,
            raft: RaftConfig::default(),
            heartbeat_period: Duration::from_secs(1),
            ca: CaConfig::default(),
            autolock_managers: false,
        }
    }
}

/// Settings of the consensus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RaftConfig {
    /// Entries between snapshots.
    pub snapshot_interval: u64,
    /// Old snapshots kept.
    pub keep_old_snapshots: u64,
    /// Entries kept behind a snapshot for followers that lag.
    pub log_entries_for_slow_followers: u64,
    /// Ticks without a leader before an election.
    pub election_tick: u64,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_tick: u64,
}

impl Default for RaftConfig {
    fn default() -> Self {
        Self {
            snapshot_interval: 10_000,
            keep_old_snapshots: 0,
            log_entries_for_slow_followers: 500,
            election_tick: 10,
            heartbeat_tick: 1,
        }
    }
}

/// Settings of the certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaConfig {
    /// Life of a node's certificate: 90 days unless said, at least an hour.
    pub node_certificate_expiry: Duration,
}

impl Default for CaConfig {
    fn default() -> Self {
        Self { node_certificate_expiry: Duration::from_secs(2160 * 3600) }
    }
}

/// The certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCa {
    /// PEM, one certificate.
    pub certificate_pem: String,
    /// PEM, PKCS#8.
    pub key_pem: Sensitive,
}

/// What joining hosts show: `SWMTKN-1-<root digest>-<secret>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTokens {
    /// Makes a worker.
    pub worker: Sensitive,
    /// Makes a manager.
    pub manager: Sensitive,
}

/// Tokens to be replaced, with the secrets to replace them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRotation {
    /// The new worker token.
    pub worker: Option<Sensitive>,
    /// The new manager token.
    pub manager: Option<Sensitive>,
}

/// Text that must not be printed: `Debug` shows that it is there, and no more.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive(pub String);

impl fmt::Debug for Sensitive {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<{} hidden bytes>", self.0.len())
    }
}
