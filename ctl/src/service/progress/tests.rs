//! Verdicts and lines of progress over made-up answers of the API.

use shoal_api::types::{
    Empty, JobStatus, ReplicatedJob, ReplicatedService, ServiceMode, TaskStatus, Timestamp, UpdateStatus, Version,
};

use super::*;

fn service(replicas: u64) -> Service {
    let mut service = Service::default();
    service.spec.mode.replicated = Some(ReplicatedService { replicas: Some(replicas) });
    service
}

fn task(slot: u64, state: TaskState) -> Task {
    let id = format!("{slot}-{}", state.as_str());
    let desired = if state > TaskState::Running { TaskState::Shutdown } else { TaskState::Running };
    let status = TaskStatus { state, ..TaskStatus::default() };
    Task { id, slot, node_id: "node1".into(), desired_state: desired, status, ..Task::default() }
}

fn look(service: Service, tasks: Vec<Task>) -> Look {
    Look { service, tasks, nodes: BTreeSet::from(["node1".to_owned()]) }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn shown(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{}: {} {:?}\n", line.id, line.text, line.bar)).collect()
}

#[test]
fn converges_when_stable_for_the_monitor_period() {
    let mut progress = Progress::new(Goal::Forward);
    let (lines, verdict) = progress.observe(seconds(0), &look(service(2), vec![task(1, TaskState::Preparing)]));
    assert_eq!(verdict, Verdict::Wait);
    assert_eq!(shown(&lines), "overall progress: 0 out of 2 tasks None\n1/2: preparing Some((6, 9))\n2/2:  None\n");

    let running = || look(service(2), vec![task(1, TaskState::Running), task(2, TaskState::Running)]);
    let (lines, verdict) = progress.observe(seconds(1), &running());
    assert_eq!(verdict, Verdict::Wait);
    assert_eq!(lines.last().unwrap().text, "Waiting 5 seconds to verify that tasks are stable...");
    assert!(progress.is_converged());

    let (lines, verdict) = progress.observe(seconds(3), &look(service(2), vec![task(1, TaskState::Running)]));
    assert_eq!((verdict, lines.last().unwrap().text.as_str()), (Verdict::Wait, "Detected task failure"));
    assert_eq!(progress.observe(seconds(4), &running()).1, Verdict::Wait);
    assert_eq!(progress.observe(seconds(9), &running()).1, Verdict::Converged);
}

#[test]
fn an_update_that_the_manager_completed_needs_no_second_watch() {
    let mut service = service(1);
    service.update_status = Some(UpdateStatus { state: Some(UpdateState::Completed), ..UpdateStatus::default() });
    let mut progress = Progress::new(Goal::Forward);
    let waiting = look(service.clone(), vec![task(1, TaskState::Starting)]);
    assert_eq!(progress.observe(seconds(0), &waiting).1, Verdict::Wait);
    assert_eq!(progress.observe(seconds(1), &look(service, vec![task(1, TaskState::Running)])).1, Verdict::Converged);
}

#[test]
fn a_pause_is_a_failure_and_so_is_a_rollback_that_nobody_asked_for() {
    let with_status = |state| {
        let mut service = service(1);
        let status = UpdateStatus { state: Some(state), message: "because".into(), ..UpdateStatus::default() };
        service.update_status = Some(status);
        look(service, vec![task(1, TaskState::Running)])
    };
    let verdict = |goal, state| Progress::new(goal).observe(seconds(0), &with_status(state)).1;
    let paused = |operation| Verdict::Paused { operation, message: "because".into() };
    assert_eq!(verdict(Goal::Forward, UpdateState::Paused), paused("update"));
    assert_eq!(verdict(Goal::Rollback, UpdateState::RollbackPaused), paused("rollback"));
    assert_eq!(verdict(Goal::Rollback, UpdateState::RollbackCompleted), Verdict::Converged);
    let rolled_back = verdict(Goal::Forward, UpdateState::RollbackCompleted);
    assert_eq!(rolled_back, Verdict::RolledBack { message: "because".into() });
    let mut progress = Progress::new(Goal::Forward);
    let (lines, verdict) = progress.observe(seconds(0), &with_status(UpdateState::RollbackStarted));
    assert_eq!(verdict, Verdict::Wait);
    assert_eq!(
        shown(&lines[..2]),
        "rollback: because None\noverall progress: rolling back update: 1 out of 1 tasks None\n"
    );
}

#[test]
fn tasks_that_fail_again_and_again_end_the_watch_with_their_error() {
    let failed = |id: &str, age: i128| {
        let mut task = task(1, TaskState::Rejected);
        task.id = id.into();
        task.created_at = Timestamp::from_unix_nanos(age).unwrap();
        task.status.err = "No such image: nope:1".into();
        task
    };
    let mut progress = Progress::new(Goal::Forward);
    let mut tasks = vec![failed("before", 0)];
    for (index, id) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(progress.observe(seconds(1), &look(service(1), tasks.clone())).1, Verdict::Wait);
        tasks.push(failed(id, index as i128 + 1));
    }
    let (lines, verdict) = progress.observe(seconds(2), &look(service(1), tasks.clone()));
    assert_eq!(lines[1].text, "No such image: nope:1");
    let reason = "0 of 1 tasks running; slot 1 failed 3 times, the last time because: No such image: nope:1 (task c, desired shutdown, actual rejected)";
    assert_eq!(verdict, Verdict::Failed { reason: reason.into() });

    let mut progress = Progress::new(Goal::Forward);
    tasks.push(task(1, TaskState::Running));
    assert_eq!(progress.observe(seconds(0), &look(service(1), tasks)).1, Verdict::Wait);
}

#[test]
fn tasks_on_nodes_that_are_down_do_not_count() {
    let mut gone = task(1, TaskState::Running);
    gone.node_id = "node2".into();
    let (lines, _) = Progress::new(Goal::Forward).observe(seconds(0), &look(service(1), vec![gone]));
    assert_eq!(shown(&lines), "overall progress: 0 out of 1 tasks None\n1/1:  None\n");
}

#[test]
fn a_replacement_hides_the_task_that_it_replaces() {
    let tasks = vec![task(1, TaskState::Shutdown), task(1, TaskState::Starting)];
    let (lines, _) = Progress::new(Goal::Forward).observe(seconds(0), &look(service(1), tasks));
    assert_eq!(lines[1].text, "starting");
}

#[test]
fn a_global_service_wants_what_it_has_tasks_for() {
    let service = || Service {
        spec: shoal_api::types::ServiceSpec {
            mode: ServiceMode { global: Some(Empty {}), ..ServiceMode::default() },
            ..Default::default()
        },
        ..Service::default()
    };
    let mut progress = Progress::new(Goal::Forward);
    let (lines, verdict) = progress.observe(seconds(0), &look(service(), Vec::new()));
    assert_eq!((shown(&lines), verdict), ("overall progress: waiting for new tasks None\n".into(), Verdict::Wait));
    let (lines, _) = progress.observe(seconds(0), &look(service(), vec![task(0, TaskState::Running)]));
    assert_eq!(shown(&lines[..2]), "overall progress: 1 out of 1 tasks None\nnode1: running Some((9, 9))\n");
}

#[test]
fn a_job_is_complete_when_all_its_tasks_of_this_run_are() {
    let mut service = Service::default();
    service.spec.mode.replicated_job = Some(ReplicatedJob { max_concurrent: Some(2), total_completions: Some(2) });
    service.job_status = Some(JobStatus { job_iteration: Version { index: 7 }, ..JobStatus::default() });
    let run = |slot, index| {
        let mut task = task(slot, TaskState::Complete);
        task.job_iteration = Some(Version { index });
        task
    };
    let mut progress = Progress::new(Goal::Forward);
    let (lines, verdict) = progress.observe(seconds(0), &look(service.clone(), vec![run(0, 7), run(1, 6)]));
    assert_eq!((lines[0].text.as_str(), verdict), ("1 out of 2 complete", Verdict::Wait));
    let done = look(service, vec![run(0, 7), run(1, 7)]);
    assert_eq!(progress.observe(seconds(0), &done).1, Verdict::JobComplete);
}

#[test]
fn many_tasks_show_only_their_sum() {
    let (lines, _) = Progress::new(Goal::Forward).observe(seconds(0), &look(service(21), Vec::new()));
    assert_eq!(shown(&lines), "overall progress: 0 out of 21 tasks None\n");
}
