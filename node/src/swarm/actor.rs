//! The actor that owns membership: one request or event at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use shoal_manager::ManagerEnd;
use shoal_manager::tls::ManagerConnector;
use shoal_proto::model::{NodeDescription, NodeId, Role};
use shoal_worker::{SwarmSession, WorkerEvent, WorkerHandle};
use tokio::sync::{mpsc, watch};

use super::handle::Request;
use super::join::{self, Addresses, addresses};
use super::member::{Member, Start};
use super::state::{StateFile, SwarmState};
use super::{InitParameters, JoinParameters, Membership, SwarmError, SwarmHandle, SwarmView};
use crate::identity::{CertificateFiles, Credentials, EnrollError, enroll};
use crate::limits::{LEAVE_TIMEOUT, RENEW_RETRY, SWARM_REQUESTS};

/// Owns membership.
#[derive(Debug)]
pub struct SwarmNode {
    directory: PathBuf,
    advertise_default: Option<String>,
    description: NodeDescription,
    state_file: StateFile,
    worker: WorkerHandle,
    events: mpsc::Receiver<WorkerEvent>,
    requests: mpsc::Receiver<Request>,
    view: watch::Sender<Arc<SwarmView>>,
    member: Option<Member>,
    error: String,
    /// Why the manager that should run does not.
    manager_failure: String,
    /// The managers said that this node is none of the swarm any more.
    removed: bool,
    /// Draws the moment of renewal within its span, once: a node must not draw again at each look.
    renewal_draw: u64,
}

/// What the actor stands on.
#[derive(Debug)]
pub struct SwarmNodeConfig {
    /// `<data-root>/swarm`.
    pub directory: PathBuf,
    /// The daemon's default for `--advertise-addr`.
    pub advertise_default: Option<String>,
    /// What this node says of itself.
    pub description: NodeDescription,
}

impl SwarmNode {
    /// The actor and its handle; nothing runs until [`SwarmNode::run`].
    #[must_use]
    pub fn new(
        config: SwarmNodeConfig,
        worker: WorkerHandle,
        events: mpsc::Receiver<WorkerEvent>,
    ) -> (Self, SwarmHandle) {
        let (requests_in, requests) = mpsc::channel(SWARM_REQUESTS);
        let (view, view_out) = watch::channel(Arc::new(SwarmView::default()));
        let node = Self {
            state_file: StateFile::new(&config.directory),
            directory: config.directory,
            advertise_default: config.advertise_default,
            description: config.description,
            worker,
            events,
            requests,
            view,
            member: None,
            error: String::new(),
            manager_failure: String::new(),
            removed: false,
            renewal_draw: rand::rng().random(),
        };
        (node, SwarmHandle { requests: requests_in, view: view_out })
    }

    /// Takes up the swarm that this node was in, then serves requests until told to stop.
    pub async fn run(mut self) {
        if let Err(error) = self.resume().await {
            tracing::error!(error = &error as &dyn std::error::Error, "this node can't serve its swarm");
            let cause = shoal_api::ApiError::from_source(&error).message;
            self.error = format!("{cause}; mend that and restart shoald, or leave the swarm with --force");
        }
        self.show();
        let mut renewal = Box::pin(tokio::time::sleep(self.until_renewal()));
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    None => break,
                    Some(Request::Stop(done)) => {
                        self.stop().await;
                        // Whoever asked may have gone.
                        let _asker = done.send(());
                        break;
                    }
                    Some(request) => self.serve(request).await,
                },
                Some(event) = self.events.recv() => self.follow(event).await,
                end = manager_ended(&mut self.member) => self.take_end(end),
                () = &mut renewal => self.keep_up().await,
            }
            renewal.as_mut().reset(tokio::time::Instant::now() + self.until_renewal());
            self.show();
        }
    }

    async fn resume(&mut self) -> Result<(), SwarmError> {
        let Some(state) = self.state_file.load()? else { return Ok(()) };
        let credentials = CertificateFiles::new(&self.directory).load()?.ok_or(SwarmError::NotMember)?;
        let member = Member::new(&self.directory, credentials, state)?;
        let manages = member.role() == Role::Manager;
        self.member = Some(member);
        if manages {
            self.restart_manager().await;
        }
        self.serve_swarm().await
    }

    /// Runs the manager on what its disk holds. Its tasks run meanwhile, whatever comes of it.
    async fn restart_manager(&mut self) {
        let Some(member) = &mut self.member else { return };
        match member.start_manager(Start::Resume).await {
            Ok(()) => self.manager_failure.clear(),
            Err(error) => self.note_manager_failure(&error),
        }
    }

    fn note_manager_failure(&mut self, error: &(dyn std::error::Error + 'static)) {
        let cause = shoal_api::ApiError::from_source(error).message;
        let text =
            format!("this host's manager does not run and is tried again every {}s: {cause}", RENEW_RETRY.as_secs());
        if self.manager_failure != text {
            tracing::error!(error, "this host's manager does not run");
            self.manager_failure = text;
        }
    }

    fn take_end(&mut self, end: ManagerEnd) {
        if let ManagerEnd::Failed(error) = end {
            self.note_manager_failure(&error);
        }
    }

    /// What is done when its time has come: the manager again that failed, else the next certificate.
    async fn keep_up(&mut self) {
        if self.manager_failure.is_empty() { self.renew().await } else { self.restart_manager().await }
    }

    async fn serve(&mut self, request: Request) {
        match request {
            Request::Init(parameters, reply) => {
                let outcome = self.init(*parameters).await;
                self.show();
                drop(reply.send(outcome));
            }
            Request::Join(parameters, reply) => {
                let outcome = self.join(*parameters).await;
                self.show();
                drop(reply.send(outcome));
            }
            Request::Leave(reply) => {
                let outcome = self.leave().await;
                self.show();
                drop(reply.send(outcome));
            }
            Request::Stop(done) => {
                let _asker = done.send(());
            }
        }
    }

    async fn init(&mut self, parameters: InitParameters) -> Result<NodeId, SwarmError> {
        self.must_be_outside()?;
        let addresses = self.addresses(&parameters.listen, &parameters.advertise, &parameters.data_path)?;
        let (credentials, init) = join::found(parameters, addresses, self.description.clone())?;
        let node = credentials.holder.node;
        let managers = vec![addresses.advertise.to_string()];
        self.become_member(credentials, addresses, managers, Start::Bootstrap(Box::new(init))).await?;
        Ok(node)
    }

    async fn join(&mut self, parameters: JoinParameters) -> Result<(), SwarmError> {
        self.must_be_outside()?;
        let addresses = self.addresses(&parameters.listen, &parameters.advertise, &parameters.data_path)?;
        let mut outcome = Err(SwarmError::NoRemote);
        for remote in &parameters.remotes {
            match enroll(remote, &parameters.token, parameters.availability).await {
                Ok(credentials) => {
                    outcome = Ok(credentials);
                    break;
                }
                Err(error @ (EnrollError::Unreachable { .. } | EnrollError::TimedOut(_))) => {
                    outcome = Err(error.into())
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        self.become_member(outcome?, addresses, parameters.remotes, Start::Join).await
    }

    /// Certificates first, then the manager, the state file last: a crash before it leaves a node in no swarm.
    async fn become_member(
        &mut self,
        credentials: Credentials,
        addresses: Addresses,
        managers: Vec<String>,
        start: Start,
    ) -> Result<(), SwarmError> {
        self.state_file.forget()?;
        CertificateFiles::new(&self.directory).store(&credentials)?;
        let Addresses { listen, advertise, data_path } = addresses;
        let mut member =
            Member::new(&self.directory, credentials, SwarmState { listen, advertise, data_path, managers })?;
        if member.role() == Role::Manager
            && let Err(error) = member.start_manager(start).await
        {
            self.state_file.forget()?;
            return Err(error);
        }
        self.state_file.store(&member.state)?;
        self.error.clear();
        self.member = Some(member);
        self.serve_swarm().await
    }

    /// Puts the worker to the swarm's service.
    async fn serve_swarm(&self) -> Result<(), SwarmError> {
        let Some(member) = &self.member else { return Ok(()) };
        let holder = member.identity.current().holder;
        let session = SwarmSession {
            node: holder.node,
            managers: member.state.managers.clone(),
            data_path_address: member.state.data_path,
            connect: Arc::new(Connector(ManagerConnector::new(&member.tls.client))),
        };
        self.worker.join_swarm(session).await.map_err(|error| SwarmError::Worker(Box::new(error)))
    }

    async fn leave(&mut self) -> Result<(), SwarmError> {
        let broken = !self.error.is_empty();
        if self.member.is_none() && !broken {
            return Err(SwarmError::NotMember);
        }
        if let Some(member) = &self.member
            && let Some(manager) = &member.manager
        {
            // Out of the consensus in order if that can be; a manager that just goes counts against the quorum.
            match tokio::time::timeout(LEAVE_TIMEOUT, manager.handle().leave()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "left without the other managers' consent"),
                Err(_) => tracing::warn!("left without the other managers' consent: they did not answer"),
            }
        }
        self.worker.leave_swarm().await.map_err(|error| SwarmError::Worker(Box::new(error)))?;
        if let Some(mut member) = self.member.take() {
            member.stop_manager().await;
        }
        self.error.clear();
        self.manager_failure.clear();
        self.removed = false;
        Ok(self.state_file.forget()?)
    }

    async fn follow(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Managers(managers) => self.remember_managers(managers),
            WorkerEvent::RoleWanted(role) => {
                if self.member.as_ref().is_some_and(|member| member.role() != role) {
                    self.renew().await;
                }
            }
            WorkerEvent::RootChanged(_) => self.renew().await,
            WorkerEvent::Removed => self.removed = true,
        }
    }

    fn remember_managers(&mut self, managers: Vec<String>) {
        // Whoever gets the managers' list has a session, and is of the swarm.
        self.removed = false;
        let Some(member) = &mut self.member else { return };
        if managers.is_empty() || member.state.managers == managers {
            return;
        }
        member.state.managers = managers;
        if let Err(error) = self.state_file.store(&member.state) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the managers' addresses were not remembered");
        }
    }

    /// Gets the next certificate, and runs or ends the manager as its role says.
    async fn renew(&mut self) {
        let Some(member) = &mut self.member else { return };
        let before = member.role();
        let outcome = match member.renew().await {
            Ok(Role::Manager) if member.manager.is_none() => member.start_manager(Start::Join).await,
            Ok(Role::Worker) if before == Role::Manager => {
                member.retire_manager().await;
                self.manager_failure.clear();
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        let after = member.role();
        match outcome {
            Ok(()) if before != after => {
                tracing::info!(?before, ?after, "this node's role changed");
                if let Err(error) = self.serve_swarm().await {
                    tracing::error!(error = &error as &dyn std::error::Error, "the worker did not follow");
                }
            }
            Ok(()) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the certificate was not renewed"),
        }
    }

    /// How long the present certificate is good enough; soon again after a renewal that failed or a manager that should
    /// run and does not.
    fn until_renewal(&self) -> Duration {
        let Some(member) = &self.member else { return Duration::from_secs(3600) };
        if member.role() == Role::Manager && member.manager.is_none() {
            return RENEW_RETRY;
        }
        let due = member.identity.current().validity.renew_at(self.renewal_draw);
        due.since(join::now()).clamp(RENEW_RETRY, Duration::from_secs(24 * 3600))
    }

    async fn stop(&mut self) {
        if let Some(member) = &mut self.member {
            member.stop_manager().await;
        }
    }

    fn must_be_outside(&self) -> Result<(), SwarmError> {
        if self.member.is_some() || !self.error.is_empty() { Err(SwarmError::Member) } else { Ok(()) }
    }

    fn addresses(&self, listen: &str, advertise: &str, data_path: &str) -> Result<Addresses, SwarmError> {
        Ok(addresses(listen, advertise, data_path, self.advertise_default.as_deref())?)
    }

    fn show(&self) {
        let view = match &self.member {
            None if self.error.is_empty() => SwarmView::default(),
            None => SwarmView { membership: Membership::Error, error: self.error.clone(), ..SwarmView::default() },
            Some(member) => {
                let holder = member.identity.current().holder;
                let error = if self.removed { REMOVED } else { &self.manager_failure };
                SwarmView {
                    membership: if error.is_empty() { Membership::Active } else { Membership::Error },
                    node: Some(holder.node),
                    role: holder.role,
                    address: member.state.advertise.ip().to_string(),
                    managers: member.state.managers.clone(),
                    manager: member.manager.as_ref().map(shoal_manager::Manager::handle),
                    error: error.to_owned(),
                }
            }
        };
        self.view.send_replace(Arc::new(view));
    }
}

/// Waits until the manager of a member ends by itself; for ever where there is none.
async fn manager_ended(member: &mut Option<Member>) -> ManagerEnd {
    match member {
        Some(member) => member.manager_ended().await,
        None => std::future::pending().await,
    }
}

/// What is wrong with a node that the managers removed.
const REMOVED: &str =
    "This node was removed from the swarm: its tasks were stopped. Leave the swarm and join it again.";

/// Connections to managers, as the worker asks for them.
#[derive(Debug)]
struct Connector(ManagerConnector);

#[async_trait::async_trait]
impl shoal_worker::Connect for Connector {
    async fn connect(
        &self,
        address: &str,
    ) -> Result<tonic::transport::Channel, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.channel(address)?)
    }
}
