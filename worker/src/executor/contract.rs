//! What the executor needs of images, networks and containers. Tests put fakes in their place.
//!
//! Each method may be repeated: what stands already is left as it is, and what is gone already is no error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use shoal_proto::model::{
    NetworkAssignment, NetworkId, NodeId, PeerEndpoints, PullCredentials, ServiceSet, Task, TaskId,
};
use shoal_worker_core::{AdoptedState, ContainerFile, EndpointInfo, EndpointPlan, Failure, Input};
use tokio::sync::mpsc;

use crate::container::ContainerInterface;

/// Images, brought to this host.
#[async_trait]
pub(crate) trait Images: Debug + Send + Sync {
    /// Has the image here, by the pull policy of swarm services; its id.
    async fn ensure(&self, image: &str, credentials: Option<&PullCredentials>) -> Result<String, Failure>;
}

/// Networks of this host, and endpoints on them.
#[async_trait]
pub(crate) trait Endpoints: Debug + Send + Sync {
    /// Networks that an earlier process left.
    async fn networks_found(&self) -> Result<Vec<NetworkId>, Failure>;
    /// Makes or changes a network.
    async fn ensure_network(&self, network: NetworkId, assignment: &NetworkAssignment) -> Result<(), Failure>;
    /// Removes a network.
    async fn remove_network(&self, network: NetworkId) -> Result<(), Failure>;
    /// Sets all other hosts of a network.
    async fn set_peers(&self, network: NetworkId, peers: &BTreeMap<NodeId, PeerEndpoints>) -> Result<(), Failure>;
    /// Sets all published services.
    async fn set_services(&self, services: &ServiceSet) -> Result<(), Failure>;
    /// Sends what other hosts' answers come to from now on to the core.
    fn watch(&self, inputs: mpsc::Sender<Input>);
    /// Probes these hosts over a network from now on, and no others.
    async fn probe(&self, network: NetworkId, hosts: BTreeMap<NodeId, IpAddr>);
    /// Makes a container's network namespace.
    async fn create(&self, container: &str, plan: &EndpointPlan) -> Result<StandingEndpoint, Failure>;
    /// Removes it.
    async fn remove(&self, container: &str) -> Result<(), Failure>;
    /// Waits until something listens on these TCP ports of a namespace; those that nothing listened on in time.
    async fn await_ports(
        &self,
        namespace: &Path,
        ports: &BTreeSet<u16>,
        limit: Duration,
    ) -> Result<BTreeSet<u16>, Failure>;
    /// Keeps the endpoints of these containers and removes all others; those that stand.
    async fn adopt(&self, containers: Vec<String>) -> Result<Vec<(String, StandingEndpoint)>, Failure>;
    /// Compares what the kernel shows with what it was told, and tells it anew what differs; what differed, a line each.
    async fn verify(&self) -> Result<Vec<String>, Failure>;
    /// Removes everything: the swarm was left.
    async fn teardown(&self) -> Result<(), Failure>;
}

/// An endpoint that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandingEndpoint {
    /// What the core knows of it.
    pub(crate) info: EndpointInfo,
    /// Its network namespace.
    pub(crate) namespace: PathBuf,
    /// Its interfaces, in the order of the plan.
    pub(crate) interfaces: Vec<ContainerInterface>,
}

/// Containers of this host.
#[async_trait]
pub(crate) trait Containers: Debug + Send + Sync {
    /// The id of a task's container: a function of the task, so that no crash makes a second one.
    fn id_of(&self, task: TaskId) -> String;
    /// Sends exits and health from now on to the core.
    fn watch(&self, inputs: mpsc::Sender<Input>);
    /// All containers of tasks.
    async fn found(&self) -> Result<Vec<Found>, Failure>;
    /// Makes a container, not started.
    async fn create(&self, creation: Creation) -> Result<(), Failure>;
    /// Starts it.
    async fn start(&self, container: &str) -> Result<Started, Failure>;
    /// Asks it to end, and kills it after the grace period; returns once it ended and `watch`ers were told.
    async fn stop(&self, container: &str, signal: Option<String>, grace: Duration) -> Result<(), Failure>;
    /// Removes it; with `last`, its anonymous volumes too.
    async fn remove(&self, container: &str, last: bool) -> Result<(), Failure>;
}

/// A container to be made.
#[derive(Debug)]
pub(crate) struct Creation {
    /// All of the task.
    pub(crate) task: Box<Task>,
    /// As [`Images::ensure`] named it.
    pub(crate) image: String,
    /// Its endpoint; `None` for the host's network.
    pub(crate) endpoint: Option<StandingEndpoint>,
    /// Its secrets and configs.
    pub(crate) files: Vec<ContainerFile>,
}

/// A container that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Started {
    /// Its first process.
    pub(crate) pid: i32,
    /// It has a health check.
    pub(crate) awaits_health: bool,
}

/// A container that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its id.
    pub(crate) container: String,
    /// Whose it is.
    pub(crate) task: TaskId,
    /// How it is.
    pub(crate) state: AdoptedState,
}
