//! A running manager: made from nothing, by joining, or from what its disk holds; and how it ends.
//!
//! It owns the driver's thread and the gRPC server. Either's end is the end of both. The raft number is on disk before
//! the plane that uses it is made.

mod join;
mod launch;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use shoal_manager_core::{Answer, Leadership, NewSwarm, RestoreError, Restored};
use shoal_proto::model::{ControlError, ControlErrorKind};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::config::{InitParameters, ManagerConfig};
use crate::driver::{Ask, Message, STOP_TIMEOUT};
use crate::grpc::Door;
use crate::handle::ManagerHandle;
use crate::limits::REQUEST_TIMEOUT;
use crate::log::{FileLog, LogError};
use crate::member::{MemberFile, MemberFileError};
use join::ask_to_join;
use launch::{Parts, launch};

/// A running manager. Dropping it stops it at once.
#[derive(Debug)]
pub struct Manager {
    handle: ManagerHandle,
    address: SocketAddr,
    stop: CancellationToken,
    supervisor: JoinHandle<ManagerEnd>,
}

/// How a manager ended.
#[derive(Debug)]
pub enum ManagerEnd {
    /// It was asked to.
    Stopped,
    /// This node is no manager any longer: its role was changed, or it was removed.
    Demoted,
    /// It could not go on.
    Failed(ManagerError),
}

/// A manager could not be started, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The listening socket could not be made.
    #[error("listen on {address}: choose another --listen-addr, or stop who uses it")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The log.
    #[error("use the raft log")]
    Log(#[from] LogError),
    /// The log holds what this version can't read.
    #[error("take up the raft log")]
    Restore(#[from] RestoreError),
    /// The file that says which member this is.
    #[error("tell which member of the consensus this is")]
    Member(#[from] MemberFileError),
    /// Init or join on a directory that holds a manager's log.
    #[error("make a new manager in {directory}: it holds a manager's log already; start it, or leave the swarm first")]
    Occupied {
        /// The data directory.
        directory: PathBuf,
    },
    /// Start on a directory that is no member's.
    #[error("start the manager in {directory}: it belongs to no member of this swarm; join the swarm again")]
    Vacant {
        /// The data directory.
        directory: PathBuf,
    },
    /// The swarm refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// No manager let this one join.
    #[error("join the consensus through the managers at {remotes}")]
    Join {
        /// host:port of those that were asked.
        remotes: String,
        /// What the last one said.
        #[source]
        source: Box<Status>,
    },
    /// A thread could not be started.
    #[error("start a thread")]
    Thread(#[source] io::Error),
    /// The gRPC server broke.
    #[error("serve gRPC")]
    Serve(#[source] tonic::transport::Error),
    /// The driver or the server panicked.
    #[error("run the manager: one of its parts broke")]
    Broken,
}

impl Manager {
    /// Makes a new swarm with this node as its only member. On failure nothing of the swarm is left.
    ///
    /// # Errors
    /// [`ManagerError`].
    pub async fn bootstrap(config: ManagerConfig, init: InitParameters) -> Result<Self, ManagerError> {
        let (log, restored) = vacant(&config)?;
        let (door, address, stop) = open_door(&config).await?;
        let member = MemberFile { raft_id: new_raft_id(), node: config.node, cluster: config.cluster };
        member.save(&config.data_dir)?;
        let swarm = NewSwarm {
            cluster: config.cluster,
            spec: init.spec,
            root_ca: init.root_ca,
            join_tokens: init.join_tokens,
            default_address_pool: init.default_address_pool,
            subnet_size: init.subnet_size,
            data_path_port: init.data_path_port,
            description: init.description,
            availability: init.availability,
            manager_address: advertised(&config, address),
            data_path_address: init.data_path_address,
        };
        let manager = launch(&config, Parts { log, restored, member, door, address, stop })?;
        match manager.found(swarm).await {
            Ok(()) => Ok(manager),
            Err(error) => {
                manager.abort().await;
                forget(&config);
                Err(error)
            }
        }
    }

    /// Makes the swarm, and waits until it can be asked.
    async fn found(&self, swarm: NewSwarm) -> Result<(), ManagerError> {
        match self.handle.mailbox().ask(Ask::Bootstrap(Box::new(swarm))).await? {
            (Answer::Bootstrapped { .. }, _) => {}
            _ => return Err(ControlError::new(ControlErrorKind::Internal, "the answer is to another question").into()),
        }
        let mut leadership = self.handle.leadership();
        let leads = leadership.wait_for(|leadership| matches!(leadership, Leadership::Leader));
        match timeout(REQUEST_TIMEOUT, leads).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(ControlError::new(ControlErrorKind::Unavailable, crate::handle::NO_LEADER).into()),
        }
    }

    /// Joins the consensus of a swarm through any of the managers at `remotes` (host:port), with an empty log. The node's
    /// certificate must say manager.
    ///
    /// # Errors
    /// [`ManagerError`]; a refusal is final, an unreachable manager is tried again for a while.
    pub async fn join(config: ManagerConfig, remotes: &[String]) -> Result<Self, ManagerError> {
        let (log, restored) = vacant(&config)?;
        // The leader calls back before it agrees, so the door is open first.
        let (door, address, stop) = open_door(&config).await?;
        let raft_id = ask_to_join(&config, &advertised(&config, address), remotes).await?;
        let member = MemberFile { raft_id, node: config.node, cluster: config.cluster };
        member.save(&config.data_dir)?;
        launch(&config, Parts { log, restored, member, door, address, stop })
    }

    /// Takes up what the data directory holds.
    ///
    /// # Errors
    /// [`ManagerError`].
    pub async fn start(config: ManagerConfig) -> Result<Self, ManagerError> {
        let member = MemberFile::load(&config.data_dir)?
            .filter(|member| member.node == config.node && member.cluster == config.cluster)
            .ok_or_else(|| ManagerError::Vacant { directory: config.data_dir.clone() })?;
        let (log, restored) = FileLog::open(&log_directory(&config), config.data_key.clone())?;
        let (door, address, stop) = open_door(&config).await?;
        launch(&config, Parts { log, restored, member, door, address, stop })
    }

    /// Whether `data_dir` holds a member that [`Manager::start`] takes up.
    ///
    /// # Errors
    /// [`MemberFileError`] when that can't be told.
    pub fn is_member(data_dir: &Path) -> Result<bool, MemberFileError> {
        Ok(MemberFile::load(data_dir)?.is_some())
    }

    /// Speaks to it.
    #[must_use]
    pub fn handle(&self) -> ManagerHandle {
        self.handle.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has ended. Not to be awaited again after that.
    pub async fn ended(&mut self) -> ManagerEnd {
        (&mut self.supervisor).await.unwrap_or(ManagerEnd::Failed(ManagerError::Broken))
    }

    /// Stops in order: hands over leadership, ends sessions and calls, closes the log. Takes a few seconds at most.
    pub async fn shutdown(mut self) -> ManagerEnd {
        // Fails only when the driver has ended already.
        let _ = self.handle.mailbox().send(Message::Stop).await;
        match timeout(STOP_TIMEOUT, self.ended()).await {
            Ok(end) => end,
            Err(_) => self.abort().await,
        }
    }

    /// Stops at once, as a crash would: nothing is handed over.
    pub async fn abort(mut self) -> ManagerEnd {
        self.stop.cancel();
        self.ended().await
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn log_directory(config: &ManagerConfig) -> PathBuf {
    config.data_dir.join("raft")
}

/// Opens a log that must be empty.
fn vacant(config: &ManagerConfig) -> Result<(FileLog, Restored), ManagerError> {
    let (log, restored) = FileLog::open(&log_directory(config), config.data_key.clone())?;
    if restored == Restored::default() {
        Ok((log, restored))
    } else {
        Err(ManagerError::Occupied { directory: config.data_dir.clone() })
    }
}

async fn open_door(config: &ManagerConfig) -> Result<(Door, SocketAddr, CancellationToken), ManagerError> {
    let listen = |source| ManagerError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let stop = CancellationToken::new();
    Ok((Door::open(listener, &config.tls, stop.clone()), address, stop))
}

/// Removes what a swarm that was not made left behind, so that the next attempt finds nothing.
fn forget(config: &ManagerConfig) {
    let directory = log_directory(config);
    if let Err(error) = std::fs::remove_dir_all(&directory) {
        tracing::warn!(?directory, error = &error as &dyn std::error::Error, "failed to remove an unused raft log");
    }
}

/// host:port for the other managers, with the port that was bound in place of zero.
fn advertised(config: &ManagerConfig, bound: SocketAddr) -> String {
    match config.advertise.rsplit_once(':') {
        Some((host, "0")) => format!("{host}:{}", bound.port()),
        _ => config.advertise.clone(),
    }
}

fn new_raft_id() -> u64 {
    rand::random_range(1..=u64::MAX >> 1)
}
