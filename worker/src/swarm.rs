//! How a worker takes part in a swarm: what it must be given for that, and what it hears there that is the node's matter.

use std::error::Error;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use shoal_proto::model::{NodeId, Role};
use tonic::transport::Channel;

/// Makes connections to managers. The node implements it with its certificate; a test without one.
#[async_trait::async_trait]
pub trait Connect: Debug + Send + Sync {
    /// A connection to the manager at `address` (host:port).
    ///
    /// # Errors
    /// When no connection can be made. Whether the manager is there may show only at the first call.
    async fn connect(&self, address: &str) -> Result<Channel, Box<dyn Error + Send + Sync>>;
}

/// What a worker needs to take part in a swarm.
#[derive(Debug, Clone)]
pub struct SwarmSession {
    /// This node.
    pub node: NodeId,
    /// host:port of the managers known so far; the session keeps its own list up to date.
    pub managers: Vec<String>,
    /// Where the other hosts send overlay traffic for this one.
    pub data_path_address: IpAddr,
    /// Makes connections.
    pub connect: Arc<dyn Connect>,
}

/// What a worker hears from the managers that is the node's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEvent {
    /// host:port of every manager, the leader first: to be kept for the next start.
    Managers(Vec<String>),
    /// What this node should be; a difference from its certificate asks for a renewal.
    RoleWanted(Role),
    /// The roots to trust, PEM.
    RootChanged(String),
    /// The managers removed this node; its tasks were given up.
    Removed,
}
