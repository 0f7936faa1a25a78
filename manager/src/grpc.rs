//! The gRPC services of a manager, over mutual TLS on one port.
//!
//! Each service takes apart its envelopes, asks who calls and whether they may, and hands model types to the driver. What
//! only the leader can do, a follower carries to it once, or refuses with the leader's address.

mod authority;
mod caller;
mod control;
mod dispatcher;
mod listener;
mod logs;
mod raft;
mod refusals;
mod session;

use std::sync::Arc;
use std::time::Duration;

use shoal_manager_core::Leadership;
use shoal_proto::grpc::certificate_authority_server::CertificateAuthorityServer;
use shoal_proto::grpc::control_server::ControlServer;
use shoal_proto::grpc::dispatcher_server::DispatcherServer;
use shoal_proto::grpc::logs_server::LogsServer;
use shoal_proto::grpc::raft_server::RaftServer;
use shoal_proto::model::{NodeId, Role};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::MetadataValue;
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::ca::Identity;
use crate::handle::ManagerHandle;
use crate::leader::FORWARDED;
use crate::limits::{
    DRAIN_TIMEOUT, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, LEADER_WAIT, LOG_BATCH_BYTES_MAX, MESSAGE_BYTES,
    STREAM_WINDOW_BYTES, WORKER_MESSAGE_BYTES,
};
use crate::tls::NodeTls;
use caller::Caller;
use listener::{Connection, Listener};
use refusals::Refusals;

/// Metadata of a refusal by a follower: host:port of the leader, when it is known.
pub(crate) const LEADER: &str = "shoal-leader";

/// Metadata of a leader's refusal to a node that is none of the swarm, or to a manager that is no member.
pub(crate) const REMOVED: &str = "shoal-removed";

/// The door of a manager: takes handshakes at once, and calls when there is somebody to answer them.
#[derive(Debug)]
pub(crate) struct Door {
    connections: mpsc::Receiver<std::io::Result<Connection>>,
    refusals: Arc<Refusals>,
    listening: JoinHandle<()>,
    /// Closes the door of a manager that could not be started.
    stop: DropGuard,
}

impl Door {
    /// Opens the door on a bound socket. Calls wait until [`Door::serve`].
    pub(crate) fn open(listener: TcpListener, tls: &NodeTls, stop: CancellationToken) -> Self {
        let refusals = Arc::new(Refusals::default());
        let (listener, connections) = Listener::new(listener, &tls.server, Arc::clone(&refusals), stop.clone());
        let listening = tokio::spawn(listener.run());
        Self { connections, refusals, listening, stop: stop.drop_guard() }
    }

    /// Serves until it is stopped, and a little longer for what is under way. The port is free after that.
    pub(crate) async fn serve(self, manager: ManagerHandle) -> Result<(), tonic::transport::Error> {
        let stop = self.stop.disarm();
        let services = Services { manager, refusals: self.refusals, stop: stop.clone() };
        let raft = RaftServer::new(services.clone())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let control = ControlServer::new(services.clone())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let dispatcher = DispatcherServer::new(services.clone())
            .max_decoding_message_size(WORKER_MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let logs = LogsServer::new(services.clone()).max_decoding_message_size(LOG_BATCH_BYTES_MAX);
        let serving = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(STREAM_WINDOW_BYTES)
            .add_service(CertificateAuthorityServer::new(services))
            .add_service(raft)
            .add_service(control)
            .add_service(dispatcher)
            .add_service(logs)
            .serve_with_incoming_shutdown(ReceiverStream::new(self.connections), stop.cancelled());
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN_TIMEOUT).await;
        };
        let served = tokio::select! {
            result = serving => result,
            () = late => Ok(()),
        };
        stop.cancel();
        // Fails only when it panicked, and then the port is free as well.
        let _ = self.listening.await;
        served
    }
}

/// All services: they share who answers and whom they refused.
#[derive(Debug, Clone)]
struct Services {
    manager: ManagerHandle,
    refusals: Arc<Refusals>,
    stop: CancellationToken,
}

impl Services {
    /// The node that calls, if it is one of this swarm.
    fn node<T>(&self, request: &Request<T>) -> Result<(Identity, Caller), Status> {
        let caller = Caller::of(request)?;
        match caller.node(self.manager.cluster()) {
            Ok(identity) => Ok((identity, caller)),
            Err(status) => Err(self.refuse(&caller, status)),
        }
    }

    /// The node that calls, if it is a manager of this swarm.
    fn manager<T>(&self, request: &Request<T>) -> Result<(NodeId, Caller), Status> {
        let caller = Caller::of(request)?;
        match caller.manager(self.manager.cluster()) {
            Ok(node) => Ok((node, caller)),
            Err(status) => Err(self.refuse(&caller, status)),
        }
    }

    /// The node that calls, if it is a manager of this swarm by its certificate and by the managers' decision: a
    /// certificate outlives the removal of its node.
    async fn standing_manager<T>(&self, request: &Request<T>) -> Result<(NodeId, Caller), Status> {
        let (node, caller) = self.manager(request)?;
        let stopped = |_| Status::unavailable("this manager has stopped");
        let refusal = match self.manager.mailbox().certificate_role(node).await.map_err(stopped)? {
            Some(Role::Manager) => return Ok((node, caller)),
            Some(Role::Worker) => Status::permission_denied(format!("node {node} is no manager any longer")),
            None if self.manager.view().is_leader() => Status::permission_denied(format!(
                "node {node} was removed from the swarm: leave the swarm and join it again"
            )),
            // It may have joined after what this manager knows.
            None => return Err(Status::unavailable(format!("this manager does not know node {node}; try again"))),
        };
        Err(self.refuse(&caller, refusal))
    }

    fn refuse(&self, caller: &Caller, status: Status) -> Status {
        self.refusals.log(caller.remote.ip(), status.message(), "refused a call");
        status
    }

    /// Where to carry a call that is the leader's: `None` when this manager leads. Waits for an election to end.
    async fn leader_for<T>(&self, request: &Request<T>) -> Result<Option<String>, Status> {
        let carried = request.metadata().contains_key(FORWARDED);
        let mut leadership = self.manager.leadership();
        let is_known = |leadership: &Leadership| !matches!(leadership, Leadership::Follower { leader: None });
        let known = match timeout(LEADER_WAIT, leadership.wait_for(is_known)).await {
            Ok(Ok(known)) => known.clone(),
            Ok(Err(_)) | Err(_) => return Err(not_leader(None)),
        };
        match known {
            Leadership::Leader => Ok(None),
            Leadership::Follower { leader: Some(leader) } if !carried => Ok(Some(leader.address)),
            Leadership::Follower { leader } => Err(not_leader(leader.as_ref().map(|leader| &*leader.address))),
        }
    }
}

/// A follower's refusal.
/// Marks a refusal as one that nothing but joining again mends.
fn removed(mut status: Status) -> Status {
    status.metadata_mut().insert(REMOVED, MetadataValue::from_static("1"));
    status
}

fn not_leader(leader: Option<&str>) -> Status {
    let Some(leader) = leader else {
        return Status::unavailable(crate::handle::NO_LEADER);
    };
    let mut status = Status::failed_precondition(format!("this manager does not lead; ask the leader at {leader}"));
    if let Ok(value) = MetadataValue::try_from(leader) {
        status.metadata_mut().insert(LEADER, value);
    }
    status
}

/// The time that a caller still waits, at most `longest`.
fn deadline<T>(request: &Request<T>, longest: Duration) -> Duration {
    let asked = request.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse_timeout);
    asked.map_or(longest, |asked| asked.min(longest))
}

/// gRPC's form: digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(number.saturating_mul(60))),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Performs `work` within `longest`.
async fn within<T>(longest: Duration, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    timeout(longest, work)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("the managers did not answer in time")))
}
