//! The daemon's life: build, announce, run, drain with a deadline.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use nix::fcntl::{Flock, FlockArg};
use shoal_proto::model::{LogDriver, NodeDescription};
use shoal_worker::{Worker, WorkerConfig, WorkerError, WorkerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::backend::Daemon;
use crate::events::SwarmEvents;
use crate::host::HostFacts;
use crate::limits::DRAIN_TIMEOUT;
use crate::logging::{LogError, LogLevel};
use crate::pidfile::{Pidfile, PidfileError};
use crate::settings::{ApiHost, Settings, SettingsError};
use crate::swarm::{SwarmNode, SwarmNodeConfig};

/// The daemon can't run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A folder can't be made or used.
    #[error("failed to prepare {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another daemon uses the data-root.
    #[error("failed to start daemon: another shoald uses the data-root {0}: stop it, or name another --data-root")]
    DataRootInUse(PathBuf),
    /// The pidfile can't be had.
    #[error(transparent)]
    Pidfile(#[from] PidfileError),
    /// The process can't be set up.
    #[error("failed to set up the process: {what}")]
    Process {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The worker can't run.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The registries' settings can't be used.
    #[error(transparent)]
    Images(shoal_worker::image::ImageError),
    /// The API can't be served.
    #[error(transparent)]
    Listen(#[from] shoal_api::ListenError),
    /// The settings can't be read again.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The log can't follow.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`DaemonError`] when something it stands on is not there.
pub fn run(settings: Settings, matches: &ArgMatches, level: &LogLevel) -> Result<(), DaemonError> {
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    prepare_folder(&settings.data_root)?;
    prepare_folder(&settings.exec_root)?;
    let _lock = lock(&settings.data_root)?;
    let _pidfile = Pidfile::create(&settings.pidfile)?;
    raise_descriptor_limit();
    // Two providers in one process would make rustls panic at its first use; this one is ours.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| DaemonError::Process { what: "starting the runtime's threads", source })?;
    let outcome = runtime.block_on(serve(Arc::new(settings), matches, level));
    runtime.shutdown_timeout(DRAIN_TIMEOUT);
    outcome
}

async fn serve(settings: Arc<Settings>, matches: &ArgMatches, level: &LogLevel) -> Result<(), DaemonError> {
    let mut signals = Signals::new()?;
    let facts = HostFacts::gather();
    let description = facts.description(&settings.labels);
    let (runner, worker, events) = Worker::start(worker_config(&settings, description.clone())).await?;
    let runner = tokio::spawn(runner.run());
    let config = SwarmNodeConfig {
        directory: settings.data_root.join("swarm"),
        advertise_default: settings.advertise_default.clone(),
        description,
    };
    let (node, swarm) = SwarmNode::new(config, worker.clone(), events);
    let node = tokio::spawn(node.run());
    let engine_id = engine_id(&settings.data_root)?;
    let (watcher, events) = SwarmEvents::new(swarm.clone());
    let watcher = tokio::spawn(watcher.run());
    let backend = Arc::new(Daemon::new(Arc::clone(&settings), engine_id, swarm.clone(), worker.clone(), events));
    let stopping = CancellationToken::new();
    let mut listeners = Vec::new();
    for address in addresses(&settings) {
        listeners.push(address.bind().await?);
    }
    let api = tokio::spawn(shoal_api::serve(listeners, backend, stopping.clone()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "shoald serves");
    while let Wish::Reload = signals.next().await {
        reload(&settings, matches, level, &worker);
    }
    tracing::info!("shoald stops; containers live on");
    stopping.cancel();
    let drain = async {
        swarm.stop().await;
        drop(node.await);
        drop(swarm);
        drop(watcher.await);
        drop(api.await);
        drop(worker);
        drop(runner.await);
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, drain).await.is_err() {
        tracing::warn!("not everything ended in time");
    }
    addresses(&settings).iter().for_each(shoal_api::ListenAddress::forget);
    Ok(())
}

fn worker_config(settings: &Settings, description: NodeDescription) -> WorkerConfig {
    let log_driver =
        LogDriver { name: "json-file".to_owned(), options: settings.log_options.iter().cloned().collect() };
    let usual = WorkerConfig::new(&settings.data_root, &settings.exec_root, runtime_binary());
    WorkerConfig {
        description,
        insecure_registries: settings.insecure_registries.clone(),
        registry_mirrors: settings.registry_mirrors.clone(),
        cgroup_parent: settings.cgroup_parent.clone(),
        vip_translation: settings.vip_translation,
        default_log_driver: Some(log_driver),
        prefer_offline_image: std::env::var("DOCKER_SERVICE_PREFER_OFFLINE_IMAGE").is_ok_and(|wish| wish == "1"),
        tunnel_key_age: settings.tunnel_key_age.unwrap_or(usual.tunnel_key_age),
        ..usual
    }
}

/// Beside shoald, where packages put it; else wherever the path leads.
fn runtime_binary() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|folder| folder.join("shoal-runtime")));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("shoal-runtime"))
}

fn addresses(settings: &Settings) -> Vec<shoal_api::ListenAddress> {
    let address = |host: &ApiHost| match host {
        ApiHost::Unix(path) => shoal_api::ListenAddress::Unix(path.clone()),
        ApiHost::Tcp(address) => shoal_api::ListenAddress::Tcp(*address),
    };
    settings.hosts.iter().map(address).collect()
}

/// SIGHUP: level and registries follow the configuration file; everything else needs a restart.
fn reload(settings: &Settings, matches: &ArgMatches, level: &LogLevel, worker: &WorkerHandle) {
    let attempt = || -> Result<(), DaemonError> {
        let fresh = Settings::load(matches)?;
        level.set(&fresh.log_level)?;
        worker
            .images()
            .reconfigure(&fresh.insecure_registries, &fresh.registry_mirrors)
            .map_err(DaemonError::Images)?;
        if fresh.data_root != settings.data_root || fresh.hosts != settings.hosts || fresh.labels != settings.labels {
            tracing::warn!("roots, hosts and labels changed in the configuration: they need a restart of shoald");
        }
        Ok(())
    };
    match attempt() {
        Ok(()) => tracing::info!("the configuration was read again"),
        Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the configuration stays as it was"),
    }
}

fn prepare_folder(path: &Path) -> Result<(), DaemonError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(path)
        .map_err(|source| DaemonError::Folder { path: path.to_owned(), source })
}

/// Held for the daemon's life: two daemons on one data-root would destroy it.
fn lock(data_root: &Path) -> Result<Flock<fs::File>, DaemonError> {
    let path = data_root.join("shoald.lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| DaemonError::Folder { path, source })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| DaemonError::DataRootInUse(data_root.to_owned()))
}

/// Sessions, logs and containers hold descriptors; the soft limit of a shell is too low for a thousand.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Names this engine as long as its data-root lives: made at the first start, kept in a file.
fn engine_id(data_root: &Path) -> Result<Arc<str>, DaemonError> {
    let path = data_root.join("engine-id");
    let failed = |source| DaemonError::Folder { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() == ENGINE_ID_DIGITS => return Ok(text.trim().into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed(source)),
    }
    let id = format!("{:032x}", rand::random::<u128>());
    let fresh = path.with_extension("new");
    fs::write(&fresh, &id).and_then(|()| fs::rename(&fresh, &path)).map_err(failed)?;
    Ok(id.into())
}

/// 128 bits in hexadecimal.
const ENGINE_ID_DIGITS: usize = 32;

enum Wish {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, DaemonError> {
        let watch = |kind| signal(kind).map_err(|source| DaemonError::Process { what: "watching for signals", source });
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hangup: watch(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}
