//! What a worker is told: the whole set first, then differences; and what it reports.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Cidr, EndpointDigest, LocalNetwork, NetworkId, NodeId, PayloadId, PayloadKind, PortConfig, SensitiveBytes,
    ServiceId, Task, TaskId, TaskStatus, TemplateDriver, TunnelKey,
};

/// Numbers the sets that one session was told, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// All that one worker should know and do, but for secrets and configs, which it may not keep on disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssignmentSet {
    /// Its tasks.
    pub tasks: BTreeMap<TaskId, TaskAssignment>,
    /// The networks that its tasks and its published ports need.
    pub networks: BTreeMap<NetworkId, NetworkAssignment>,
    /// Who is where on those networks, by network and host. This worker itself is left out.
    pub peers: BTreeMap<(NetworkId, NodeId), PeerEndpoints>,
    /// Services with published ports, and where they are answered.
    pub services: BTreeMap<ServiceId, ServiceEndpoints>,
    /// What services are to the containers of the networks above.
    pub names: BTreeMap<(NetworkId, ServiceId), NetworkService>,
    /// Tasks of this worker that no host sends new connections to any more: they may be stopped.
    pub drained: BTreeMap<TaskId, Drained>,
}

/// Every host has acknowledged that a task is out of balancing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// The log's index by which the task left.
    pub index: u64,
}

/// A task for a worker. Its `status` is not kept up to date here: the worker knows better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskAssignment {
    /// The task as stored when spec, desired state or addresses last changed.
    pub task: Task,
    /// What it has of its host's own networks, as the managers understand the wishes in its spec.
    pub local_network: LocalNetwork,
}

/// A secret or config that a task of the worker refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadAssignment {
    /// Which of the two.
    pub kind: PayloadKind,
    /// Its content, or the template of it.
    pub data: SensitiveBytes,
    /// How the content is made of the data; `None`: it is the data.
    pub template: Option<TemplateDriver>,
}

/// A network that a worker needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAssignment {
    /// For people.
    pub name: String,
    /// The routing mesh's network.
    pub ingress: bool,
    /// All its addresses.
    pub subnet: Cidr,
    /// The VXLAN network identifier.
    pub vni: u32,
    /// UDP port of overlay traffic.
    pub data_path_port: u16,
    /// This worker's own address there; only the routing mesh needs one.
    pub node_address: Option<Cidr>,
    /// Largest packet of containers, bytes, when the user named one.
    pub mtu: Option<u32>,
    /// No way out for those who are on no other network.
    pub internal: bool,
    /// Its packets go between hosts through the tunnel only.
    #[serde(default)]
    pub encrypted: bool,
}

/// The endpoints that one host has on a network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerEndpoints {
    /// Where to send overlay traffic for them.
    pub host: IpAddr,
    /// Their addresses, the host's own included.
    pub addresses: Vec<IpAddr>,
    /// The host's own, on the routing mesh's network.
    #[serde(default)]
    pub own: Option<IpAddr>,
    /// On an encrypted network, the host's keys of the tunnel, the one in use first.
    #[serde(default)]
    pub tunnel_keys: Vec<TunnelKey>,
}

/// A service with published ports, and where it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceEndpoints {
    /// For people.
    pub name: String,
    /// Ports in ingress mode, all numbers chosen.
    pub ports: Vec<PortConfig>,
    /// Running tasks.
    pub backends: BTreeMap<TaskId, ServiceBackend>,
}

/// A running task that answers for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceBackend {
    /// On the ingress network.
    pub address: IpAddr,
    /// Its host.
    pub node: NodeId,
}

/// Where new connections lead: what a host's kernel and its resolver should show, as one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceSet {
    /// Services with published ports.
    pub published: BTreeMap<ServiceId, ServiceEndpoints>,
    /// Services on the networks of this host.
    pub names: BTreeMap<(NetworkId, ServiceId), NetworkService>,
}

impl ServiceSet {
    /// Whether new connections to a service may reach a task.
    #[must_use]
    pub fn leads_to(&self, service: ServiceId, task: TaskId) -> bool {
        self.published.get(&service).is_some_and(|service| service.backends.contains_key(&task))
            || self.names.iter().any(|((_, id), it)| *id == service && it.tasks.contains_key(&task))
    }
}

/// What a service is to the containers of one network: names, and where they lead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkService {
    /// The service's name.
    pub name: String,
    /// Further names there.
    pub aliases: Vec<String>,
    /// The address that its names lead to; `None`: they lead to its tasks.
    pub vip: Option<IpAddr>,
    /// Running tasks.
    pub tasks: BTreeMap<TaskId, NetworkTask>,
}

/// A running task as the containers of one network see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkTask {
    /// `service.slot.id`.
    pub name: String,
    /// There.
    pub address: IpAddr,
    /// Its host.
    pub node: NodeId,
}

/// From one set to the next; from nothing when `base` is zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssignmentDiff {
    /// The revision that this changes; zero: none, the set is whole.
    pub base: Revision,
    /// The revision that results.
    pub result: Revision,
    /// `None` takes the entry away.
    pub tasks: BTreeMap<TaskId, Option<TaskAssignment>>,
    /// `None` takes the entry away.
    pub networks: BTreeMap<NetworkId, Option<NetworkAssignment>>,
    /// `None` takes the entry away.
    pub peers: BTreeMap<(NetworkId, NodeId), Option<PeerEndpoints>>,
    /// `None` takes the entry away.
    pub services: BTreeMap<ServiceId, Option<ServiceEndpoints>>,
    /// `None` takes the entry away.
    pub names: BTreeMap<(NetworkId, ServiceId), Option<NetworkService>>,
    /// `None` takes the entry away.
    pub drained: BTreeMap<TaskId, Option<Drained>>,
    /// Secrets and configs that tasks refer to; `None` takes the entry away. They are no part of [`AssignmentSet`]:
    /// whoever applies the difference takes them out first.
    pub payloads: BTreeMap<PayloadId, Option<Arc<PayloadAssignment>>>,
    /// The log's index that the resulting set reflects.
    pub index: u64,
    /// The host is to compare its kernel with this set and say what differs, under this number.
    pub verify: Option<u64>,
}

impl AssignmentDiff {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.base != Revision(0)
            && self.tasks.is_empty()
            && self.networks.is_empty()
            && self.peers.is_empty()
            && self.services.is_empty()
            && self.names.is_empty()
            && self.drained.is_empty()
            && self.verify.is_none()
            && self.payloads.is_empty()
    }
}

impl AssignmentSet {
    /// What leads from `self`, known as `base`, to `newer`. With `base` zero, `self` should be empty.
    #[must_use]
    pub fn difference(&self, newer: &AssignmentSet, base: Revision) -> AssignmentDiff {
        AssignmentDiff {
            base,
            result: Revision(base.0 + 1),
            tasks: map_difference(&self.tasks, &newer.tasks),
            networks: map_difference(&self.networks, &newer.networks),
            peers: map_difference(&self.peers, &newer.peers),
            services: map_difference(&self.services, &newer.services),
            names: map_difference(&self.names, &newer.names),
            drained: map_difference(&self.drained, &newer.drained),
            payloads: BTreeMap::new(),
            index: 0,
            verify: None,
        }
    }

    /// The digest of where connections lead.
    #[must_use]
    pub fn endpoint_digest(&self) -> u64 {
        EndpointDigest::of(self.services.iter(), self.names.iter(), self.peers.iter())
    }

    /// Applies a difference. The caller has checked that `base` is the revision held; a whole set replaces this one.
    pub fn apply(&mut self, diff: AssignmentDiff) {
        if diff.base == Revision(0) {
            *self = AssignmentSet::default();
        }
        map_apply(&mut self.tasks, diff.tasks);
        map_apply(&mut self.networks, diff.networks);
        map_apply(&mut self.peers, diff.peers);
        map_apply(&mut self.services, diff.services);
        map_apply(&mut self.names, diff.names);
        map_apply(&mut self.drained, diff.drained);
    }
}

/// What a worker observed of one of its tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Which.
    pub task: TaskId,
    /// What.
    pub status: TaskStatus,
}

fn map_difference<K: Ord + Copy, V: PartialEq + Clone>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> BTreeMap<K, Option<V>> {
    let changed = new.iter().filter(|(key, value)| old.get(key) != Some(value)).map(|(k, v)| (*k, Some(v.clone())));
    let gone = old.keys().filter(|key| !new.contains_key(key)).map(|key| (*key, None));
    changed.chain(gone).collect()
}

fn map_apply<K: Ord, V>(map: &mut BTreeMap<K, V>, diff: BTreeMap<K, Option<V>>) {
    for (key, value) in diff {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Id;
    use proptest::prelude::*;

    fn set(members: &[(u8, u8)]) -> AssignmentSet {
        let mut set = AssignmentSet::default();
        for (key, value) in members {
            let peer = PeerEndpoints {
                host: IpAddr::from([10, 0, 0, *value]),
                addresses: Vec::new(),
                own: None,
                tunnel_keys: vec![TunnelKey([*value; 32])],
            };
            let key = (NetworkId::from_random(u128::from(*key)), NodeId::from_random(1));
            set.peers.insert(key, peer);
        }
        set
    }

    proptest! {
        #[test]
        fn difference_leads_there(old: Vec<(u8, u8)>, new: Vec<(u8, u8)>) {
            let (mut old, new) = (set(&old), set(&new));
            let diff = old.difference(&new, Revision(3));
            let bytes = crate::codec::encode(&diff).unwrap();
            old.apply(crate::codec::decode(&bytes).unwrap());
            prop_assert_eq!(old, new);
        }
    }
}
