//! Workers' sessions: the whole set, then differences; one a node; none for who does not read.

use std::time::Duration;

use shoal_proto::codec::encode;
use shoal_proto::grpc::manager_frame::Kind;
use shoal_proto::grpc::worker_frame::Kind as WorkerKind;
use shoal_proto::grpc::{TaskStatuses, WorkerFrame};
use shoal_proto::model::{
    ControlReply, ControlRequest, NodeId, NodeState, PortStatus, Revision, ServiceMode, ServiceSpec, TaskFilter,
    TaskReport, TaskState, TaskStatus,
};
use tonic::Code;

use crate::credentials::now;
use crate::host::{Host, Swarm, leader_of, service, soon};
use crate::worker::Worker;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_the_whole_set_then_differences() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let (_, tls) = swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    let mut worker = Worker::open(&tls, &host.address).await.unwrap();
    worker.until("the swarm's news", |worker| worker.cluster.is_some()).await;
    let cluster = worker.cluster.clone().unwrap();
    assert_eq!(cluster.managers, std::slice::from_ref(&host.address));
    assert_eq!(cluster.role, "worker");
    assert_eq!(cluster.root_pem, swarm.authority.root.certificate_pem());
    worker.until("the first set", |worker| worker.revision > Revision(0)).await;
    let spec = Box::new(ServiceSpec { mode: ServiceMode::Global, ..service("web") });
    let (reply, _) = host.handle().call(ControlRequest::CreateService { spec }).await.unwrap();
    let ControlReply::ServiceCreated { service, .. } = reply else { panic!("an answer to another question") };
    worker.until("a task", |worker| !worker.assignments.tasks.is_empty()).await;
    assert_eq!(worker.bases[0], Revision(0));
    assert!(worker.bases[1..].iter().all(|base| *base != Revision(0)), "{:?}", worker.bases);
    let task = worker.assignments.tasks.values().next().unwrap().task.clone();
    assert_eq!(task.service, service);
    let mut changes = host.handle().subscribe_changes();
    worker.report(&[TaskReport { task: task.id, status: running() }]).await;
    soon("the task to be seen running", async {
        loop {
            let filter = TaskFilter { services: vec!["web".to_owned()], ..TaskFilter::default() };
            let (reply, _) = host.handle().call(ControlRequest::ListTasks { filter }).await.unwrap();
            let ControlReply::Tasks(tasks) = reply else { panic!("an answer to another question") };
            if tasks.iter().any(|seen| seen.id == task.id && seen.status.state == TaskState::Running) {
                return;
            }
            changes.recv().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_replaces_the_old() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let (_, tls) = swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    let mut old = Worker::open(&tls, &host.address).await.unwrap();
    old.until("the first set", |worker| worker.revision > Revision(0)).await;
    let mut new = Worker::open(&tls, &host.address).await.unwrap();
    new.until("the first set", |worker| worker.revision > Revision(0)).await;
    let ended = ends(&mut old).await;
    assert_eq!(ended.code(), Code::Aborted, "{ended}");
    new.heartbeat().await;
    while !matches!(new.frame().await.unwrap(), Kind::Heartbeat(_)) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_refuses_and_names_the_leader() {
    let swarm = Swarm::new();
    let hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    let (_, tls) = swarm.admit(&hosts[leader].address, &swarm.tokens.worker).await.unwrap();
    for follower in followers {
        let refused = Worker::open(&tls, &hosts[follower].address).await.err().unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert_eq!(refused.metadata().get("shoal-leader").unwrap().to_str().unwrap(), hosts[leader].address);
    }
    let mut worker = Worker::open(&tls, &hosts[leader].address).await.unwrap();
    worker.until("all managers", |worker| worker.cluster.as_ref().is_some_and(|c| c.managers.len() == 3)).await;
    assert_eq!(worker.cluster.unwrap().managers[0], hosts[leader].address);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_removed_is_told() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let (node, tls) = swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    let mut worker = Worker::open(&tls, &host.address).await.unwrap();
    worker.until("the first set", |worker| worker.revision > Revision(0)).await;
    let request = ControlRequest::RemoveNode { reference: node.to_string(), force: true };
    host.handle().call(request).await.unwrap();
    let ended = ends(&mut worker).await;
    assert_eq!(ended.code(), Code::NotFound, "{ended}");
    let mut again = Worker::open(&tls, &host.address).await.unwrap();
    let ended = ends(&mut again).await;
    assert_eq!(ended.code(), Code::NotFound, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_ends_the_session_and_nothing_else() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let (_, tls) = swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    let mut worker = Worker::open(&tls, &host.address).await.unwrap();
    let broken = TaskStatuses { reports: encode("no reports").unwrap().into() };
    worker.frames.send(WorkerFrame { kind: Some(WorkerKind::Statuses(broken)) }).await.unwrap();
    let ended = ends(&mut worker).await;
    assert_eq!(ended.code(), Code::InvalidArgument, "{ended}");
    Worker::open(&tls, &host.address).await.unwrap();
}

/// Its frames are taken in by nobody, so that all room between fills; it says that it lives, and is believed no longer.
/// The others see nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_read_loses_its_session() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let (deaf_node, deaf_tls) = swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    let deaf = Worker::open(&deaf_tls, &host.address).await.unwrap();
    let (_, tls) = swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    let mut reader = Worker::open(&tls, &host.address).await.unwrap();
    reader.until("the first set", |worker| worker.revision > Revision(0)).await;
    for number in 0..SERVICES {
        let mut spec = service(&format!("large-{number}"));
        spec.mode = ServiceMode::Global;
        spec.task.container.env = vec![format!("LARGE={}", "x".repeat(LARGE_BYTES))];
        host.handle().call(ControlRequest::CreateService { spec: Box::new(spec) }).await.unwrap();
        deaf.heartbeat_if_there_is_room();
        reader.until("its task", |worker| worker.assignments.tasks.len() > number).await;
    }
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    soon("the deaf node to be seen down", async {
        while state_of(&host, deaf_node).await != NodeState::Down {
            beat.tick().await;
            deaf.heartbeat_if_there_is_room();
            reader.heartbeat().await;
            while !matches!(reader.frame().await.unwrap(), Kind::Heartbeat(_)) {}
        }
    })
    .await;
    let spec = Box::new(ServiceSpec { mode: ServiceMode::Global, ..service("after") });
    host.handle().call(ControlRequest::CreateService { spec }).await.unwrap();
    reader.until("the next task", |worker| worker.assignments.tasks.len() > SERVICES).await;
}

async fn state_of(host: &Host, node: NodeId) -> NodeState {
    let request = ControlRequest::GetNode { reference: node.to_string() };
    let (ControlReply::Node(view), _) = host.handle().call(request).await.unwrap() else {
        panic!("an answer to another question");
    };
    view.node.status.state
}

/// Together more than all buffers on the way hold.
const SERVICES: usize = 64;
const LARGE_BYTES: usize = 100_000;

/// Reads until the manager ends the stream.
async fn ends(worker: &mut Worker) -> tonic::Status {
    loop {
        if let Err(status) = worker.frame().await {
            return status;
        }
    }
}

fn running() -> TaskStatus {
    TaskStatus {
        timestamp: now(),
        state: TaskState::Running,
        message: "started".to_owned(),
        error: String::new(),
        container_id: Some("c1".to_owned()),
        pid: Some(1),
        exit: None,
        ports: PortStatus::default(),
        draining: false,
    }
}
