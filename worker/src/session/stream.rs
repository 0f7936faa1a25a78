//! One session, from `Register` to its end.

use std::collections::VecDeque;
use std::time::Duration;

use shoal_proto::codec;
use shoal_proto::grpc::dispatcher_client::DispatcherClient;
use shoal_proto::grpc::manager_frame::Kind as FromManager;
use shoal_proto::grpc::worker_frame::Kind as ToManager;
use shoal_proto::grpc::{
    Applied, Cluster, Heartbeat, ManagerFrame, Register, Silent, TaskStatuses, Verified, WorkerFrame,
};
use shoal_proto::model::{AssignmentDiff, NodeDescription, Role, TunnelKey};
use shoal_worker_core::Input;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::SessionParts;
use super::candidates::Candidates;
use super::outgoing::Waiting;
use crate::WorkerEvent;
use crate::limits::{
    ASSIGNMENT_BYTES_MAX, FRAMES_WAITING, HEARTBEAT_DEFAULT, HEARTBEAT_RANGE, HEARTBEATS_MISSED, REGISTER_TIMEOUT,
};

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionEnd {
    #[error("failed to connect")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the manager ended the session")]
    Status(#[source] Box<tonic::Status>),
    #[error("the manager closed the session")]
    Closed,
    #[error("the manager did not answer in time")]
    Silent,
    #[error("the manager sent what can't be read")]
    Codec(#[from] codec::CodecError),
    #[error("the manager broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("the assignments did not fit: the whole set is asked for")]
    Resync,
    #[error("this node's keys of the tunnel have changed: the managers are told anew")]
    Keys,
    #[error("the worker stops")]
    Stopped,
}

impl SessionEnd {
    /// The leader's address, when the manager that was asked is another and knows it.
    pub(super) fn leader(&self) -> Option<String> {
        let Self::Status(status) = self else { return None };
        let leader = status.metadata().get(LEADER_METADATA)?.to_str().ok()?;
        (!leader.is_empty()).then(|| leader.to_owned())
    }

    /// Whether the leader said that this node is none of the swarm.
    pub(super) fn is_removal(&self) -> bool {
        matches!(self, Self::Status(status) if status.metadata().contains_key(REMOVED_METADATA))
    }
}

/// A session that is registered.
pub(super) struct Stream {
    frames: mpsc::Sender<WorkerFrame>,
    inbound: Streaming<ManagerFrame>,
    period: Duration,
    /// For each heartbeat under way, the last report that went before it: its answer acknowledges that.
    heartbeats: VecDeque<Option<u64>>,
    last_report: Option<u64>,
    /// The keys of the tunnel that this session told.
    told: Vec<TunnelKey>,
}

impl Stream {
    /// Connects, registers and waits to be welcomed.
    pub(super) async fn open(address: &str, parts: &SessionParts) -> Result<Self, SessionEnd> {
        let opening = async {
            let channel = parts.connect.connect(address).await.map_err(SessionEnd::Connect)?;
            Self::register(channel, parts).await
        };
        timeout(REGISTER_TIMEOUT, opening).await.map_err(|_| SessionEnd::Silent)?
    }

    async fn register(channel: Channel, parts: &SessionParts) -> Result<Self, SessionEnd> {
        let (frames, outbound) = mpsc::channel(FRAMES_WAITING);
        let told = parts.tunnel_keys.wished();
        let description = NodeDescription { tunnel_keys: told.clone(), ..parts.description.clone() };
        let register = Register {
            description: codec::encode(&description)?.into(),
            data_path_address: parts.data_path_address.to_string(),
        };
        send(&frames, ToManager::Register(register)).await?;
        let mut client = DispatcherClient::new(channel).max_decoding_message_size(ASSIGNMENT_BYTES_MAX);
        let answer = client.session(ReceiverStream::new(outbound)).await.map_err(refused)?;
        let mut stream = Self {
            frames,
            inbound: answer.into_inner(),
            period: HEARTBEAT_DEFAULT,
            heartbeats: VecDeque::new(),
            last_report: None,
            told,
        };
        match stream.next().await? {
            FromManager::Welcome(welcome) => {
                parts.tunnel_keys.told(stream.told.clone());
                stream.set_period(welcome.heartbeat_ms);
            }
            _ => return Err(SessionEnd::Protocol("the first frame is no welcome")),
        }
        Ok(stream)
    }

    /// Serves the session until it ends.
    pub(super) async fn serve(mut self, parts: &SessionParts, candidates: &mut Candidates) -> SessionEnd {
        let mut beat = Instant::now() + self.period;
        let mut heard = Instant::now();
        let mut tunnel_keys = parts.tunnel_keys.clone();
        let told = self.told.clone();
        loop {
            let silence = heard + self.period * HEARTBEATS_MISSED;
            let outcome = tokio::select! {
                frame = self.next() => {
                    heard = Instant::now();
                    match frame {
                        Ok(frame) => self.take(frame, parts, candidates).await,
                        Err(end) => Err(end),
                    }
                }
                waiting = parts.outgoing.take() => self.send_waiting(waiting).await,
                () = tokio::time::sleep_until(beat) => {
                    beat = Instant::now() + self.period;
                    self.heartbeats.push_back(self.last_report);
                    send(&self.frames, ToManager::Heartbeat(Heartbeat {})).await
                }
                () = tokio::time::sleep_until(silence) => Err(SessionEnd::Silent),
                // A session tells them at its beginning.
                () = tunnel_keys.changed_from(&told) => Err(SessionEnd::Keys),
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    async fn next(&mut self) -> Result<FromManager, SessionEnd> {
        loop {
            match self.inbound.message().await {
                Ok(Some(ManagerFrame { kind: Some(kind) })) => return Ok(kind),
                // A frame of a newer manager: it means nothing here.
                Ok(Some(ManagerFrame { kind: None })) => {}
                Ok(None) => return Err(SessionEnd::Closed),
                Err(status) => return Err(refused(status)),
            }
        }
    }

    async fn take(
        &mut self,
        frame: FromManager,
        parts: &SessionParts,
        candidates: &mut Candidates,
    ) -> Result<(), SessionEnd> {
        match frame {
            FromManager::Welcome(_) => Err(SessionEnd::Protocol("a second welcome")),
            FromManager::Assignments(assignments) => {
                let diff: AssignmentDiff = codec::decode(&assignments.diff)?;
                parts.input(Input::Assignments(diff)).await
            }
            FromManager::Heartbeat(reply) => {
                if reply.heartbeat_ms > 0 {
                    self.set_period(reply.heartbeat_ms);
                }
                match self.heartbeats.pop_front().flatten() {
                    Some(sequence) => parts.input(Input::ReportsAcknowledged { sequence }).await,
                    None => Ok(()),
                }
            }
            FromManager::Cluster(cluster) => follow(cluster, parts, candidates).await,
            FromManager::Logs(wanted) => {
                parts.want_logs(codec::decode(&wanted.request)?);
                Ok(())
            }
        }
    }

    async fn send_waiting(&mut self, waiting: Waiting) -> Result<(), SessionEnd> {
        if waiting.resync {
            return Err(SessionEnd::Resync);
        }
        let (sequence, applied) = (waiting.sequence, waiting.applied);
        if let Some(hosts) = &waiting.silent {
            let node_ids = hosts.iter().map(ToString::to_string).collect();
            send(&self.frames, ToManager::Silent(Silent { node_ids })).await?;
        }
        if let Some(verification) = &waiting.verified {
            let verification = codec::encode(verification)?.into();
            send(&self.frames, ToManager::Verified(Verified { verification })).await?;
        }
        if waiting.has_reports() {
            let reports = codec::encode(&waiting.reports())?.into();
            send(&self.frames, ToManager::Statuses(TaskStatuses { reports })).await?;
            self.last_report = sequence.or(self.last_report);
        }
        match applied {
            Some(revision) => send(&self.frames, ToManager::Applied(Applied { revision: revision.0 })).await,
            None => Ok(()),
        }
    }

    fn set_period(&mut self, milliseconds: u64) {
        if milliseconds > 0 {
            self.period = Duration::from_millis(milliseconds).clamp(HEARTBEAT_RANGE.0, HEARTBEAT_RANGE.1);
        }
    }
}

/// What the manager says of the swarm, for the node.
async fn follow(cluster: Cluster, parts: &SessionParts, candidates: &mut Candidates) -> Result<(), SessionEnd> {
    if candidates.replace(cluster.managers.clone()) {
        parts.event(WorkerEvent::Managers(cluster.managers)).await?;
    }
    match cluster.role.as_str() {
        "manager" => parts.event(WorkerEvent::RoleWanted(Role::Manager)).await?,
        "worker" => parts.event(WorkerEvent::RoleWanted(Role::Worker)).await?,
        _ => {}
    }
    if !cluster.root_pem.is_empty() {
        parts.root_told(cluster.root_pem).await?;
    }
    Ok(())
}

async fn send(frames: &mpsc::Sender<WorkerFrame>, kind: ToManager) -> Result<(), SessionEnd> {
    frames.send(WorkerFrame { kind: Some(kind) }).await.map_err(|_| SessionEnd::Closed)
}

fn refused(status: tonic::Status) -> SessionEnd {
    SessionEnd::Status(Box::new(status))
}

/// Names the leader in the refusal of a manager that is not.
const LEADER_METADATA: &str = "shoal-leader";

/// Marks a leader's refusal to a node that is none of the swarm.
const REMOVED_METADATA: &str = "shoal-removed";
