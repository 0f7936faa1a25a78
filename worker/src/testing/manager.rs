//! A manager that the test plays: it hands each session out, and says what the test has it say.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use shoal_proto::codec;
use shoal_proto::grpc::dispatcher_server::{Dispatcher, DispatcherServer};
use shoal_proto::grpc::manager_frame::Kind as ToWorker;
use shoal_proto::grpc::worker_frame::Kind as FromWorker;
use shoal_proto::grpc::{Assignments, Cluster, HeartbeatReply, ManagerFrame, Welcome, WorkerFrame};
use shoal_proto::model::{AssignmentSet, Id, NodeDescription, Revision, TaskId, TaskReport, TaskState, TaskStatus};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// Task number `n`.
pub(crate) fn task_id(n: u128) -> TaskId {
    TaskId::from_random(n)
}

/// Connections without certificates.
#[derive(Debug)]
pub(crate) struct Plain;

#[async_trait::async_trait]
impl crate::Connect for Plain {
    async fn connect(&self, address: &str) -> Result<Channel, Box<dyn Error + Send + Sync>> {
        Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
    }
}

/// A manager that the test plays.
#[derive(Debug)]
pub(crate) struct FakeManager {
    address: String,
    leader: Arc<Mutex<Option<String>>>,
    sessions: mpsc::Receiver<Leading>,
    serving: JoinHandle<()>,
}

/// One session, seen from the leader.
#[derive(Debug)]
pub(crate) struct Leading {
    frames: Streaming<WorkerFrame>,
    answers: mpsc::Sender<Result<ManagerFrame, Status>>,
    known: AssignmentSet,
    revision: Revision,
    silent: bool,
    applied: u64,
    statuses: BTreeMap<TaskId, TaskStatus>,
}

struct Service {
    leader: Arc<Mutex<Option<String>>>,
    sessions: mpsc::Sender<Leading>,
}

#[tonic::async_trait]
impl Dispatcher for Service {
    type SessionStream = ReceiverStream<Result<ManagerFrame, Status>>;

    async fn session(&self, request: Request<Streaming<WorkerFrame>>) -> Result<Response<Self::SessionStream>, Status> {
        let leader = self.leader.lock().unwrap().clone();
        if let Some(leader) = leader {
            let mut refusal = Status::failed_precondition("not the leader");
            refusal.metadata_mut().insert("shoal-leader", leader.parse().unwrap());
            return Err(refusal);
        }
        let (answers, outbound) = mpsc::channel(64);
        let leading = Leading {
            frames: request.into_inner(),
            answers,
            known: AssignmentSet::default(),
            revision: Revision(0),
            silent: false,
            applied: 0,
            statuses: Default::default(),
        };
        self.sessions.send(leading).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(outbound)))
    }
}

impl FakeManager {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let leader: Arc<Mutex<Option<String>>> = Arc::default();
        let (sessions_in, sessions) = mpsc::channel(16);
        let service = Service { leader: Arc::clone(&leader), sessions: sessions_in };
        let server = Server::builder().add_service(DispatcherServer::new(service));
        let serving = tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { address, leader, sessions, serving }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Names another leader to whoever asks, or leads itself.
    pub(crate) fn redirect(&self, leader: Option<String>) {
        *self.leader.lock().unwrap() = leader;
    }

    /// The next session, registered and welcomed.
    pub(crate) async fn session(&mut self) -> Leading {
        let mut leading = self.sessions.recv().await.unwrap();
        let Some(FromWorker::Register(register)) = leading.frames.message().await.unwrap().unwrap().kind else {
            panic!("the first frame is no registration");
        };
        codec::decode::<NodeDescription>(&register.description).unwrap();
        register.data_path_address.parse::<std::net::IpAddr>().unwrap();
        leading.answer(ToWorker::Welcome(Welcome { session_id: "s".into(), heartbeat_ms: 60 })).await;
        leading
    }

    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _stopped = (&mut self.serving).await;
    }
}

impl Leading {
    /// Tells the difference between what was told and this.
    pub(crate) async fn tell(&mut self, set: &AssignmentSet) {
        let diff = self.known.difference(set, self.revision);
        self.revision = diff.result;
        self.known = set.clone();
        self.answer(ToWorker::Assignments(Assignments { diff: codec::encode(&diff).unwrap().into() })).await;
    }

    pub(crate) async fn tell_cluster(&mut self, managers: &[String], role: &str, root: &str) {
        let cluster = Cluster { managers: managers.to_vec(), role: role.into(), root_pem: root.into() };
        self.answer(ToWorker::Cluster(cluster)).await;
    }

    pub(crate) fn skip_a_revision(&mut self) {
        self.revision = Revision(self.revision.0 + 1);
    }

    /// Neither answers nor closes.
    pub(crate) fn fall_silent(&mut self) {
        self.silent = true;
    }

    /// Hears the worker until a task is reported in this state.
    pub(crate) async fn until(&mut self, n: u128, state: TaskState) -> TaskStatus {
        loop {
            if let Some(status) = self.statuses.get(&task_id(n)).filter(|status| status.state == state) {
                return status.clone();
            }
            self.hear().await;
        }
    }

    /// Hears the worker until it shows this revision.
    pub(crate) async fn until_applied(&mut self, revision: u64) {
        while self.applied < revision {
            self.hear().await;
        }
    }

    async fn hear(&mut self) {
        let frame = self.frames.message().await.unwrap().expect("the worker closed the session");
        match frame.kind.unwrap() {
            FromWorker::Register(_) => panic!("registered twice"),
            FromWorker::Heartbeat(_) => self.answer(ToWorker::Heartbeat(HeartbeatReply { heartbeat_ms: 60 })).await,
            FromWorker::Statuses(statuses) => {
                let reports: Vec<TaskReport> = codec::decode(&statuses.reports).unwrap();
                for TaskReport { task, status } in reports {
                    let before = self.statuses.insert(task, status.clone());
                    assert!(before.is_none_or(|before| before.state <= status.state), "{task} fell back");
                }
            }
            FromWorker::Applied(applied) => self.applied = applied.revision,
        }
    }

    async fn answer(&self, kind: ToWorker) {
        if !self.silent {
            self.answers.send(Ok(ManagerFrame { kind: Some(kind) })).await.unwrap();
        }
    }
}
