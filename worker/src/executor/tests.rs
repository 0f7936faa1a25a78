//! The driver and its session against a manager of the test's own, with fakes of images, networks and containers.

mod fakes;

use std::sync::Arc;
use std::time::Duration;

use shoal_proto::model::{AssignmentSet, Role, TaskState};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::fakes::{FakeContainers, FakeEndpoints, FakeImages, Life, node, task};
use super::{Driver, DriverHandle, DriverParts, Hands};
use crate::state::StateFiles;
use crate::testing::{FakeManager, Leading, Plain, task_id};
use crate::{SwarmSession, WorkerEvent};

/// A host: what outlives the process.
struct Host {
    root: tempfile::TempDir,
    images: Arc<FakeImages>,
    endpoints: Arc<FakeEndpoints>,
    containers: Arc<FakeContainers>,
}

/// The process.
struct Process {
    handle: DriverHandle,
    events: mpsc::Receiver<WorkerEvent>,
    running: JoinHandle<()>,
}

impl Host {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            images: Arc::default(),
            endpoints: Arc::default(),
            containers: Arc::default(),
        }
    }

    async fn start(&self, managers: &[&FakeManager]) -> Process {
        let state = StateFiles::open(self.root.path()).unwrap();
        let saved = state.load().unwrap();
        let hands = Hands::new(self.images.clone(), self.endpoints.clone(), self.containers.clone());
        let (events_in, events) = mpsc::channel(16);
        let parts = DriverParts {
            config: shoal_worker_core::CoreConfig::new(node(), Default::default()),
            hands,
            state,
            description: Default::default(),
            tunnel_keys: Default::default(),
            logs: Arc::new(crate::testing::NoLogs),
            assignments: tokio::sync::watch::Sender::default(),
            events: events_in,
        };
        let (driver, handle) = Driver::new(parts, saved);
        let running = tokio::spawn(driver.run());
        let session = SwarmSession {
            node: node(),
            managers: managers.iter().map(|manager| manager.address()).collect(),
            data_path_address: "10.0.0.1".parse().unwrap(),
            connect: Arc::new(Plain),
        };
        handle.serve(session).await.unwrap();
        Process { handle, events, running }
    }
}

impl Process {
    /// As SIGKILL: nothing is said to anybody.
    async fn kill(self) {
        self.running.abort();
        let _killed = self.running.await;
    }
}

fn set(tasks: &[(u128, TaskState)]) -> AssignmentSet {
    let tasks = tasks.iter().map(|(n, desired)| (task_id(*n), task(*n, *desired))).collect();
    AssignmentSet { tasks, ..AssignmentSet::default() }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it did not happen within 20 s")
}

#[tokio::test]
async fn a_task_runs_and_ends_as_the_leader_wishes() {
    let host = Host::new();
    let mut manager = FakeManager::start().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Running), (2, TaskState::Running)])).await;
    in_time(leading.until(1, TaskState::Running)).await;
    in_time(leading.until(2, TaskState::Running)).await;
    assert_eq!(host.images.pulls(), 1, "two tasks of one image need one pull");
    in_time(leading.until_applied(1)).await;
    leading.tell(&set(&[(1, TaskState::Shutdown), (2, TaskState::Running)])).await;
    let status = in_time(leading.until(1, TaskState::Shutdown)).await;
    assert_eq!(status.exit.unwrap().code, 143);
    leading.tell(&set(&[(2, TaskState::Running)])).await;
    in_time(host.containers.until_gone(task_id(1))).await;
    assert_eq!(host.containers.life(task_id(2)), Some(Life::Running));
    worker.kill().await;
}

#[tokio::test]
async fn a_task_that_can_not_run_is_rejected_with_the_reason() {
    let host = Host::new();
    host.images.refuse("No such image: web:1");
    let mut manager = FakeManager::start().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Running)])).await;
    let status = in_time(leading.until(1, TaskState::Rejected)).await;
    assert_eq!(status.error, "No such image: web:1");
    worker.kill().await;
}

#[tokio::test]
async fn what_ends_by_itself_is_told_and_never_restarted() {
    let host = Host::new();
    let mut manager = FakeManager::start().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Running)])).await;
    in_time(leading.until(1, TaskState::Running)).await;
    host.containers.end(task_id(1), 3).await;
    let status = in_time(leading.until(1, TaskState::Failed)).await;
    assert_eq!((status.exit.unwrap().code, status.error.as_str()), (3, "task: non-zero exit (3)"));
    worker.kill().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Running)])).await;
    in_time(leading.until(1, TaskState::Failed)).await;
    assert_eq!(host.containers.starts(task_id(1)), 1);
    worker.kill().await;
}

#[tokio::test]
async fn containers_are_adopted_after_a_kill() {
    let host = Host::new();
    let mut manager = FakeManager::start().await;
    let wish = set(&[(1, TaskState::Running), (2, TaskState::Running)]);
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&wish).await;
    in_time(leading.until(1, TaskState::Running)).await;
    in_time(leading.until(2, TaskState::Running)).await;
    worker.kill().await;
    // One of them ends while nobody watches.
    host.containers.end(task_id(2), 0).await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    in_time(leading.until(1, TaskState::Running)).await;
    in_time(leading.until(2, TaskState::Complete)).await;
    leading.tell(&wish).await;
    in_time(leading.until_applied(1)).await;
    assert_eq!((host.containers.starts(task_id(1)), host.containers.starts(task_id(2))), (1, 1));
    worker.kill().await;
}

#[tokio::test]
async fn the_last_assignments_stay_in_force_with_no_manager_in_reach() {
    let host = Host::new();
    let mut manager = FakeManager::start().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Running)])).await;
    in_time(leading.until(1, TaskState::Running)).await;
    worker.kill().await;
    drop(leading);
    manager.stop().await;
    host.containers.lose_all();
    let worker = host.start(&[&manager]).await;
    in_time(host.containers.until(task_id(1), Life::Running)).await;
    worker.kill().await;
}

#[tokio::test]
async fn the_session_follows_the_leader() {
    let host = Host::new();
    let (mut first, mut second) = (FakeManager::start().await, FakeManager::start().await);
    first.redirect(Some(second.address()));
    second.beat_every(300);
    let mut worker = host.start(&[&first]).await;
    let mut leading = in_time(second.session()).await;
    leading.tell_cluster(&[second.address(), first.address()], "manager", "root").await;
    let managers = WorkerEvent::Managers(vec![second.address(), first.address()]);
    assert_eq!(in_time(worker.events.recv()).await, Some(managers));
    assert_eq!(in_time(worker.events.recv()).await, Some(WorkerEvent::RoleWanted(Role::Manager)));
    assert_eq!(in_time(worker.events.recv()).await, Some(WorkerEvent::RootChanged("root".into())));
    leading.tell(&set(&[(1, TaskState::Running)])).await;
    in_time(leading.until(1, TaskState::Running)).await;
    // It falls silent, with its connection open: the other one takes over, and hears everything anew.
    first.redirect(None);
    second.redirect(Some(first.address()));
    leading.fall_silent();
    let mut leading_next = in_time(first.session()).await;
    in_time(leading_next.until(1, TaskState::Running)).await;
    worker.kill().await;
}

#[tokio::test]
async fn a_difference_that_does_not_fit_begins_a_new_session() {
    let host = Host::new();
    let mut manager = FakeManager::start().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Running)])).await;
    leading.skip_a_revision();
    leading.tell(&set(&[])).await;
    let mut leading: Leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Shutdown)])).await;
    in_time(leading.until(1, TaskState::Shutdown)).await;
    worker.kill().await;
}

#[tokio::test]
async fn leaving_ends_everything() {
    let host = Host::new();
    let mut manager = FakeManager::start().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(&set(&[(1, TaskState::Running), (2, TaskState::Running)])).await;
    in_time(leading.until(1, TaskState::Running)).await;
    in_time(leading.until(2, TaskState::Running)).await;
    in_time(worker.handle.leave()).await.unwrap();
    in_time(worker.running).await.unwrap();
    assert_eq!(host.containers.life(task_id(1)), None);
    assert!(host.endpoints.is_torn_down());
    let saved = StateFiles::open(host.root.path()).unwrap().load().unwrap();
    assert_eq!(saved, shoal_worker_core::Saved::default());
}

#[tokio::test]
async fn a_hundred_tasks_are_one_pull_and_few_frames() {
    let host = Host::new();
    let mut manager = FakeManager::start().await;
    let worker = host.start(&[&manager]).await;
    let mut leading = in_time(manager.session()).await;
    let wish: Vec<(u128, TaskState)> = (1..=100).map(|n| (n, TaskState::Running)).collect();
    leading.tell(&set(&wish)).await;
    for n in 1..=100 {
        in_time(leading.until(n, TaskState::Running)).await;
    }
    assert_eq!(host.images.pulls(), 1);
    let gone: Vec<(u128, TaskState)> = Vec::new();
    leading.tell(&set(&gone)).await;
    for n in 1..=100 {
        in_time(host.containers.until_gone(task_id(n))).await;
    }
    worker.kill().await;
}
