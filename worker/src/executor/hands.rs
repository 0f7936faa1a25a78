//! Performs one action and says what came of it. Chooses nothing; bounds how much is done side by side.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shoal_proto::model::{NetworkId, TaskId};
use shoal_worker_core::{
    Action, AdoptedContainer, AdoptedState, EndpointPlan, Failure, FailureKind, Input, NetworkNamespace, Operation,
};
use tokio::sync::Semaphore;

use super::contract::{Containers, Creation, Endpoints, Images, StandingEndpoint};
use crate::limits::{PULLS_AT_ONCE, REMOVALS_AT_ONCE, STARTS_AT_ONCE};

/// Performs actions. Clones share the work.
#[derive(Debug, Clone)]
pub(crate) struct Hands {
    pub(super) images: Arc<dyn Images>,
    pub(super) endpoints: Arc<dyn Endpoints>,
    pub(super) containers: Arc<dyn Containers>,
    /// Endpoints that stand, for the containers that are made in them.
    standing: Arc<Mutex<HashMap<TaskId, StandingEndpoint>>>,
    permits: Arc<Permits>,
}

#[derive(Debug)]
struct Permits {
    starts: Semaphore,
    removals: Semaphore,
    pulls: Semaphore,
}

impl Hands {
    pub(crate) fn new(images: Arc<dyn Images>, endpoints: Arc<dyn Endpoints>, containers: Arc<dyn Containers>) -> Self {
        let permits = Permits {
            starts: Semaphore::new(STARTS_AT_ONCE),
            removals: Semaphore::new(REMOVALS_AT_ONCE),
            pulls: Semaphore::new(PULLS_AT_ONCE),
        };
        Self { images, endpoints, containers, standing: Arc::default(), permits: Arc::new(permits) }
    }

    /// What the kernel and the disk hold already, for the core's start.
    pub(super) async fn find(&self) -> Result<(Vec<NetworkId>, Vec<AdoptedContainer>), Failure> {
        let networks = self.endpoints.networks_found().await?;
        let found = self.containers.found().await?;
        let alive =
            found.iter().filter(|found| matches!(found.state, AdoptedState::Running { .. } | AdoptedState::Created));
        let mut endpoints: HashMap<String, StandingEndpoint> =
            self.endpoints.adopt(alive.map(|found| found.container.clone()).collect()).await?.into_iter().collect();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let adopted = found.into_iter().map(|found| {
            let endpoint = endpoints.remove(&found.container);
            let info = endpoint.as_ref().map(|endpoint| endpoint.info.clone());
            standing.extend(endpoint.map(|endpoint| (found.task, endpoint)));
            AdoptedContainer { task: found.task, container: found.container, state: found.state, endpoint: info }
        });
        Ok((networks, adopted.collect()))
    }

    /// Performs an action; the inputs that answer it, in order.
    pub(super) async fn perform(self, action: Action) -> Vec<Input> {
        match action {
            Action::Pull { pull, image, credentials } => {
                let _permit = self.permits.pulls.acquire().await;
                let outcome = self.images.ensure(&image, credentials.as_ref()).await;
                vec![match outcome {
                    Ok(image) => Input::ImageReady { pull, image },
                    Err(failure) => Input::ImageFailed { pull, failure },
                }]
            }
            Action::EnsureNetwork { network, assignment } => {
                let outcome = self.endpoints.ensure_network(network, &assignment).await;
                vec![network_answer(outcome, network, Input::NetworkReady { network })]
            }
            Action::RemoveNetwork { network } => {
                let outcome = self.endpoints.remove_network(network).await;
                vec![network_answer(outcome, network, Input::NetworkRemoved { network })]
            }
            Action::SetPeers { network, peers } => {
                let outcome = self.endpoints.set_peers(network, &peers).await;
                vec![network_answer(outcome, network, Input::PeersSet { network })]
            }
            Action::SetServices(services) => {
                let outcome = self.endpoints.set_services(&services).await;
                vec![match outcome {
                    Ok(()) => Input::ServicesSet,
                    Err(failure) => {
                        tracing::warn!(reason = %failure.message, "the published services could not be set");
                        Input::ServicesFailed { failure }
                    }
                }]
            }
            Action::AwaitPorts { task, ports, limit } => {
                let silent = self.await_ports(task, &ports, limit).await;
                vec![Input::PortsAwaited { task, silent }]
            }
            Action::Verify { number } => vec![Input::Verified { number, outcome: self.endpoints.verify().await }],
            Action::Probe { network, hosts } => {
                self.endpoints.probe(network, hosts).await;
                Vec::new()
            }
            task_action => self.perform_on_task(task_action).await.into_iter().collect(),
        }
    }

    async fn perform_on_task(&self, action: Action) -> Option<Input> {
        let (task, operation, outcome) = match action {
            Action::CreateEndpoint(plan) => (plan.task, Operation::CreateEndpoint, self.create_endpoint(plan).await),
            Action::RemoveEndpoint { task } => (task, Operation::RemoveEndpoint, self.remove_endpoint(task).await),
            Action::CreateContainer { task, image, namespace, files } => {
                let id = task.id;
                let endpoint = self.endpoint_for(id, namespace);
                let outcome = match endpoint {
                    Ok(endpoint) => self.create(Creation { task, image, endpoint, files }).await,
                    Err(failure) => Err(failure),
                };
                (id, Operation::CreateContainer, outcome)
            }
            Action::StartContainer { task, container } => {
                let _permit = self.permits.starts.acquire().await;
                let started = self.containers.start(&container).await;
                let started = started.map(|started| Input::ContainerStarted {
                    task,
                    pid: started.pid,
                    awaits_health: started.awaits_health,
                });
                (task, Operation::StartContainer, started)
            }
            Action::StopContainer { task, container, signal, grace } => {
                let stopped = self.containers.stop(&container, signal, grace).await;
                (task, Operation::StopContainer, stopped.map(|()| Input::StopDone { task }))
            }
            Action::RemoveContainer { task, container, last } => {
                let _permit = self.permits.removals.acquire().await;
                let removed = self.containers.remove(&container, last).await;
                (task, Operation::RemoveContainer, removed.map(|()| Input::ContainerRemoved { task }))
            }
            // The driver keeps these to itself.
            _ => return None,
        };
        Some(outcome.unwrap_or_else(|failure| {
            tracing::warn!(%task, ?operation, reason = %failure.message, "an operation failed");
            Input::OperationFailed { task, operation, failure }
        }))
    }

    async fn create(&self, creation: Creation) -> Result<Input, Failure> {
        let _permit = self.permits.starts.acquire().await;
        let task = creation.task.id;
        self.containers.create(creation).await?;
        Ok(Input::ContainerCreated { task, container: self.containers.id_of(task) })
    }

    async fn create_endpoint(&self, plan: EndpointPlan) -> Result<Input, Failure> {
        let task = plan.task;
        let endpoint = self.endpoints.create(&self.containers.id_of(task), &plan).await?;
        let info = endpoint.info.clone();
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).insert(task, endpoint);
        Ok(Input::EndpointReady { task, endpoint: info })
    }

    async fn remove_endpoint(&self, task: TaskId) -> Result<Input, Failure> {
        self.endpoints.remove(&self.containers.id_of(task)).await?;
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
        Ok(Input::EndpointRemoved { task })
    }

    /// A host that can't say who listens does not hold a task up.
    async fn await_ports(&self, task: TaskId, ports: &BTreeSet<u16>, limit: Duration) -> BTreeSet<u16> {
        let namespace = self.standing(task).map(|endpoint| endpoint.namespace);
        let Some(namespace) = namespace else { return BTreeSet::new() };
        self.endpoints.await_ports(&namespace, ports, limit).await.unwrap_or_else(|failure| {
            tracing::warn!(%task, reason = %failure.message, "it can't be told whether its ports are listened on");
            BTreeSet::new()
        })
    }

    fn standing(&self, task: TaskId) -> Option<StandingEndpoint> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).get(&task).cloned()
    }

    fn endpoint_for(&self, task: TaskId, namespace: NetworkNamespace) -> Result<Option<StandingEndpoint>, Failure> {
        match namespace {
            NetworkNamespace::Host => Ok(None),
            NetworkNamespace::Endpoint => {
                let gone = || Failure {
                    message: "the task's network namespace is gone".to_owned(),
                    kind: FailureKind::Temporary,
                };
                self.standing(task).map(Some).ok_or_else(gone)
            }
        }
    }
}

fn network_answer(outcome: Result<(), Failure>, network: NetworkId, done: Input) -> Input {
    match outcome {
        Ok(()) => done,
        Err(failure) => {
            tracing::warn!(%network, reason = %failure.message, "a network could not be changed");
            Input::NetworkFailed { network, failure }
        }
    }
}
