//! What others may know of this node's membership.

use shoal_manager::ManagerHandle;
use shoal_proto::model::{NodeId, Role};

/// Whether this node is in a swarm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Membership {
    /// In none.
    #[default]
    Inactive,
    /// Joining.
    Pending,
    /// In one.
    Active,
    /// In one that it can't serve; [`SwarmView::error`] says why.
    Error,
}

/// What others may know of this node's membership.
#[derive(Debug, Clone, Default)]
pub struct SwarmView {
    /// Whether it is in a swarm.
    pub membership: Membership,
    /// Its name there.
    pub node: Option<NodeId>,
    /// What its certificate says.
    pub role: Role,
    /// Its address as told to the others, without the port.
    pub address: String,
    /// host:port of the managers.
    pub managers: Vec<String>,
    /// Its manager, while it is one.
    pub manager: Option<ManagerHandle>,
    /// What is wrong.
    pub error: String,
}
