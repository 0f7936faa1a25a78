//! What outlives a worker's process: containers and their keeper, endpoints, networks, images, the worker's files.
//!
//! Each effect may be repeated, as the real ones: what stands already is left as it is, what is gone is no error. What
//! no correct worker asks for is a [`Misuse`], which the checkers report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shoal_proto::model::{
    NetworkAssignment, NetworkId, NodeId, PeerEndpoints, PortConfig, PortProtocol, PublishMode, ServiceSet, TaskExit,
    TaskId, Timestamp,
};
use shoal_worker_core::{
    AdoptedContainer, AdoptedState, ContainerExit, EndpointInfo, EndpointPlan, Failure, FailureKind, Saved,
};

/// One host below its daemon.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kernel {
    pub(crate) containers: BTreeMap<TaskId, Container>,
    pub(crate) endpoints: BTreeMap<TaskId, EndpointPlan>,
    pub(crate) networks: BTreeMap<NetworkId, Standing>,
    pub(crate) services: Option<Arc<ServiceSet>>,
    pub(crate) images: BTreeSet<String>,
    pub(crate) saved: Saved,
    starts: u64,
}

/// A container and the keeper's record of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Container {
    pub(crate) state: AdoptedState,
    /// Tells this one from others of the same task, before and after.
    pub(crate) start: u64,
    /// It was sent its stop signal.
    pub(crate) stopping: bool,
}

/// A network in the kernel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) assignment: NetworkAssignment,
    pub(crate) peers: BTreeMap<NodeId, PeerEndpoints>,
}

/// A worker asked for something that no correct worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misuse(pub(crate) String);

/// How an effect ended: done, failed in a way that a worker must bear, or asked for wrongly.
pub(crate) type Effect<T> = Result<Result<T, Failure>, Misuse>;

impl Container {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, AdoptedState::Running { .. })
    }
}

impl Kernel {
    /// A container's id, a function of its task's.
    pub(crate) fn container_id(task: TaskId) -> String {
        format!("c-{task}")
    }

    /// Tasks whose containers run.
    pub(crate) fn running(&self) -> impl Iterator<Item = TaskId> {
        self.containers.iter().filter(|(_, container)| container.is_running()).map(|(task, _)| *task)
    }

    /// What a starting worker finds, after endpoints without a live container were removed.
    pub(crate) fn adopt(&mut self) -> (Vec<NetworkId>, Vec<AdoptedContainer>) {
        let lives =
            |container: &Container| matches!(container.state, AdoptedState::Running { .. } | AdoptedState::Created);
        let containers = &self.containers;
        self.endpoints.retain(|task, _| containers.get(task).is_some_and(lives));
        let found = self.containers.iter().map(|(task, container)| AdoptedContainer {
            task: *task,
            container: Self::container_id(*task),
            state: container.state.clone(),
            endpoint: self.endpoints.get(task).map(EndpointInfoOf::info),
        });
        (self.networks.keys().copied().collect(), found.collect())
    }

    pub(crate) fn ensure_network(&mut self, network: NetworkId, assignment: NetworkAssignment) {
        let peers = self.networks.remove(&network).map(|standing| standing.peers).unwrap_or_default();
        self.networks.insert(network, Standing { assignment, peers });
    }

    pub(crate) fn remove_network(&mut self, network: NetworkId) -> Result<(), Misuse> {
        let attached = |plan: &EndpointPlan| plan.attachments.iter().any(|at| at.network == network);
        if let Some((task, _)) = self.endpoints.iter().find(|(_, plan)| attached(plan)) {
            return Err(Misuse(format!("network {network} removed while task {task} is attached to it")));
        }
        self.networks.remove(&network);
        Ok(())
    }

    pub(crate) fn set_peers(
        &mut self,
        network: NetworkId,
        peers: BTreeMap<NodeId, PeerEndpoints>,
    ) -> Result<(), Misuse> {
        let Some(standing) = self.networks.get_mut(&network) else {
            return Err(Misuse(format!("peers of network {network}, which does not stand")));
        };
        standing.peers = peers;
        Ok(())
    }

    pub(crate) fn create_endpoint(&mut self, plan: &EndpointPlan) -> Effect<EndpointInfo> {
        if let Some(missing) = plan.attachments.iter().find(|at| !self.networks.contains_key(&at.network)) {
            let text = format!("endpoint of task {} on network {}, which does not stand", plan.task, missing.network);
            return Err(Misuse(text));
        }
        let wanted: BTreeSet<_> = host_ports(plan).collect();
        let others = self.endpoints.iter().filter(|(task, _)| **task != plan.task);
        if let Some(port) = others.flat_map(|(_, other)| host_ports(other)).find(|port| wanted.contains(port)) {
            return Ok(Err(temporary(format!("host port {}/{:?} is in use", port.0, port.1))));
        }
        self.endpoints.insert(plan.task, plan.clone());
        Ok(Ok(plan.info()))
    }

    pub(crate) fn remove_endpoint(&mut self, task: TaskId) -> Result<(), Misuse> {
        if self.containers.get(&task).is_some_and(Container::is_running) {
            return Err(Misuse(format!("endpoint of task {task} removed while its container runs")));
        }
        self.endpoints.remove(&task);
        Ok(())
    }

    pub(crate) fn create_container(&mut self, task: TaskId, image: &str, endpoint: bool) -> Effect<()> {
        if !self.images.contains(image) {
            return Err(Misuse(format!("container of task {task} from image {image}, which is not here")));
        }
        if endpoint && !self.endpoints.contains_key(&task) {
            return Ok(Err(temporary("the task's network namespace is gone".to_owned())));
        }
        let fresh = Container { state: AdoptedState::Created, start: 0, stopping: false };
        self.containers.entry(task).or_insert(fresh);
        Ok(Ok(()))
    }

    /// Answers the process and which start this was.
    pub(crate) fn start_container(&mut self, task: TaskId, now: Timestamp) -> Effect<(i32, u64)> {
        let Some(container) = self.containers.get_mut(&task) else {
            return Ok(Err(fatal(format!("no container of task {task}"))));
        };
        if container.state != AdoptedState::Created {
            return Err(Misuse(format!("container of task {task} started when it is {:?}", container.state)));
        }
        self.starts += 1;
        let pid = i32::try_from(1000 + self.starts % 30_000).unwrap_or(1);
        container.state = AdoptedState::Running { pid, started_at: now, healthy: true };
        container.start = self.starts;
        Ok(Ok((pid, self.starts)))
    }

    /// A running container ends; `None` when it does not run, or another start does.
    pub(crate) fn end_container(
        &mut self,
        task: TaskId,
        start: u64,
        code: i32,
        now: Timestamp,
    ) -> Option<ContainerExit> {
        let container = self.containers.get_mut(&task).filter(|container| container.start == start)?;
        let AdoptedState::Running { started_at, .. } = container.state else { return None };
        let signal = (code > 128).then_some(code - 128);
        let exit = TaskExit { code, oom_killed: false };
        let exit = ContainerExit { exit, signal, started_at, finished_at: now };
        container.state = AdoptedState::Exited(exit.clone());
        Some(exit)
    }

    pub(crate) fn remove_container(&mut self, task: TaskId) -> Result<(), Misuse> {
        if self.containers.get(&task).is_some_and(Container::is_running) {
            return Err(Misuse(format!("container of task {task} removed while it runs")));
        }
        self.containers.remove(&task);
        Ok(())
    }

    /// The host lost power: what was in memory is gone.
    pub(crate) fn power_off(&mut self) {
        self.endpoints.clear();
        self.networks.clear();
        self.services = None;
        for container in self.containers.values_mut().filter(|container| container.is_running()) {
            container.state = AdoptedState::Lost;
        }
    }
}

trait EndpointInfoOf {
    fn info(&self) -> EndpointInfo;
}

impl EndpointInfoOf for EndpointPlan {
    /// Ports that were left open get the number of their target: what counts here is that it is the same each time.
    fn info(&self) -> EndpointInfo {
        let chosen = |port: &PortConfig| PortConfig {
            published_port: if port.published_port == 0 { port.target_port } else { port.published_port },
            ..port.clone()
        };
        EndpointInfo { ports: self.host_ports.iter().map(chosen).collect() }
    }
}

fn host_ports(plan: &EndpointPlan) -> impl Iterator<Item = (u16, PortProtocol)> {
    let fixed = plan.host_ports.iter().filter(|port| port.mode == PublishMode::Host && port.published_port != 0);
    fixed.map(|port| (port.published_port, port.protocol))
}

/// A failure that may pass.
pub(crate) fn temporary(message: String) -> Failure {
    Failure { message, kind: FailureKind::Temporary }
}

/// A failure that will not pass.
pub(crate) fn fatal(message: String) -> Failure {
    Failure { message, kind: FailureKind::Fatal }
}
