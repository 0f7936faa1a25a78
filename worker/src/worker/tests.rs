//! The worker whole, with real images, networks and containers, in a network namespace of the test's own.
//!
//! Needs root, a C compiler, and the program `shoal-runtime` beside the tests (`cargo build -p shoal-runtime`).

mod stage;

use std::time::Duration;

use futures_util::StreamExt;
use shoal_proto::model::{
    AssignmentSet, LocalNetwork, Mount, MountKind, TaskAssignment, TaskState, TmpfsOptions, VolumeOptions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::stage::{Stage, in_namespace, in_time, task};
use crate::container::{ContainerLife, ExecOutput, ExecRequest, LogQuery};
use crate::testing::{FakeManager, Leading, task_id};

fn set(tasks: &[&TaskAssignment]) -> AssignmentSet {
    let tasks = tasks.iter().map(|assigned| (assigned.task.id, (*assigned).clone())).collect();
    AssignmentSet { tasks, ..AssignmentSet::default() }
}

fn scratch() -> Mount {
    Mount { kind: MountKind::Tmpfs { options: TmpfsOptions::default() }, target: "/scratch".into(), read_only: false }
}

async fn begin(stage: &Stage, wish: &AssignmentSet) -> (stage::Running, Leading) {
    let mut manager = FakeManager::start().await;
    let worker = stage.start(&manager).await;
    let mut leading = in_time(manager.session()).await;
    leading.tell(wish).await;
    (worker, leading)
}

#[test]
fn a_container_runs_is_adopted_and_ends() {
    in_namespace(async {
        let stage = Stage::new().await;
        let mut serving = task(1, &["serve"], None);
        spec(&mut serving).env.push("GREETING=hello".into());
        spec(&mut serving).hostname = Some("probe".into());
        spec(&mut serving).user = Some("7".into());
        spec(&mut serving).mounts = vec![scratch(), volume("data", "/data")];
        let (worker, mut leading) = begin(&stage, &set(&[&serving])).await;
        let status = in_time(leading.until(1, TaskState::Running)).await;
        let pid = status.pid.unwrap();
        let id = status.container_id.unwrap();
        let expected = ["host probe", "greeting hello", "pid 1 user 7", "volume filled", "hosts there", "ready"];
        let mut lines = in_time(first_lines(&worker, &id, expected.len())).await;
        lines.sort();
        let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        expected.sort();
        assert_eq!(lines, expected);
        assert!(worker.handle.containers().inspect("web.1").is_err());
        assert_eq!(worker.handle.containers().inspect(&id[..12]).unwrap().record.name, serving.task.name());

        worker.kill().await;
        let leftover = stage.container_folder(&"f".repeat(64));
        std::fs::create_dir_all(leftover.join("upper")).unwrap();
        let mut manager = FakeManager::start().await;
        let worker = stage.start(&manager).await;
        let mut leading = in_time(manager.session()).await;
        let status = in_time(leading.until(1, TaskState::Running)).await;
        assert_eq!(status.pid, Some(pid), "the same process");
        assert!(!leftover.exists(), "what a crash left is removed");

        serving.task.desired = TaskState::Shutdown;
        leading.tell(&set(&[&serving])).await;
        let status = in_time(leading.until(1, TaskState::Shutdown)).await;
        assert_eq!(status.exit.unwrap().code, 3, "{status:?}");
        let kept = worker.handle.containers().inspect(&id).unwrap();
        assert!(matches!(kept.life, ContainerLife::Exited(_)), "{kept:?}");
        assert!(all_lines(&worker, &id).await.contains(&"bye".to_owned()));
        leading.tell(&set(&[])).await;
        in_time(stage.until_no_containers(&worker)).await;
        assert_eq!(worker.handle.volumes().list().unwrap().len(), 1, "a named volume stays");
        stage.end(worker).await;
    });
}

#[test]
fn what_can_not_run_is_told_truly() {
    in_namespace(async {
        let stage = Stage::new().await;
        let absent = task(1, &["serve"], Some(&["/no/such/program"]));
        let mut eating = task(2, &["eat"], None);
        let mut limited = (*eating.task.spec).clone();
        limited.resources.limits.memory_bytes = 32 << 20;
        limited.resources.swap_bytes = Some(0);
        eating.task.spec = limited.into();
        let mut unbound = task(3, &["serve"], None);
        let kind = MountKind::Bind { source: "/no/such/folder".into(), options: Default::default() };
        spec(&mut unbound).mounts.push(Mount { kind, target: "/x".into(), read_only: false });
        let (worker, mut leading) = begin(&stage, &set(&[&absent, &eating, &unbound])).await;
        let status = in_time(leading.until(1, TaskState::Failed)).await;
        assert!(status.error.contains("/no/such/program"), "{status:?}");
        let status = in_time(leading.until(2, TaskState::Failed)).await;
        assert!(status.error.starts_with("task: non-zero exit (137): out of memory"), "{status:?}");
        let status = in_time(leading.until(3, TaskState::Rejected)).await;
        assert!(status.error.ends_with("bind source path does not exist: /no/such/folder"), "{status:?}");
        leading.tell(&set(&[])).await;
        in_time(stage.until_no_containers(&worker)).await;
        stage.end(worker).await;
    });
}

#[test]
fn a_container_of_its_own_network_is_checked_and_entered() {
    in_namespace(async {
        let stage = Stage::new().await;
        let mut serving = task(1, &["serve"], None);
        let mut plan = (*serving.task.spec).clone();
        serving.local_network = LocalNetwork::Bridge;
        plan.container.mounts = vec![scratch()];
        plan.container.health_check = Some(shoal_proto::model::HealthCheck {
            test: vec!["CMD".into(), "/probe".into(), "check".into()],
            interval: Duration::from_millis(100),
            ..Default::default()
        });
        serving.task.spec = plan.into();
        let (worker, mut leading) = begin(&stage, &set(&[&serving])).await;
        let id = in_time(leading.until(1, TaskState::Running)).await.container_id.unwrap();
        let containers = worker.handle.containers();
        let view = containers.inspect(&id).unwrap();
        assert_eq!((view.record.network.mode.as_str(), view.record.network.interfaces.len()), ("default", 1));
        assert_eq!(containers.health(&id).unwrap().status, crate::container::HealthStatus::Healthy);
        for tty in [false, true] {
            let args = vec!["/probe".into(), "copy".into()];
            let request = ExecRequest { args, stdin: true, stdout: true, stderr: true, tty, ..Default::default() };
            let exec = containers.create_exec(&id, request).unwrap();
            let streams = containers.start_exec(&exec, false).await.unwrap().unwrap();
            let mut stdin = streams.stdin.unwrap();
            // A terminal ends its input by a character; a pipe by being closed.
            stdin.write_all(if tty { b"to and fro\n\x04" } else { b"to and fro\n" }).await.unwrap();
            if !tty {
                drop(stdin);
            }
            let mut output = Vec::new();
            match streams.output {
                ExecOutput::Terminal(mut terminal) => {
                    in_time(terminal.read_to_end(&mut output)).await.unwrap();
                }
                ExecOutput::Pipes { stdout, stderr } => {
                    in_time(stdout.unwrap().read_to_end(&mut output)).await.unwrap();
                    in_time(stderr.unwrap().read_to_end(&mut output)).await.unwrap();
                }
            }
            let text = String::from_utf8(output).unwrap();
            assert!(text.contains("to and fro") && text.contains("copied"), "{text}");
            in_time(streams.finished).await;
            assert_eq!(containers.inspect_exec(&exec).unwrap().exit_code, Some(7));
        }
        assert!(containers.stats(&id).await.unwrap().stats.memory_usage.is_some());
        in_time(worker.handle.leave_swarm()).await.unwrap();
        assert!(containers.list().is_empty());
        stage.end(worker).await;
    });
}

fn spec(assigned: &mut TaskAssignment) -> &mut shoal_proto::model::ContainerSpec {
    &mut std::sync::Arc::make_mut(&mut assigned.task.spec).container
}

fn volume(name: &str, target: &str) -> Mount {
    let kind = MountKind::Volume { source: name.into(), options: VolumeOptions::default() };
    Mount { kind, target: target.into(), read_only: false }
}

async fn first_lines(worker: &stage::Running, id: &str, count: usize) -> Vec<String> {
    let query = LogQuery { follow: true, stdout: true, stderr: true, ..LogQuery::default() };
    let (_, lines) = worker.handle.containers().logs(id, query).await.unwrap();
    lines.take(count).map(|line| text(&line.unwrap().line)).collect().await
}

async fn all_lines(worker: &stage::Running, id: &str) -> Vec<String> {
    let query = LogQuery { stdout: true, stderr: true, ..LogQuery::default() };
    let (_, lines) = worker.handle.containers().logs(id, query).await.unwrap();
    lines.map(|line| text(&line.unwrap().line)).collect().await
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end().to_owned()
}

#[test]
fn a_hundred_containers_start_and_go() {
    in_namespace(async {
        let stage = Stage::new().await;
        let mut tasks: Vec<TaskAssignment> = (1..=100).map(|n| task(n, &["serve"], None)).collect();
        tasks.iter_mut().for_each(|assigned| spec(assigned).mounts = vec![scratch()]);
        let begun = std::time::Instant::now();
        let (worker, mut leading) = begin(&stage, &set(&tasks.iter().collect::<Vec<_>>())).await;
        for n in 1..=100 {
            in_time(leading.until(n, TaskState::Running)).await;
        }
        let started = begun.elapsed();
        tasks.iter_mut().for_each(|assigned| assigned.task.desired = TaskState::Shutdown);
        leading.tell(&set(&tasks.iter().collect::<Vec<_>>())).await;
        for n in 1..=100 {
            in_time(leading.until(n, TaskState::Shutdown)).await;
        }
        leading.tell(&set(&[])).await;
        in_time(stage.until_no_containers(&worker)).await;
        eprintln!("100 started in {started:?}, gone after {:?} in all", begun.elapsed());
        assert!(worker.handle.containers().inspect(&task_id(1).to_string()).is_err());
        stage.end(worker).await;
    });
}
