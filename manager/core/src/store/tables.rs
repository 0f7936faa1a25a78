//! The objects by identity and by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_proto::model::{Cluster, Network, NetworkId, Node, NodeId, Role, Service, ServiceId, Task, TaskId};

use crate::Member;

/// All objects, as of one log index.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    index: u64,
    cluster: Option<Arc<Cluster>>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    networks: BTreeMap<NetworkId, Arc<Network>>,
    services: BTreeMap<ServiceId, Arc<Service>>,
    tasks: BTreeMap<TaskId, Arc<Task>>,
}

impl Tables {
    /// The last entry of the log that these tables reflect.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The swarm; `None` before this plane has heard of it.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// All nodes, in the order of their ids.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// One network.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(&id)
    }

    /// All networks, in the order of their ids.
    pub fn networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.networks.values()
    }

    /// One service.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.services.get(&id)
    }

    /// All services, in the order of their ids.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// One task.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.tasks.get(&id)
    }

    /// All tasks, in the order of their ids.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values()
    }

    /// The managers, in the order of their numbers in the consensus.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let member = |node: &Arc<Node>| {
            let manager = node.manager.as_ref()?;
            Some(Member { raft_id: manager.raft_id, node: node.id, address: manager.address.clone() })
        };
        let mut members: Vec<Member> = self.nodes().filter_map(member).collect();
        members.sort_by_key(|member| member.raft_id);
        members
    }

    /// The role that a node's certificate should have now: what the certificate authority issues, and what the node is
    /// told. A manager that is to become a worker keeps its certificate until it has left the consensus.
    #[must_use]
    pub fn certificate_role(&self, id: NodeId) -> Option<Role> {
        let node = self.node(id)?;
        let manages = node.spec.role == Role::Manager || node.manager.is_some();
        Some(if manages { Role::Manager } else { Role::Worker })
    }
}
