//! The worker as a whole: brings up its parts, and takes part in a swarm when the node says so.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use shoal_proto::model::AssignmentSet;
use shoal_runtime::client::{Keeper, KeeperOptions};
use shoal_worker_core::CoreConfig;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::container::{ContainerDefaults, LocalContainers, LocalContainersParts};
use crate::events::{LocalEventFeed, LocalEvents};
use crate::executor::{Driver, DriverHandle, DriverParts, Hands, StoreImages, SwarmEndpoints};
use crate::image::{ImageStore, StoreConfig};
use crate::limits::{EVENTS_WAITING, REQUESTS_WAITING};
use crate::network::{NetworkConfig, Networks};
use crate::resolver::Resolver;
use crate::state::StateFiles;
use crate::volumes::Volumes;
use crate::{SwarmSession, WorkerConfig, WorkerError, WorkerEvent};

/// The worker. Nothing runs until [`Worker::run`], but its parts are up: images and containers can be asked for.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    parts: Parts,
    requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<WorkerEvent>,
    swarm: Option<DriverHandle>,
    driver: JoinSet<()>,
}

/// The worker, from outside. Clones are handles to the same worker.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    requests: mpsc::Sender<Request>,
    parts: Parts,
}

#[derive(Debug, Clone)]
struct Parts {
    images: ImageStore,
    containers: LocalContainers,
    volumes: Volumes,
    events: LocalEvents,
    /// What the managers said last; empty outside a swarm.
    assignments: watch::Sender<Arc<AssignmentSet>>,
}

#[derive(Debug)]
enum Request {
    Join(SwarmSession, oneshot::Sender<Result<(), WorkerError>>),
    Leave(oneshot::Sender<Result<(), WorkerError>>),
}

impl Worker {
    /// Opens the image store, starts or finds the keeper, and learns which containers there are. The receiver gets what
    /// the node must know of the swarm.
    ///
    /// # Errors
    /// When a folder can't be used, a setting is malformed, or the keeper can't be started.
    pub async fn start(config: WorkerConfig) -> Result<(Self, WorkerHandle, mpsc::Receiver<WorkerEvent>), WorkerError> {
        let settings = config.clone();
        let opened = tokio::task::spawn_blocking(move || Parts::open(&settings)).await;
        let parts = opened.map_err(|_| WorkerError::Stopped)??;
        let (requests_in, requests) = mpsc::channel(REQUESTS_WAITING);
        let (events, events_out) = mpsc::channel(EVENTS_WAITING);
        let handle = WorkerHandle { requests: requests_in, parts: parts.clone() };
        let worker = Self { config, parts, requests, events, swarm: None, driver: JoinSet::new() };
        Ok((worker, handle, events_out))
    }

    /// Serves until all handles are gone. Containers live on.
    pub async fn run(mut self) {
        while let Some(request) = self.requests.recv().await {
            match request {
                Request::Join(session, reply) => {
                    // Whoever asked may have gone; what was done stays done.
                    let _asker = reply.send(self.join(session).await);
                }
                Request::Leave(reply) => {
                    let _asker = reply.send(self.leave().await);
                }
            }
        }
    }

    async fn join(&mut self, session: SwarmSession) -> Result<(), WorkerError> {
        if let Some(driver) = &self.swarm {
            return driver.serve(session).await;
        }
        let state = StateFiles::open(&self.config.data_root)?;
        let network = NetworkConfig {
            vip_translation: self.config.vip_translation,
            tunnel_keys: state.tunnel_keys(),
            tunnel_key_age: self.config.tunnel_key_age,
            ..NetworkConfig::new(session.node, session.data_path_address, self.config.exec_root.clone())
        };
        let networks = tokio::task::spawn_blocking(move || Networks::start(network)).await;
        let networks = networks.map_err(|_| WorkerError::Stopped)?.map_err(WorkerError::Networks)?;
        let images = StoreImages {
            store: self.parts.images.clone(),
            prefer_offline: self.config.prefer_offline_image,
            events: self.parts.events.clone(),
        };
        let tunnel_keys = networks.tunnel_keys();
        let endpoints = SwarmEndpoints::new(networks, session.node, Resolver::spawn());
        let hands = Hands::new(Arc::new(images), Arc::new(endpoints), Arc::new(self.parts.containers.clone()));
        let saved = state.load()?;
        let parts = DriverParts {
            config: CoreConfig::new(session.node, self.config.description.clone()),
            hands,
            state,
            description: self.config.description.clone(),
            tunnel_keys,
            logs: Arc::new(self.parts.containers.clone()),
            assignments: self.parts.assignments.clone(),
            events: self.events.clone(),
        };
        let (driver, handle) = Driver::new(parts, saved);
        self.driver.spawn(driver.run());
        handle.serve(session).await?;
        self.swarm = Some(handle);
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), WorkerError> {
        let Some(driver) = &self.swarm else {
            return StateFiles::open(&self.config.data_root)?.forget();
        };
        driver.leave().await?;
        self.swarm = None;
        // The driver ends with what it answered.
        while self.driver.join_next().await.is_some() {}
        Ok(())
    }
}

impl Parts {
    fn open(config: &WorkerConfig) -> Result<Self, WorkerError> {
        for root in [&config.data_root, &config.exec_root] {
            make_root(root)?;
        }
        let images = ImageStore::open(&StoreConfig {
            root: config.data_root.clone(),
            insecure_registries: config.insecure_registries.clone(),
            mirrors: config.registry_mirrors.clone(),
        });
        let images = images.map_err(WorkerError::Images)?;
        let volumes = Volumes::open(&config.data_root).map_err(|error| WorkerError::Containers(error.into()))?;
        let keeper_directory = config.exec_root.join("keeper");
        make_root(&keeper_directory)?;
        let mut options = KeeperOptions::in_directory(&config.runtime_binary, keeper_directory);
        if let Some(parent) = &config.cgroup_parent {
            options.cgroup_parent.clone_from(parent);
        }
        let keeper = Keeper::launch(options).map_err(WorkerError::Keeper)?;
        let events = LocalEvents::new();
        let containers = LocalContainers::open(LocalContainersParts {
            data_root: config.data_root.clone(),
            exec_root: config.exec_root.clone(),
            keeper,
            images: images.clone(),
            volumes: volumes.clone(),
            events: events.clone(),
            defaults: ContainerDefaults {
                ulimits: config.default_ulimits.clone(),
                log_driver: config.default_log_driver.clone(),
                cgroup_parent: config.cgroup_parent.clone(),
                hostname: config.description.hostname.clone(),
            },
        });
        Ok(Self {
            images,
            containers: containers.map_err(WorkerError::Containers)?,
            volumes,
            events,
            assignments: watch::Sender::default(),
        })
    }
}

/// Others may pass through, to the sockets and volumes below, and see nothing.
fn make_root(path: &Path) -> Result<(), WorkerError> {
    let made = DirBuilder::new().recursive(true).mode(0o711).create(path);
    made.map_err(|source| WorkerError::File { action: "create", path: path.to_owned(), source })
}

impl WorkerHandle {
    /// Takes part in a swarm from now on, first with the assignments of the last time. Called again, it takes over the
    /// new managers and certificate.
    ///
    /// # Errors
    /// When the data path can't be set up or the saved assignments can't be read.
    pub async fn join_swarm(&self, session: SwarmSession) -> Result<(), WorkerError> {
        self.ask(|reply| Request::Join(session, reply)).await
    }

    /// Ends all tasks, removes their containers and the networks, and forgets the assignments. No error outside a swarm.
    ///
    /// # Errors
    /// When tasks do not end in time; then it may be called again.
    pub async fn leave_swarm(&self) -> Result<(), WorkerError> {
        self.ask(Request::Leave).await
    }

    /// The image store.
    #[must_use]
    pub fn images(&self) -> &ImageStore {
        &self.parts.images
    }

    /// The containers of this host.
    #[must_use]
    pub fn containers(&self) -> &LocalContainers {
        &self.parts.containers
    }

    /// The volumes of this host.
    #[must_use]
    pub fn volumes(&self) -> &Volumes {
        &self.parts.volumes
    }

    /// What the managers last said that this host should have; empty outside a swarm.
    #[must_use]
    pub fn assignments(&self) -> Arc<AssignmentSet> {
        Arc::clone(&self.parts.assignments.borrow())
    }

    /// What happened on this host lately, and what happens from now on.
    #[must_use]
    pub fn events(&self) -> LocalEventFeed {
        self.parts.events.subscribe()
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), WorkerError>>) -> Request,
    ) -> Result<(), WorkerError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| WorkerError::Stopped)?;
        answer.await.map_err(|_| WorkerError::Stopped)?
    }
}

#[cfg(test)]
mod tests;
