//! One worker's session: an actor between its stream and the driver.
//!
//! Frames from the worker become inputs; events from the driver become frames. A worker that does not take its frames
//! for a while loses the session, and so does one that sends what is no frame.

use std::net::IpAddr;
use std::time::Duration;

use shoal_manager_core::{CloseReason, Input, SessionId};
use shoal_proto::codec::{decode, encode};
use shoal_proto::grpc::manager_frame::Kind as ManagerKind;
use shoal_proto::grpc::worker_frame::Kind as WorkerKind;
use shoal_proto::grpc::{Assignments, Cluster, HeartbeatReply, ManagerFrame, Register, Welcome, WorkerFrame};
use shoal_proto::model::{NodeDescription, NodeId, Revision, Role, TaskReport, Verification};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{not_leader, removed};
use crate::ca::role_name;
use crate::driver::{Message, SessionEvent, SessionNews};
use crate::handle::ManagerHandle;
use crate::limits::{REGISTER_TIMEOUT, SESSION_QUEUE, SESSION_STALL_TIMEOUT};

pub(super) struct Session {
    pub(super) node: NodeId,
    /// As its certificate says.
    pub(super) role: Role,
    pub(super) id: SessionId,
    /// Where the worker calls from.
    pub(super) observed: IpAddr,
    pub(super) manager: ManagerHandle,
    pub(super) frames: mpsc::Sender<Result<ManagerFrame, Status>>,
    pub(super) stop: CancellationToken,
}

/// How a session ends that the worker did not end.
enum End {
    /// The worker is told.
    Refused(Status),
    /// Nobody is there to be told.
    Silent,
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl Session {
    pub(super) async fn run(self, mut stream: Streaming<WorkerFrame>) {
        let stop = self.stop.clone();
        let end = tokio::select! {
            () = stop.cancelled() => End::Refused(Status::unavailable("this manager stops")),
            end = self.serve(&mut stream) => end,
        };
        let closed = Input::SessionClosed { node: self.node, session: self.id };
        // Fails only when the driver has ended, and its sessions with it.
        let _ = self.manager.mailbox().send(Message::Inputs(vec![closed])).await;
        if let End::Refused(status) = end {
            tracing::debug!(node = %self.node, reason = status.message(), "ended a worker's session");
            // A worker that does not read is not told why.
            let _ = self.frames.try_send(Err(status));
        }
    }

    async fn serve(&self, stream: &mut Streaming<WorkerFrame>) -> End {
        match self.converse(stream).await {
            Ok(()) => End::Silent,
            Err(end) => end,
        }
    }

    async fn converse(&self, stream: &mut Streaming<WorkerFrame>) -> Result<(), End> {
        let register = self.registration(stream).await?;
        let mut heartbeat = self.heartbeat_period();
        self.send(ManagerKind::Welcome(Welcome {
            session_id: format!("{:016x}", self.id.0),
            heartbeat_ms: millis(heartbeat),
        }))
        .await?;
        let (events, mut queue) = mpsc::channel(SESSION_QUEUE);
        self.tell(Message::OpenSession { opened: self.opened(register)?, events }).await?;
        // Its issue was told once; a leader that fell meanwhile may have taken that along.
        self.tell(Message::Inputs(vec![Input::CertificateRole { node: self.node, role: self.role }])).await?;
        loop {
            tokio::select! {
                event = queue.recv() => match event {
                    Some(SessionEvent::News(news)) => {
                        heartbeat = news.heartbeat;
                        self.send(cluster_frame(news)).await?;
                    }
                    Some(SessionEvent::Logs(wanted)) => self.send(ManagerKind::Logs(wanted)).await?,
                    Some(SessionEvent::Assign(diff)) => {
                        let diff = encode(&*diff).map_err(|_| Status::internal("the assignments can't be written"))?;
                        self.send(ManagerKind::Assignments(Assignments { diff: diff.into() })).await?;
                    }
                    Some(SessionEvent::Close(reason)) => return Err(self.closed(reason).into()),
                    None => return Err(Status::resource_exhausted("the session was ended: it was not read").into()),
                },
                frame = stream.message() => match frame {
                    Ok(Some(WorkerFrame { kind: Some(kind) })) => self.take(kind, heartbeat).await?,
                    Ok(Some(WorkerFrame { kind: None })) => {
                        return Err(Status::invalid_argument("a frame of no known kind was sent").into());
                    }
                    Ok(None) | Err(_) => return Ok(()),
                },
            }
        }
    }

    async fn registration(&self, stream: &mut Streaming<WorkerFrame>) -> Result<Register, End> {
        match timeout(REGISTER_TIMEOUT, stream.message()).await {
            Ok(Ok(Some(WorkerFrame { kind: Some(WorkerKind::Register(register)) }))) => Ok(register),
            Ok(Ok(Some(_))) => Err(Status::invalid_argument("the first frame must be Register").into()),
            Ok(Ok(None) | Err(_)) => Err(End::Silent),
            Err(_) => Err(Status::deadline_exceeded("the first frame did not come in time").into()),
        }
    }

    fn opened(&self, register: Register) -> Result<Input, Status> {
        let description: NodeDescription = decode(&register.description)
            .map_err(|error| Status::invalid_argument(format!("the node's description can't be read: {error}")))?;
        let data_path_address = match register.data_path_address.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                Status::invalid_argument(format!("invalid data path address '{text}': an IP address is expected"))
            })?),
        };
        Ok(Input::SessionOpened {
            node: self.node,
            session: self.id,
            description,
            observed_address: self.observed,
            data_path_address,
        })
    }

    async fn take(&self, kind: WorkerKind, heartbeat: Duration) -> Result<(), End> {
        let (node, session) = (self.node, self.id);
        let input = match kind {
            WorkerKind::Heartbeat(_) => Input::Heartbeat { node, session },
            WorkerKind::Statuses(statuses) => {
                let reports: Vec<TaskReport> = decode(&statuses.reports)
                    .map_err(|error| Status::invalid_argument(format!("the task reports can't be read: {error}")))?;
                Input::Reports { node, session, reports }
            }
            WorkerKind::Applied(applied) => Input::Applied { node, session, revision: Revision(applied.revision) },
            WorkerKind::Silent(silent) => {
                let ids = silent.node_ids.iter().map(|id| id.parse::<NodeId>());
                let hosts = ids.collect::<Result<_, _>>();
                let hosts = hosts.map_err(|error| Status::invalid_argument(format!("a silent host: {error}")))?;
                Input::Silent { node, session, hosts }
            }
            WorkerKind::Verified(verified) => {
                let verification: Verification = decode(&verified.verification)
                    .map_err(|error| Status::invalid_argument(format!("a verification can't be read: {error}")))?;
                Input::Verified { node, session, verification }
            }
            WorkerKind::Register(_) => return Err(Status::invalid_argument("Register must be the first frame").into()),
        };
        let answers = matches!(input, Input::Heartbeat { .. });
        self.tell(Message::Inputs(vec![input])).await?;
        if answers {
            self.send(ManagerKind::Heartbeat(HeartbeatReply { heartbeat_ms: millis(heartbeat) })).await?;
        }
        Ok(())
    }

    async fn tell(&self, message: Message) -> Result<(), Status> {
        self.manager.mailbox().send(message).await.map_err(|_| Status::unavailable("this manager has stopped"))
    }

    /// Hands a frame to the stream. A stream that takes none for long has a worker that does not read.
    async fn send(&self, kind: ManagerKind) -> Result<(), End> {
        let frame = Ok(ManagerFrame { kind: Some(kind) });
        match timeout(SESSION_STALL_TIMEOUT, self.frames.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Silent),
            Err(_) => {
                tracing::warn!(node = %self.node, "ended the session of a node that does not read");
                Err(Status::resource_exhausted("the session was ended: it was not read").into())
            }
        }
    }

    fn heartbeat_period(&self) -> Duration {
        let view = self.manager.view();
        view.cluster.as_ref().map_or(Duration::from_secs(1), |cluster| cluster.spec.heartbeat_period)
    }

    fn closed(&self, reason: CloseReason) -> Status {
        match reason {
            CloseReason::NotLeader => not_leader(self.manager.view().leader_address()),
            CloseReason::UnknownNode => removed(Status::not_found(format!(
                "node {} is not of the swarm, or was removed from it: leave the swarm and join it again",
                self.node
            ))),
            CloseReason::Replaced => Status::aborted("the node opened another session"),
            CloseReason::UnknownSession => Status::aborted("the session is not known: open another"),
            CloseReason::Silent => Status::deadline_exceeded("the node's heartbeats did not come in time"),
        }
    }
}

fn cluster_frame(news: SessionNews) -> ManagerKind {
    ManagerKind::Cluster(Cluster {
        managers: news.managers.to_vec(),
        role: role_name(news.role).trim_start_matches("swarm-").to_owned(),
        root_pem: news.root_pem,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
