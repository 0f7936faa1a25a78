//! A worker that only speaks: it opens a session, applies what it is told, and says what a test wants it to say.

use std::time::Duration;

use shoal_manager::tls::{ManagerConnector, NodeTls};
use shoal_proto::codec::{decode, encode};
use shoal_proto::grpc::dispatcher_client::DispatcherClient;
use shoal_proto::grpc::manager_frame::Kind;
use shoal_proto::grpc::worker_frame::Kind as WorkerKind;
use shoal_proto::grpc::{Cluster, Heartbeat, ManagerFrame, Register, TaskStatuses, WorkerFrame};
use shoal_proto::model::{AssignmentDiff, AssignmentSet, NodeDescription, ResourceReservations, Revision, TaskReport};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::host::soon;

pub(crate) struct Worker {
    pub(crate) frames: mpsc::Sender<WorkerFrame>,
    pub(crate) stream: Streaming<ManagerFrame>,
    pub(crate) assignments: AssignmentSet,
    pub(crate) revision: Revision,
    /// The bases of all differences so far.
    pub(crate) bases: Vec<Revision>,
    pub(crate) cluster: Option<Cluster>,
}

impl Worker {
    pub(crate) async fn open(tls: &NodeTls, manager: &str) -> Result<Self, Status> {
        let channel = ManagerConnector::new(&tls.client).connect(manager).await.unwrap();
        let (frames, outgoing) = mpsc::channel(16);
        let description = NodeDescription {
            hostname: "worker".to_owned(),
            resources: ResourceReservations { nano_cpus: 4_000_000_000, memory_bytes: 8 << 30 },
            ..NodeDescription::default()
        };
        let register = Register { description: encode(&description).unwrap().into(), data_path_address: String::new() };
        frames.try_send(WorkerFrame { kind: Some(WorkerKind::Register(register)) }).unwrap();
        let mut client = DispatcherClient::new(channel);
        let stream = soon("a session", client.session(ReceiverStream::new(outgoing))).await?.into_inner();
        let mut worker = Self {
            frames,
            stream,
            assignments: AssignmentSet::default(),
            revision: Revision(0),
            bases: Vec::new(),
            cluster: None,
        };
        match worker.frame().await? {
            Kind::Welcome(welcome) => assert!(!welcome.session_id.is_empty()),
            other => panic!("the first frame is {other:?}"),
        }
        Ok(worker)
    }

    /// The next frame, applied.
    pub(crate) async fn frame(&mut self) -> Result<Kind, Status> {
        let frame = soon("a frame", self.stream.message()).await?;
        let Some(kind) = frame.and_then(|frame| frame.kind) else { return Err(Status::cancelled("the stream ended")) };
        match &kind {
            Kind::Assignments(assignments) => {
                let diff: AssignmentDiff = decode(&assignments.diff).unwrap();
                assert!(diff.base == Revision(0) || diff.base == self.revision, "a difference from what is not held");
                self.bases.push(diff.base);
                self.revision = diff.result;
                self.assignments.apply(diff);
            }
            Kind::Cluster(cluster) => self.cluster = Some(cluster.clone()),
            _ => {}
        }
        Ok(kind)
    }

    /// Reads, and says that it lives, until what it holds fits.
    pub(crate) async fn until(&mut self, what: &str, mut fits: impl FnMut(&Self) -> bool) {
        let mut beat = tokio::time::interval(Duration::from_millis(500));
        soon(what, async {
            while !fits(self) {
                tokio::select! {
                    frame = self.frame() => drop(frame.unwrap()),
                    _ = beat.tick() => self.heartbeat_if_there_is_room(),
                }
            }
        })
        .await;
    }

    pub(crate) fn heartbeat_if_there_is_room(&self) {
        let _ = self.frames.try_send(WorkerFrame { kind: Some(WorkerKind::Heartbeat(Heartbeat {})) });
    }

    pub(crate) async fn heartbeat(&self) {
        let frame = WorkerFrame { kind: Some(WorkerKind::Heartbeat(Heartbeat {})) };
        self.frames.send(frame).await.unwrap();
    }

    pub(crate) async fn report(&self, reports: &[TaskReport]) {
        let statuses = TaskStatuses { reports: encode(reports).unwrap().into() };
        self.frames.send(WorkerFrame { kind: Some(WorkerKind::Statuses(statuses)) }).await.unwrap();
    }
}
