//! What the node hands to its manager: where it stands, its keys, and, at init, what the new swarm is to be.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use shoal_proto::model::{Availability, Cidr, ClusterId, ClusterSpec, JoinTokens, NodeDescription, NodeId, RootCa};

use crate::tls::NodeTls;

/// Where a manager stands and with what it speaks.
#[derive(Debug, Clone)]
pub struct ManagerConfig {
    /// This node; the common name of its certificate.
    pub node: NodeId,
    /// The swarm; the organisation of its certificate. Callers of another are refused.
    pub cluster: ClusterId,
    /// Where to listen for gRPC; the port is 2377 unless the user says otherwise.
    pub listen: SocketAddr,
    /// host:port where the other managers and the workers reach this one; port zero stands for the one that is bound.
    pub advertise: String,
    /// Holds the log and the snapshots; made if it is missing.
    pub data_dir: PathBuf,
    /// Encrypts them.
    pub data_key: DataKey,
    /// The node's certificate and the swarm's root.
    pub tls: NodeTls,
}

/// What a new swarm is to be, drawn and decided by its first node.
#[derive(Debug, Clone)]
pub struct InitParameters {
    /// The settings.
    pub spec: ClusterSpec,
    /// Made by [`crate::ca::Root::generate`]; this node's certificate is signed by it.
    pub root_ca: RootCa,
    /// Made by [`crate::ca::JoinToken::new`].
    pub join_tokens: JoinTokens,
    /// Where subnets come from.
    pub default_address_pool: Vec<Cidr>,
    /// Prefix length of a subnet from the pools.
    pub subnet_size: u8,
    /// UDP port of overlay traffic.
    pub data_path_port: u16,
    /// What the first node says of itself.
    pub description: NodeDescription,
    /// Whether it gets tasks.
    pub availability: Availability,
    /// Where other hosts send overlay traffic for it: an IP address.
    pub data_path_address: String,
}

/// 32 random bytes under which a manager's log and snapshots are encrypted. The caller keeps them in a file that only
/// root can read, made before the first start.
#[derive(Clone)]
pub struct DataKey(pub [u8; 32]);

impl fmt::Debug for DataKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DataKey(<hidden>)")
    }
}
