//! Watching a service until it converged, failed, or the user went away.

use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fake::{Answer, Fake, Request, SHOAL, ok, refuse, text};

/// A service of two replicas whose tasks need to be stable for a hundredth of a second only.
fn service(update_status: Value) -> Value {
    json!({
        "ID": "svc1", "Version": {"Index": 3},
        "Spec": {
            "Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}},
            "Mode": {"Replicated": {"Replicas": 2}}, "UpdateConfig": {"Monitor": 10_000_000}
        },
        "UpdateStatus": update_status
    })
}

fn task(slot: u64, id: &str, state: &str, error: &str) -> Value {
    let desired = if state == "running" || state == "preparing" || state == "pending" { "running" } else { "shutdown" };
    json!({
        "ID": id, "ServiceID": "svc1", "Slot": slot, "NodeID": if state == "pending" { "" } else { "node1" },
        "DesiredState": desired, "Status": {"State": state, "Err": error}
    })
}

/// A daemon whose tasks, and the status of whose update, depend on how often it has been asked for them.
fn daemon(tasks: impl Fn(usize) -> Value + Send + Sync + 'static, status: Value) -> Fake {
    let looks = AtomicUsize::new(0);
    Fake::start(move |request: &Request| match (request.method.as_str(), request.path()) {
        ("POST", "/services/create") => Answer::Json(201, json!({"ID": "svc1", "Warnings": ["mind the gap"]})),
        ("POST", "/services/svc1/update") => ok(json!({})),
        ("GET", "/services/svc1" | "/services/web") => ok(service(status.clone())),
        ("GET", "/tasks") => match tasks(looks.fetch_add(1, Ordering::SeqCst)) {
            Value::Null => refuse(503, "the swarm does not have a leader"),
            tasks => ok(tasks),
        },
        ("GET", "/nodes") => ok(json!([{"ID": "node1", "Status": {"State": "ready"}}])),
        _ => refuse(404, "not found"),
    })
}

fn running() -> Value {
    json!([task(1, "a", "running", ""), task(2, "b", "running", "")])
}

const CREATE: [&str; 4] = ["service", "create", "--no-resolve-image", "web:1"];

fn told(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_service_that_comes_up_ends_in_success() {
    let fake = daemon(
        |look| match look {
            0 => json!([task(1, "a", "preparing", "")]),
            1 => json!([task(1, "a", "running", ""), task(2, "b", "preparing", "")]),
            _ => running(),
        },
        Value::Null,
    );
    let (code, out, err) = told(&fake.shoal(&CREATE));
    assert_eq!((code, err.as_str()), (Some(0), "mind the gap\n"));
    insta::assert_snapshot!(out, @r"
    svc1
    overall progress: 0 out of 2 tasks
    1/2: preparing
    overall progress: 1 out of 2 tasks
    1/2: running
    2/2: preparing
    overall progress: 2 out of 2 tasks
    2/2: running
    verify: Waiting 1 seconds to verify that tasks are stable...
    verify: Service svc1 converged
    ");
}

#[test]
fn quiet_says_only_the_identifier_and_detach_does_not_look() {
    let fake = daemon(|_| running(), Value::Null);
    let arguments = [&CREATE[..2], &["--quiet"], &CREATE[2..]].concat();
    assert_eq!(told(&fake.shoal(&arguments)).1, "svc1\n");
    fake.take();
    let arguments = [&CREATE[..2], &["-d"], &CREATE[2..]].concat();
    assert_eq!(told(&fake.shoal(&arguments)).1, "svc1\n");
    assert_eq!(fake.take().len(), 1);
}

#[test]
fn a_change_of_leader_in_between_is_borne() {
    let fake = daemon(|look| if look < 2 { Value::Null } else { running() }, Value::Null);
    let (code, out, _) = told(&fake.shoal(&["service", "scale", "web=2"]));
    assert_eq!(code, Some(0), "{out}");
    assert!(out.ends_with("verify: Service web converged\n"), "{out}");
}

#[test]
fn tasks_that_keep_failing_end_in_failure_and_say_why() {
    let fake = daemon(
        |look| {
            let failed = (0..look).map(|index| task(1, &format!("t{index}"), "rejected", "No such image: web:1"));
            failed.chain([task(2, "b", "running", "")]).collect()
        },
        Value::Null,
    );
    let (code, out, err) = told(&fake.shoal(&CREATE));
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("1/2: No such image: web:1\n"), "{out}");
    assert!(err.contains("service svc1 did not converge: 1 of 2 tasks running; slot 1 failed 3 times"), "{err}");
    assert!(
        err.contains("No such image: web:1 (task t") && err.contains("desired shutdown, actual rejected)"),
        "{err}"
    );
    assert!(err.contains("\nhint: "), "{err}");
}

#[test]
fn a_paused_update_ends_in_failure() {
    let status = json!({"State": "paused", "Message": "update paused due to failure or early termination of task t1"});
    let tasks = |_| json!([task(1, "t1", "failed", "task: non-zero exit (3)"), task(2, "b", "running", "")]);
    let fake = daemon(tasks, status);
    let (code, _, err) = told(&fake.shoal(&["service", "update", "--env-add", "A=1", "web"]));
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: service web update paused: update paused due to failure"), "{err}");
    assert!(err.contains(": task: non-zero exit (3) (task t1, desired shutdown, actual failed)\n"), "{err}");
    assert!(err.contains("hint: see why with `shoal service ps --no-trunc web`"), "{err}");
}

#[test]
fn a_rollback_is_failure_for_an_update_and_success_when_asked_for() {
    let status = json!({"State": "rollback_completed", "Message": "rollback completed"});
    let fake = daemon(|_| running(), status.clone());
    let (code, _, err) = told(&fake.shoal(&["service", "update", "--force", "web"]));
    assert_eq!(
        (code, err.contains("did not converge: it was rolled back (rollback completed)")),
        (Some(1), true),
        "{err}"
    );
    let (code, out, _) = told(&fake.shoal(&["service", "rollback", "web"]));
    assert_eq!((code, out.ends_with("verify: Service web converged\n")), (Some(0), true), "{out}");
    assert_eq!(told(&fake.shoal(&["service", "update", "--rollback", "web"])).0, Some(0));
}

/// Starts `shoal` and hands it over as soon as it has looked at the tasks for the first time.
fn watching(tasks: Value) -> (Fake, Child) {
    let (sender, looked) = mpsc::channel();
    let sender = Mutex::new(sender);
    let fake = daemon(
        move |_| {
            // Later looks find nobody who still listens.
            let _nobody = sender.lock().unwrap().send(());
            tasks.clone()
        },
        Value::Null,
    );
    let mut command = fake.client(Path::new(SHOAL));
    let child = command.args(CREATE).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    looked.recv().unwrap();
    (fake, child)
}

#[test]
fn ctrl_c_leaves_the_operation_running_and_says_so() {
    let (_fake, child) = watching(json!([task(1, "a", "preparing", "")]));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (code, out, err) = told(&child.wait_with_output().unwrap());
    assert_eq!(code, Some(130), "{out}{err}");
    assert_eq!(
        err,
        "mind the gap\nOperation continuing in background.\nUse `shoal service ps svc1` to check progress.\n"
    );
}

#[test]
fn a_task_without_a_node_is_explained_while_the_watch_goes_on() {
    let reason = "no suitable node (scheduling constraints not satisfied on 3 nodes)";
    let fake = daemon(
        move |look| match look {
            0 | 1 => json!([task(1, "a", "pending", reason), task(2, "b", "running", "")]),
            _ => running(),
        },
        Value::Null,
    );
    let (code, out, err) = told(&fake.shoal(&CREATE));
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains(&format!("1/2: {reason}\n")), "{out}");
    assert_eq!(err.matches("hint: no suitable node").count(), 1, "{err}");
}

#[test]
fn a_service_that_vanishes_ends_the_watch() {
    let fake = Fake::start(|request: &Request| match request.method.as_str() {
        "POST" => Answer::Json(201, json!({"ID": "svc1"})),
        _ => refuse(404, "service svc1 not found"),
    });
    let (code, _, err) = told(&fake.shoal(&CREATE));
    assert_eq!(code, Some(1));
    assert!(err.contains("error response from daemon: service svc1 not found"), "{err}");
}
