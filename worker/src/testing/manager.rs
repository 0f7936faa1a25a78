//! A manager that the test plays: it hands each session out, and says what the test has it say.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    heartbeat_ms: Arc<AtomicU64>,
    sessions: mpsc::Receiver<Leading>,
    serving: JoinHandle<()>,
}

/// One session, seen from the leader.
#[derive(Debug)]
pub(crate) struct Leading {
    /// All but heartbeats, which are answered as they come.
    frames: mpsc::Receiver<FromWorker>,
    hearing: JoinHandle<()>,
    answers: mpsc::Sender<Result<ManagerFrame, Status>>,
    known: AssignmentSet,
    revision: Revision,
    silent: Arc<AtomicBool>,
    applied: u64,
    statuses: BTreeMap<TaskId, TaskStatus>,
}

struct Service {
    leader: Arc<Mutex<Option<String>>>,
    heartbeat_ms: Arc<AtomicU64>,
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
        let (heard, frames) = mpsc::channel(1024);
        let silent: Arc<AtomicBool> = Arc::default();
        let hearing = Hearing {
            frames: request.into_inner(),
            heard,
            answers: answers.clone(),
            silent: Arc::clone(&silent),
            heartbeat_ms: self.heartbeat_ms.load(Ordering::Relaxed),
        };
        let leading = Leading {
            frames,
            hearing: tokio::spawn(hearing.run()),
            answers,
            known: AssignmentSet::default(),
            revision: Revision(0),
            silent,
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
        // As long as real managers take: a crowded host must not look like a silent one.
        let heartbeat_ms = Arc::new(AtomicU64::new(1000));
        let service =
            Service { leader: Arc::clone(&leader), heartbeat_ms: Arc::clone(&heartbeat_ms), sessions: sessions_in };
        let server = Server::builder().add_service(DispatcherServer::new(service));
        let serving = tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { address, leader, heartbeat_ms, sessions, serving }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Names another leader to whoever asks, or leads itself.
    pub(crate) fn redirect(&self, leader: Option<String>) {
        *self.leader.lock().unwrap() = leader;
    }

    /// The period of heartbeats from the next session on.
    pub(crate) fn beat_every(&self, milliseconds: u64) {
        self.heartbeat_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// The next session, registered and welcomed.
    pub(crate) async fn session(&mut self) -> Leading {
        let mut leading = self.sessions.recv().await.unwrap();
        let Some(FromWorker::Register(register)) = leading.frames.recv().await else {
            panic!("the first frame is no registration");
        };
        let heartbeat_ms = self.heartbeat_ms.load(Ordering::Relaxed);
        codec::decode::<NodeDescription>(&register.description).unwrap();
        register.data_path_address.parse::<std::net::IpAddr>().unwrap();
        leading.answer(ToWorker::Welcome(Welcome { session_id: "s".into(), heartbeat_ms })).await;
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
        self.silent.store(true, Ordering::Relaxed);
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
        match self.frames.recv().await.expect("the worker closed the session") {
            FromWorker::Register(_) => panic!("registered twice"),
            FromWorker::Heartbeat(_) => {}
            FromWorker::Statuses(statuses) => {
                let reports: Vec<TaskReport> = codec::decode(&statuses.reports).unwrap();
                for TaskReport { task, status } in reports {
                    let before = self.statuses.insert(task, status.clone());
                    assert!(before.is_none_or(|before| before.state <= status.state), "{task} fell back");
                }
            }
            FromWorker::Applied(applied) => self.applied = applied.revision,
            FromWorker::Silent(_) | FromWorker::Verified(_) => {}
        }
    }

    async fn answer(&self, kind: ToWorker) {
        if !self.silent.load(Ordering::Relaxed) {
            self.answers.send(Ok(ManagerFrame { kind: Some(kind) })).await.unwrap();
        }
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

/// Hears one worker, and answers its heartbeats also while the test does something else.
struct Hearing {
    frames: Streaming<WorkerFrame>,
    heard: mpsc::Sender<FromWorker>,
    answers: mpsc::Sender<Result<ManagerFrame, Status>>,
    silent: Arc<AtomicBool>,
    heartbeat_ms: u64,
}

impl Hearing {
    async fn run(mut self) {
        while let Ok(Some(WorkerFrame { kind: Some(kind) })) = self.frames.message().await {
            if !matches!(kind, FromWorker::Heartbeat(_)) {
                if self.heard.send(kind).await.is_err() {
                    return;
                }
            } else if !self.silent.load(Ordering::Relaxed) {
                let reply = HeartbeatReply { heartbeat_ms: self.heartbeat_ms };
                let _gone = self.answers.send(Ok(ManagerFrame { kind: Some(ToWorker::Heartbeat(reply)) })).await;
            }
        }
    }
}
