//! How the rest of the daemon asks for membership.

use std::sync::Arc;

use shoal_proto::model::{Availability, ClusterSpec, NodeId};
use tokio::sync::{mpsc, oneshot, watch};

use super::{SwarmError, SwarmView};

/// `swarm init`, as the client said it.
#[derive(Debug, Clone, Default)]
pub struct InitParameters {
    /// Empty: every address, port 2377.
    pub listen: String,
    /// Empty: found out.
    pub advertise: String,
    /// Empty: as advertised.
    pub data_path: String,
    /// UDP; zero: 4789.
    pub data_path_port: u32,
    /// The settings.
    pub spec: ClusterSpec,
    /// Whether this node gets tasks.
    pub availability: Availability,
    /// Empty: 10.0.0.0/8.
    pub default_address_pool: Vec<String>,
    /// Zero: 24.
    pub subnet_size: u32,
}

/// `swarm join`, as the client said it.
#[derive(Debug, Clone, Default)]
pub struct JoinParameters {
    /// As for init.
    pub listen: String,
    /// As for init.
    pub advertise: String,
    /// As for init.
    pub data_path: String,
    /// host:port of managers, any of which may answer.
    pub remotes: Vec<String>,
    /// What makes this node a worker or a manager.
    pub token: String,
    /// Whether this node gets tasks.
    pub availability: Availability,
}

/// Asks the actor.
#[derive(Debug, Clone)]
pub struct SwarmHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) view: watch::Receiver<Arc<SwarmView>>,
}

pub(super) enum Request {
    Init(Box<InitParameters>, oneshot::Sender<Result<NodeId, SwarmError>>),
    Join(Box<JoinParameters>, oneshot::Sender<Result<(), SwarmError>>),
    Leave(oneshot::Sender<Result<(), SwarmError>>),
    Stop(oneshot::Sender<()>),
}

impl SwarmHandle {
    /// Makes a swarm of this node.
    ///
    /// # Errors
    /// [`SwarmError`]; the node is in no swarm then.
    pub async fn init(&self, parameters: InitParameters) -> Result<NodeId, SwarmError> {
        self.ask(|reply| Request::Init(Box::new(parameters), reply)).await?
    }

    /// Joins a swarm.
    ///
    /// # Errors
    /// [`SwarmError`]; the node is in no swarm then.
    pub async fn join(&self, parameters: JoinParameters) -> Result<(), SwarmError> {
        self.ask(|reply| Request::Join(Box::new(parameters), reply)).await?
    }

    /// Leaves the swarm, whatever the role: the tasks end, what was known of the swarm is forgotten.
    ///
    /// # Errors
    /// [`SwarmError::NotMember`], or a file that can't be removed.
    pub async fn leave(&self) -> Result<(), SwarmError> {
        self.ask(Request::Leave).await?
    }

    /// Ends the manager in order (another leads) and the actor. Containers live on.
    pub async fn stop(&self) {
        if let Err(error) = self.ask(Request::Stop).await {
            tracing::debug!(%error, "the swarm's actor had ended");
        }
    }

    /// What is known now.
    #[must_use]
    pub fn view(&self) -> Arc<SwarmView> {
        self.view.borrow().clone()
    }

    /// What is known, and each change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<SwarmView>> {
        self.view.clone()
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, SwarmError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| SwarmError::Ending)?;
        answer.await.map_err(|_| SwarmError::Ending)
    }
}
