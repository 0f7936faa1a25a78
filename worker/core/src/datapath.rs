//! Networks, peers and published services: what the kernel should show, what it was told, and the next step between.
//!
//! Leaves endpoints of tasks to the task machines, which ask here whether their networks stand and whether they still
//! get new connections. Invariant: one operation a network and one service set are under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_proto::model::{
    AssignmentSet, NetworkAssignment, NetworkId, NodeId, PeerEndpoints, ServiceId, ServiceSet, TaskId, Timestamp,
};

use crate::retry::Retry;
use crate::{Action, CoreLimits};

type Peers = BTreeMap<NodeId, PeerEndpoints>;

/// What the kernel should show and what it was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct DataPath {
    networks: BTreeMap<NetworkId, NetworkMachine>,
    services: Services,
}

#[derive(Debug, Clone, Default)]
struct NetworkMachine {
    wanted: Option<NetworkAssignment>,
    wanted_peers: Arc<Peers>,
    held: Option<NetworkAssignment>,
    held_peers: Arc<Peers>,
    /// It was found at start, as nobody knows what.
    found: bool,
    under_way: Option<NetworkStep>,
    retry: Retry,
}

#[derive(Debug, Clone, PartialEq)]
enum NetworkStep {
    Ensure(NetworkAssignment),
    SetPeers(Arc<Peers>),
    Remove,
}

#[derive(Debug, Clone, Default)]
struct Services {
    wanted: Arc<ServiceSet>,
    /// `None` until the first set was written: what an earlier process left there is not known.
    held: Option<Arc<ServiceSet>>,
    under_way: Option<Arc<ServiceSet>>,
    retry: Retry,
}

impl DataPath {
    /// Takes over what is wanted of networks and peers.
    pub(crate) fn assign(&mut self, set: &AssignmentSet) {
        let mut peers: BTreeMap<NetworkId, Peers> = BTreeMap::new();
        for ((network, node), peer) in &set.peers {
            peers.entry(*network).or_default().insert(*node, peer.clone());
        }
        for id in set.networks.keys() {
            self.networks.entry(*id).or_default();
        }
        for (id, machine) in &mut self.networks {
            machine.wanted = set.networks.get(id).cloned();
            let wanted_peers = peers.remove(id).unwrap_or_default();
            if *machine.wanted_peers != wanted_peers {
                machine.wanted_peers = Arc::new(wanted_peers);
            }
        }
    }

    /// Takes over which networks an earlier process left in the kernel.
    pub(crate) fn adopt(&mut self, found: Vec<NetworkId>) {
        for id in found {
            let machine = self.networks.entry(id).or_default();
            machine.found = machine.held.is_none();
        }
    }

    /// Takes over what is wanted of services: backends of this node that should get no connections are left out already.
    pub(crate) fn assign_services(&mut self, wanted: ServiceSet) {
        if *self.services.wanted != wanted {
            self.services.wanted = Arc::new(wanted);
        }
    }

    /// Whether a network stands, so that endpoints can be attached to it.
    pub(crate) fn is_ready(&self, network: NetworkId) -> bool {
        self.networks.get(&network).is_some_and(|machine| {
            // One that was let go and is wanted again goes first: an endpoint on it would lose it.
            let goes = matches!(machine.under_way, Some(NetworkStep::Remove));
            machine.held.is_some() && machine.wanted.is_some() && !goes
        })
    }

    /// Whether the kernel may still send new connections to a task.
    pub(crate) fn may_serve(&self, service: ServiceId, task: TaskId) -> bool {
        let names = |set: &Option<Arc<ServiceSet>>| set.as_ref().is_some_and(|set| set.leads_to(service, task));
        names(&self.services.held) || names(&self.services.under_way)
    }

    /// Whether the kernel shows all that is wanted.
    pub(crate) fn is_settled(&self) -> bool {
        let networks = self.networks.values().all(|machine| machine.under_way.is_none() && machine.shows_wanted());
        let services = &self.services;
        networks && services.under_way.is_none() && services.held.as_ref() == Some(&services.wanted)
    }

    /// The routing mesh's network, when it stands, and who else is on it.
    pub(crate) fn mesh(&self) -> Option<(NetworkId, &BTreeMap<NodeId, PeerEndpoints>)> {
        let is_mesh = |machine: &&NetworkMachine| {
            machine.held.as_ref().is_some_and(|held| held.ingress) && machine.wanted.is_some()
        };
        let (id, machine) = self.networks.iter().find(|(_, machine)| is_mesh(machine))?;
        Some((*id, &machine.held_peers))
    }

    /// Whether no network is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Names the next steps. `in_use` says whether endpoints are attached to a network.
    pub(crate) fn step(&mut self, now: Timestamp, in_use: impl Fn(NetworkId) -> bool) -> Vec<Action> {
        self.networks.retain(|_, machine| !machine.is_gone());
        let mut actions: Vec<Action> =
            self.networks.iter_mut().filter_map(|(id, machine)| machine.step(*id, now, &in_use)).collect();
        actions.extend(self.services.step(now));
        actions
    }

    /// When a failed step is due again.
    pub(crate) fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let networks = self.networks.values().filter_map(|machine| machine.retry.wait(now));
        networks.chain(self.services.retry.wait(now)).min()
    }

    /// A step on a network is done.
    pub(crate) fn done(&mut self, network: NetworkId, outcome: NetworkOutcome) {
        let Some(machine) = self.networks.get_mut(&network) else { return };
        match (outcome, machine.under_way.take()) {
            (NetworkOutcome::Ready, Some(NetworkStep::Ensure(held))) => {
                machine.held = Some(held);
                machine.found = false;
            }
            (NetworkOutcome::PeersSet, Some(NetworkStep::SetPeers(held))) => machine.held_peers = held,
            (NetworkOutcome::Removed, Some(NetworkStep::Remove)) => {
                machine.held = None;
                machine.found = false;
                machine.held_peers = Arc::default();
            }
            (_, other) => {
                // A repeated answer to an earlier step.
                machine.under_way = other;
                return;
            }
        }
        machine.retry.succeeded();
    }

    /// The step under way on a network failed.
    pub(crate) fn failed(&mut self, network: NetworkId, now: Timestamp, limits: &CoreLimits) {
        if let Some(machine) = self.networks.get_mut(&network)
            && machine.under_way.take().is_some()
        {
            machine.retry.failed(now, limits);
        }
    }

    /// The kernel shows the service set that was under way.
    pub(crate) fn services_done(&mut self) {
        if let Some(set) = self.services.under_way.take() {
            self.services.held = Some(set);
            self.services.retry.succeeded();
        }
    }

    /// The kernel kept the old service set.
    pub(crate) fn services_failed(&mut self, now: Timestamp, limits: &CoreLimits) {
        if self.services.under_way.take().is_some() {
            self.services.retry.failed(now, limits);
        }
    }
}

/// Which step on a network is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NetworkOutcome {
    Ready,
    PeersSet,
    Removed,
}

impl NetworkMachine {
    fn shows_wanted(&self) -> bool {
        self.wanted == self.held && !self.found && (self.held.is_none() || self.wanted_peers == self.held_peers)
    }

    fn is_gone(&self) -> bool {
        self.wanted.is_none() && self.held.is_none() && !self.found && self.under_way.is_none()
    }

    fn step(&mut self, id: NetworkId, now: Timestamp, in_use: impl Fn(NetworkId) -> bool) -> Option<Action> {
        if self.under_way.is_some() || self.shows_wanted() || self.retry.wait(now).is_some() {
            return None;
        }
        let (step, action) = match &self.wanted {
            None if in_use(id) => return None,
            None => (NetworkStep::Remove, Action::RemoveNetwork { network: id }),
            Some(wanted) if self.held.as_ref() != Some(wanted) => {
                let action = Action::EnsureNetwork { network: id, assignment: wanted.clone() };
                (NetworkStep::Ensure(wanted.clone()), action)
            }
            Some(_) => {
                let peers = BTreeMap::clone(&self.wanted_peers);
                (NetworkStep::SetPeers(Arc::clone(&self.wanted_peers)), Action::SetPeers { network: id, peers })
            }
        };
        self.under_way = Some(step);
        Some(action)
    }
}

impl Services {
    fn step(&mut self, now: Timestamp) -> Option<Action> {
        if self.under_way.is_some() || self.held.as_ref() == Some(&self.wanted) || self.retry.wait(now).is_some() {
            return None;
        }
        self.under_way = Some(Arc::clone(&self.wanted));
        Some(Action::SetServices(Arc::clone(&self.wanted)))
    }
}
