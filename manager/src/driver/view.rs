//! What others may know of the swarm without asking the driver.

use std::collections::BTreeSet;
use std::sync::Arc;

use shoal_manager_core::{Leadership, Member};
use shoal_proto::model::Cluster;

/// Published whenever it changes. On a follower it may lag behind the leader.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) leadership: Leadership,
    /// The swarm's settings; `None` until the log brings them.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// All managers, this one included.
    pub(crate) members: Vec<Member>,
    /// Those of them that vote; the others still catch up.
    pub(crate) voters: Vec<u64>,
    /// The others to whom a connection stands.
    pub(crate) reachable: BTreeSet<u64>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            leadership: Leadership::Follower { leader: None },
            cluster: None,
            members: Vec::new(),
            voters: Vec::new(),
            reachable: BTreeSet::new(),
        }
    }
}

impl View {
    pub(crate) fn is_leader(&self) -> bool {
        matches!(self.leadership, Leadership::Leader)
    }

    /// host:port of the leader, when it is another and known.
    pub(crate) fn leader_address(&self) -> Option<&str> {
        match &self.leadership {
            Leadership::Follower { leader: Some(leader) } => Some(&leader.address),
            _ => None,
        }
    }
}
