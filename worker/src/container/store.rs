//! The containers of this host: opening, looking up, and the executor's view of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use shoal_proto::model::{TaskId, Timestamp};
use shoal_runtime::client::{Keeper, KeeperError};
use shoal_runtime::failure::Failure as Refusal;
use shoal_runtime::spec::ContainerId;
use shoal_runtime::state::{ContainerState, ContainerStatus};
use shoal_worker_core::{AdoptedState, Failure, Input};
use tokio::sync::mpsc;

use super::exec::Execs;
use super::files::clear_away;
use super::health::{HealthBook, HealthStatus, was_healthy};
use super::observer::Observer;
use super::plan::{ETC_FILES, container_id};
use super::process::parse_signal;
use super::record::{Folder, Roots};
use super::registry::Registry;
use super::{ContainerEnd, ContainerError, ContainerLife, ContainerRecord, ContainerView};
use crate::events::{LocalEvent, LocalEventKind, LocalEvents, now};
use crate::executor::{Containers, Creation, Found, Started};
use crate::image::ImageStore;
use crate::volumes::Volumes;

pub(crate) use super::plan::ContainerDefaults;

/// The containers of this host. Clones share them.
#[derive(Debug, Clone)]
pub struct LocalContainers {
    pub(super) inner: Arc<Inner>,
}

/// What the containers stand on.
#[derive(Debug)]
pub(crate) struct LocalContainersParts {
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) keeper: Keeper,
    pub(crate) images: ImageStore,
    pub(crate) volumes: Volumes,
    pub(crate) events: LocalEvents,
    pub(crate) defaults: ContainerDefaults,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) roots: Roots,
    /// The lowest layer of every container: what is mounted on, so that it need not be made in each.
    pub(super) mountpoints: PathBuf,
    pub(super) keeper: Keeper,
    pub(super) images: ImageStore,
    pub(super) volumes: Volumes,
    pub(super) events: LocalEvents,
    pub(super) defaults: ContainerDefaults,
    pub(super) registry: Registry,
    pub(super) execs: Execs,
    pub(super) health: HealthBook,
    /// The core, while the worker is in a swarm.
    watcher: Mutex<Option<mpsc::Sender<Input>>>,
}

impl LocalContainers {
    /// Reads the records, asks the keeper how the containers are, removes leftovers, and follows the keeper's events
    /// from then on. Blocks.
    pub(crate) fn open(parts: LocalContainersParts) -> Result<Self, ContainerError> {
        let LocalContainersParts { data_root, exec_root, keeper, images, volumes, events, defaults } = parts;
        let mountpoints = data_root.join("worker/mountpoints");
        make_mountpoints(&mountpoints).map_err(|error| ContainerError::file("create", &mountpoints, error))?;
        let roots = Roots { data: data_root, exec: exec_root };
        for folders in roots.folders() {
            make_private(&folders).map_err(|error| ContainerError::file("create", &folders, error))?;
        }
        let heard = keeper.subscribe();
        let inner = Arc::new(Inner {
            roots,
            mountpoints,
            keeper,
            images,
            volumes,
            events,
            defaults,
            registry: Registry::default(),
            execs: Execs::default(),
            health: HealthBook::default(),
            watcher: Mutex::new(None),
        });
        inner.load()?;
        let observer = Observer::new(Arc::downgrade(&inner), heard);
        thread::Builder::new()
            .name("containers".to_owned())
            .spawn(move || observer.run())
            .map_err(|error| ContainerError::file("start the observer of", &inner.roots.data, error))?;
        let containers = Self { inner };
        containers.resume_monitors()?;
        Ok(containers)
    }

    /// Watches over the health of what ran on while the daemon was away.
    fn resume_monitors(&self) -> Result<(), ContainerError> {
        for view in self.inner.registry.all().into_iter().filter(|view| view.life.is_running()) {
            let id = &view.record.id;
            self.spawn_monitor(id, was_healthy(&self.inner.roots.folder(id)))?;
        }
        Ok(())
    }

    /// All containers, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<ContainerView> {
        let mut all = self.inner.registry.all();
        all.sort_by_key(|view| std::cmp::Reverse(view.record.created_at));
        all
    }

    /// One container, by id, name, or beginning of an id.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn inspect(&self, name: &str) -> Result<ContainerView, ContainerError> {
        self.inner.registry.find(name)
    }

    /// Runs work that may block on a thread that may.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ContainerError> + Send + 'static,
    ) -> Result<T, ContainerError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ContainerError::Stopped),
        }
    }
}

#[async_trait]
impl Containers for LocalContainers {
    fn id_of(&self, task: TaskId) -> String {
        container_id(task)
    }

    fn watch(&self, inputs: mpsc::Sender<Input>) {
        *self.inner.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(inputs);
    }

    async fn found(&self) -> Result<Vec<Found>, Failure> {
        Ok(self.inner.registry.all().into_iter().filter_map(|view| self.inner.found(view)).collect())
    }

    async fn create(&self, creation: Creation) -> Result<(), Failure> {
        self.blocking(move |inner| inner.create(creation)).await.map_err(|error| error.failure())
    }

    async fn start(&self, container: &str) -> Result<Started, Failure> {
        let id = container.to_owned();
        let pid = self.blocking(move |inner| inner.start(&id)).await.map_err(|error| error.failure())?;
        let awaits_health = self.spawn_monitor(container, false).map_err(|error| error.failure())?;
        Ok(Started { pid, awaits_health })
    }

    async fn stop(&self, container: &str, signal: Option<String>, grace: Duration) -> Result<(), Failure> {
        let Some(mut life) = self.inner.registry.watch(container) else { return Ok(()) };
        let id = container.to_owned();
        let stop = self.blocking(move |inner| inner.ask_to_stop(&id, signal.as_deref(), grace));
        stop.await.map_err(|error| error.failure())?;
        // An error means that the container is gone altogether.
        let _over = life.wait_for(ContainerLife::is_over).await;
        self.inner.publish(container, "stop", BTreeMap::new());
        Ok(())
    }

    async fn remove(&self, container: &str, last: bool) -> Result<(), Failure> {
        let id = container.to_owned();
        self.blocking(move |inner| inner.remove(&id, last)).await.map_err(|error| error.failure())
    }
}

impl Inner {
    /// Records and the keeper's answers, brought together.
    fn load(&self) -> Result<(), ContainerError> {
        let mut kept: HashMap<String, ContainerState> =
            self.keeper.list()?.into_iter().map(|state| (state.id.as_str().to_owned(), state)).collect();
        for name in names_in(&self.roots.folders())? {
            match self.roots.folder(&name).load()? {
                Some((record, end)) if record.id == name => {
                    let life = life_of(kept.remove(&name), end.as_ref());
                    if let ContainerLife::Exited(told) = &life
                        && end.is_none()
                    {
                        self.roots.folder(&name).save_end(told)?;
                    }
                    self.registry.insert(record, life);
                }
                _ => self.discard(&name)?,
            }
        }
        for id in kept.into_keys() {
            // Its record is gone, so nobody will ask for it again.
            tracing::warn!(container = %id, "a container without a record is removed");
            self.delete_kept(&id)?;
        }
        Ok(())
    }

    fn found(&self, view: ContainerView) -> Option<Found> {
        let state = match view.life {
            ContainerLife::Created { .. } => AdoptedState::Created,
            ContainerLife::Running { pid, started_at } => {
                let healthy =
                    matches!(self.health.get(&view.record.id).status, HealthStatus::None | HealthStatus::Healthy);
                AdoptedState::Running { pid, started_at, healthy }
            }
            ContainerLife::Exited(end) => AdoptedState::Exited(end.exit()),
            ContainerLife::Lost => AdoptedState::Lost,
            ContainerLife::Removed => return None,
        };
        Some(Found { container: view.record.id.clone(), task: view.record.task, state })
    }

    fn start(&self, id: &str) -> Result<i32, ContainerError> {
        let view = self.registry.get(id).ok_or_else(|| ContainerError::NotFound(id.to_owned()))?;
        let (ContainerLife::Created { pid } | ContainerLife::Running { pid, .. }) = view.life else {
            return Err(ContainerError::NotRunning(id.to_owned()));
        };
        if let Err(error) = self.keeper.start(&key(id)?) {
            self.note_failed_start(id, &error);
            return Err(error.into());
        }
        Ok(pid)
    }

    fn note_failed_start(&self, id: &str, error: &KeeperError) {
        let code = match error {
            KeeperError::Refused(Refusal::Start(failure)) => i32::from(failure.exit_code()),
            _ => 128,
        };
        let end = ContainerEnd {
            code,
            signal: None,
            oom_killed: false,
            started_at: Timestamp::default(),
            finished_at: now(),
            error: crate::executor::chain(error),
        };
        if let Err(error) = self.roots.folder(id).save_end(&end) {
            tracing::warn!(container = %id, error = &error as &dyn std::error::Error, "how a container ended is not saved");
        }
        let not_running =
            |life: &ContainerLife| matches!(life, ContainerLife::Created { .. } | ContainerLife::Exited(_));
        self.registry.change(id, |life| not_running(life).then_some(ContainerLife::Exited(end)));
    }

    fn ask_to_stop(&self, id: &str, signal: Option<&str>, grace: Duration) -> Result<(), ContainerError> {
        let signal = signal.map(parse_signal).transpose()?;
        let number = signal.map_or(15, shoal_runtime::signal::Signal::number);
        self.publish(id, "kill", BTreeMap::from([("signal".to_owned(), number.to_string())]));
        match self.keeper.stop(&key(id)?, signal, Some(grace)) {
            // It is over already; whoever waits for that learns it from the registry.
            Err(KeeperError::Refused(Refusal::NotFound { .. })) => {
                self.registry.change(id, |life| (!life.is_over()).then_some(ContainerLife::Lost));
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    fn remove(&self, id: &str, last: bool) -> Result<(), ContainerError> {
        let record = self.registry.get(id).map(|view| view.record);
        self.delete_kept(id)?;
        self.discard(id)?;
        if last && let Some(record) = &record {
            for name in self.anonymous_volumes(record) {
                self.volumes.remove(&name)?;
            }
        }
        self.health.forget(id);
        if let Some(record) = self.registry.remove(id) {
            self.publish_for(&record, "destroy", BTreeMap::new());
        }
        Ok(())
    }

    fn anonymous_volumes(&self, record: &ContainerRecord) -> Vec<String> {
        let own = |target: &str| super::mounts::anonymous_name(record.task, target);
        let volumes = record.mounts.iter().filter(|mount| mount.name.as_deref() == Some(own(&mount.target).as_str()));
        volumes.filter_map(|mount| mount.name.clone()).collect()
    }

    /// Has the keeper forget a container.
    pub(super) fn delete_kept(&self, id: &str) -> Result<(), ContainerError> {
        match self.keeper.delete(&key(id)?) {
            Ok(()) | Err(KeeperError::Refused(Refusal::NotFound { .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a container's folders.
    pub(super) fn discard(&self, id: &str) -> Result<(), ContainerError> {
        self.images.remove_rootfs(id)?;
        let folder = self.roots.folder(id);
        clear_away(&folder.payloads())?;
        let Folder { path, mounted } = folder;
        for folder in [mounted, path] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ContainerError::file("remove", folder, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Tells the core, when there is one. Called from the observer's thread: it may wait.
    pub(super) fn tell(&self, input: Input) {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(watcher) = watcher {
            // A driver that is gone has nothing to decide.
            let _gone = watcher.blocking_send(input);
        }
    }

    pub(super) fn publish(&self, id: &str, action: &str, attributes: BTreeMap<String, String>) {
        if let Some(view) = self.registry.get(id) {
            self.publish_for(&view.record, action, attributes);
        }
    }

    pub(super) fn publish_for(&self, record: &ContainerRecord, action: &str, mut attributes: BTreeMap<String, String>) {
        attributes.extend(record.config.labels.clone());
        attributes.insert("image".to_owned(), record.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        self.events.publish(LocalEvent {
            time: now(),
            kind: LocalEventKind::Container,
            action: action.to_owned(),
            id: record.id.clone(),
            attributes,
        });
    }
}

/// Names of containers' folders, whole or not.
fn names_in(folders: &[PathBuf]) -> Result<BTreeSet<String>, ContainerError> {
    let mut names = BTreeSet::new();
    for folder in folders {
        let entries = fs::read_dir(folder).map_err(|error| ContainerError::file("list", folder, error))?;
        names.extend(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()));
    }
    Ok(names)
}

fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn make_mountpoints(folder: &Path) -> io::Result<()> {
    for name in ["dev", "proc", "sys", "etc"] {
        DirBuilder::new().recursive(true).mode(0o755).create(folder.join(name))?;
    }
    for name in ETC_FILES {
        OpenOptions::new().create(true).append(true).open(folder.join("etc").join(name))?;
    }
    Ok(())
}

/// A container's id as the keeper takes it.
pub(super) fn key(id: &str) -> Result<ContainerId, ContainerError> {
    ContainerId::new(id).map_err(|error| ContainerError::NotFound(error.value))
}

/// How far a container is, by the keeper, else by what was written at its end.
fn life_of(kept: Option<ContainerState>, end: Option<&ContainerEnd>) -> ContainerLife {
    match (kept, end) {
        (Some(state), _) => match state.status {
            ContainerStatus::Created => ContainerLife::Created { pid: pid_of(&state) },
            ContainerStatus::Running { started_at } => {
                ContainerLife::Running { pid: pid_of(&state), started_at: Timestamp(started_at.as_nanos()) }
            }
            // What was noted at its end may say more: why it could not be started.
            ContainerStatus::Exited(status) => {
                ContainerLife::Exited(end.cloned().unwrap_or_else(|| super::observer::end_of(&status)))
            }
        },
        (None, Some(end)) => ContainerLife::Exited(end.clone()),
        (None, None) => ContainerLife::Lost,
    }
}

/// The first process; zero for one that is just ending.
pub(super) fn pid_of(state: &ContainerState) -> i32 {
    state.pid.and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default()
}
