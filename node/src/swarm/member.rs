//! A node in a swarm: its credentials in use, its manager while it is one.

use std::path::{Path, PathBuf};

use shoal_manager::tls::NodeTls;
use shoal_manager::{Manager, ManagerConfig, ManagerEnd, ManagerError};
use shoal_proto::model::Role;

use super::SwarmError;
use super::join::data_key;
use super::state::SwarmState;
use crate::identity::{CertificateFiles, Credentials, NodeIdentity, node_tls, renew};

/// A node in a swarm.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) identity: NodeIdentity,
    pub(super) tls: NodeTls,
    pub(super) state: SwarmState,
    pub(super) manager: Option<Manager>,
    directory: PathBuf,
}

/// How a manager comes to run.
#[derive(Debug)]
pub(super) enum Start {
    /// The first of a new swarm.
    Bootstrap(Box<shoal_manager::InitParameters>),
    /// One more of a swarm.
    Join,
    /// Again, from what is on disk; joins when nothing is.
    Resume,
}

impl Member {
    /// A member with these credentials; its manager does not run yet.
    pub(super) fn new(directory: &Path, credentials: Credentials, state: SwarmState) -> Result<Self, SwarmError> {
        let identity = NodeIdentity::new(credentials);
        let tls = node_tls(&identity)?;
        Ok(Self { identity, tls, state, manager: None, directory: directory.to_owned() })
    }

    pub(super) fn role(&self) -> Role {
        self.identity.current().holder.role
    }

    /// Runs the manager.
    pub(super) async fn start_manager(&mut self, start: Start) -> Result<(), SwarmError> {
        let config = self.manager_config()?;
        let is_member = Manager::is_member(&config.data_dir).map_err(ManagerError::from)?;
        let manager = match start {
            Start::Bootstrap(init) => Manager::bootstrap(config, *init).await?,
            Start::Resume if is_member => Manager::start(config).await?,
            Start::Join | Start::Resume => Manager::join(config, &self.state.managers).await?,
        };
        self.manager = Some(manager);
        Ok(())
    }

    fn manager_config(&self) -> Result<ManagerConfig, SwarmError> {
        let holder = self.identity.current().holder;
        Ok(ManagerConfig {
            node: holder.node,
            cluster: holder.cluster,
            listen: self.state.listen,
            advertise: self.state.advertise.to_string(),
            data_dir: self.raft_directory(),
            data_key: data_key(&self.directory).map_err(SwarmError::DataKey)?,
            tls: self.tls.clone(),
        })
    }

    fn raft_directory(&self) -> PathBuf {
        self.directory.join("raft")
    }

    /// Waits until the manager ends by itself; for ever while none runs.
    pub(super) async fn manager_ended(&mut self) -> ManagerEnd {
        let Some(manager) = &mut self.manager else { return std::future::pending().await };
        let end = manager.ended().await;
        self.manager = None;
        end
    }

    /// Ends the manager in order; its log stays.
    pub(super) async fn stop_manager(&mut self) {
        if let Some(manager) = self.manager.take() {
            manager.shutdown().await;
        }
    }

    /// Ends the manager and forgets its log: this node is a worker now.
    pub(super) async fn retire_manager(&mut self) {
        self.stop_manager().await;
        let directory = self.raft_directory();
        if let Err(error) = tokio::fs::remove_dir_all(&directory).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %directory.display(), %error, "the log of the former manager stays");
        }
    }

    /// Gets the next certificate from the first manager that gives one, keeps it, and uses it from now on.
    pub(super) async fn renew(&mut self) -> Result<Role, SwarmError> {
        let present = self.identity.current();
        let mut last = SwarmError::NoRemote;
        for remote in self.state.managers.clone() {
            match renew(&remote, &self.tls, &present).await {
                Ok(credentials) => {
                    CertificateFiles::new(&self.directory).store(&credentials)?;
                    let role = credentials.holder.role;
                    self.identity.replace(credentials);
                    // The resolvers follow the identity; a changed root needs new verifiers too.
                    self.tls = node_tls(&self.identity)?;
                    return Ok(role);
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}
