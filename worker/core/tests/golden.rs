//! Golden scripts: inputs as text, and beneath each the actions that followed. `UPDATE_GOLDEN=1` rewrites them.
//!
//! A script is told in small numbers: `t1` is a task, `n1` a network. Lines that start with two spaces are the answer;
//! `#` starts a comment; `at 250` moves the clock to 250 ms; `restart` crashes the core and makes one of what was persisted.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test reads its scripts and fails loudly")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use shoal_proto::model::{
    AssignmentDiff, AssignmentSet, Drained, PayloadAssignment, PayloadId, Revision, TaskState, Timestamp,
};
use shoal_worker_core::{
    Action, AdoptedContainer, AdoptedState, CoreConfig, EndpointInfo, Failure, FailureKind, Input, Operation, PullId,
    Saved, WorkerCore,
};
use support::{
    at, description, exit, me, network, network_id, payload, payload_id, publish, publish_port, refer, service_id,
    task, task_id,
};

#[test]
fn scripts_give_the_actions_beneath() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let answer = play(&text);
        if update {
            fs::write(&path, &answer).unwrap();
        }
        assert_eq!(answer, if update { answer.clone() } else { text }, "{}", path.display());
        played += 1;
    }
    assert!(played >= 8, "only {played} scripts were found");
}

/// A core, its disk and the assignments of its manager.
struct Stage {
    core: WorkerCore,
    saved: Saved,
    now: Timestamp,
    set: AssignmentSet,
    revision: Revision,
    /// Secrets told by the next difference.
    payloads: BTreeMap<PayloadId, Option<Arc<PayloadAssignment>>>,
}

fn play(script: &str) -> String {
    let core = WorkerCore::new(CoreConfig::new(me(), description()), Saved::default());
    let mut stage = Stage {
        core,
        saved: Saved::default(),
        now: at(0),
        set: AssignmentSet::default(),
        revision: Revision(0),
        payloads: BTreeMap::new(),
    };
    let mut answer = String::new();
    for line in script.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(answer, "{line}").unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        for action in stage.play(&words) {
            writeln!(answer, "  {}", shorten(&action.to_string())).unwrap();
        }
    }
    answer
}

/// Writes ids as the script does.
fn shorten(text: &str) -> String {
    let service = service_id().to_string();
    let mut text = text.replace(" of ", " of\u{1}").replace(&format!("service {service}"), "s1");
    for n in 1..10 {
        let id = task_id(n).to_string();
        text = text.replace(&format!("network {id}"), &format!("network n{n}"));
        text = text.replace(&format!("peers of\u{1}{id}"), &format!("peers of n{n}"));
        text = text.replace(&id, &format!("t{n}"));
    }
    text.replace('\u{1}', " ")
}

impl Stage {
    fn play(&mut self, words: &[&str]) -> Vec<Action> {
        match words {
            [] | ["#", ..] => Vec::new(),
            ["at", ms] => {
                self.now = at(ms.parse().unwrap());
                self.handle(Input::Tick)
            }
            ["restart"] => {
                self.core = WorkerCore::new(CoreConfig::new(me(), description()), self.saved.clone());
                Vec::new()
            }
            ["assign", changes @ ..] => self.assign(changes),
            ["verify", number] => {
                let diff = AssignmentDiff {
                    base: self.revision,
                    result: Revision(self.revision.0 + 1),
                    verify: Some(number.parse().unwrap()),
                    ..AssignmentDiff::default()
                };
                self.revision = diff.result;
                self.handle(Input::Assignments(diff))
            }
            ["assign-from", base, changes @ ..] => {
                self.revision = Revision(base.parse().unwrap());
                self.assign(changes)
            }
            words => self.handle(input(words)),
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Action> {
        if input == Input::SessionUp {
            self.revision = Revision(0);
        }
        let actions = self.core.handle(self.now, input);
        for action in &actions {
            match action {
                Action::PersistAssignments(set) => self.saved.assignments = Some((**set).clone()),
                Action::PersistEnded(ended) => self.saved.ended = (**ended).clone(),
                _ => {}
            }
        }
        actions
    }

    /// `t1=running`, `t1=running@n1`, `t1=running+p1`, `-t1`, `p1`, `-p1`, `n1`, `-n1`, `s=t1,other:t2`, `-s`, `port=80`,
    /// `drained=t1`.
    fn assign(&mut self, changes: &[&str]) -> Vec<Action> {
        let before = if self.revision == Revision(0) { AssignmentSet::default() } else { self.set.clone() };
        for change in changes {
            self.change(change);
        }
        let mut diff = before.difference(&self.set, self.revision);
        diff.payloads = std::mem::take(&mut self.payloads);
        self.revision = diff.result;
        self.handle(Input::Assignments(diff))
    }

    fn change(&mut self, change: &str) {
        let set = &mut self.set;
        if let Some(gone) = change.strip_prefix('-') {
            match &gone[..1] {
                "t" => drop(set.tasks.remove(&task_id(number(gone)))),
                "n" => drop(set.networks.remove(&network_id(number(gone)))),
                "p" => drop(self.payloads.insert(payload_id(number(gone)), None)),
                _ => set.services.clear(),
            }
        } else if let Some(backends) = change.strip_prefix("s=") {
            let backends = backends.split(',').filter(|text| !text.is_empty());
            let backends: Vec<_> =
                backends.map(|text| (number(text.trim_start_matches("other:")), !text.starts_with("other:"))).collect();
            publish(set, &backends);
        } else if let Some(port) = change.strip_prefix("port=") {
            publish_port(set, port.parse().unwrap());
        } else if let Some(name) = change.strip_prefix("drained=") {
            set.drained.insert(task_id(number(name)), Drained { index: 1 });
        } else if let Some((name, wish)) = change.split_once('=') {
            let (wish, payload) = wish.split_once('+').map_or((wish, None), |(wish, it)| (wish, Some(number(it))));
            let (desired, at) = wish.split_once('@').map_or((wish, None), |(desired, at)| (desired, Some(number(at))));
            let mut assigned = task(number(name), state(desired), at);
            payload.into_iter().for_each(|payload| refer(&mut assigned, payload));
            set.tasks.insert(task_id(number(name)), assigned);
        } else if change.starts_with('p') {
            self.payloads.insert(payload_id(number(change)), Some(Arc::new(payload(number(change)))));
        } else {
            set.networks.insert(network_id(number(change)), network(number(change)));
        }
    }
}

fn number(name: &str) -> u8 {
    name.trim_start_matches(|letter: char| letter.is_alphabetic()).parse().unwrap()
}

fn state(name: &str) -> TaskState {
    match name {
        "ready" => TaskState::Ready,
        "running" => TaskState::Running,
        "complete" => TaskState::Complete,
        "shutdown" => TaskState::Shutdown,
        "remove" => TaskState::Remove,
        other => panic!("no desired state '{other}'"),
    }
}

fn input(words: &[&str]) -> Input {
    let id = |name: &str| task_id(number(name));
    let pull = |name: &str| PullId(name.trim_start_matches('#').parse().unwrap());
    match words {
        ["session", "up"] => Input::SessionUp,
        ["session", "down"] => Input::SessionDown,
        ["acknowledged", sequence] => Input::ReportsAcknowledged { sequence: sequence.parse().unwrap() },
        ["found", containers @ ..] => Input::Adopted(containers.iter().map(|text| found(text)).collect()),
        ["image", name] => Input::ImageReady { pull: pull(name), image: "sha256:1".to_owned() },
        ["image", name, "fails", kind, text @ ..] => {
            Input::ImageFailed { pull: pull(name), failure: failure(kind, text) }
        }
        ["network", name] => Input::NetworkReady { network: network_id(number(name)) },
        ["network", name, "fails", kind, text @ ..] => {
            Input::NetworkFailed { network: network_id(number(name)), failure: failure(kind, text) }
        }
        ["network-removed", name] => Input::NetworkRemoved { network: network_id(number(name)) },
        ["services"] => Input::ServicesSet,
        ["services", "fails", kind, text @ ..] => Input::ServicesFailed { failure: failure(kind, text) },
        ["endpoint", name] => Input::EndpointReady { task: id(name), endpoint: EndpointInfo::default() },
        ["endpoint-removed", name] => Input::EndpointRemoved { task: id(name) },
        ["created", name] => Input::ContainerCreated { task: id(name), container: format!("c-{name}") },
        ["started", name] => Input::ContainerStarted { task: id(name), pid: 100, awaits_health: false },
        ["started", name, "awaits-health"] => Input::ContainerStarted { task: id(name), pid: 100, awaits_health: true },
        ["verified", number, differences @ ..] => Input::Verified {
            number: number.parse().unwrap(),
            outcome: Ok(differences.iter().map(|line| (*line).to_owned()).collect()),
        },
        ["ports", name, silent @ ..] => {
            Input::PortsAwaited { task: id(name), silent: silent.iter().map(|port| port.parse().unwrap()).collect() }
        }
        ["healthy", name] => Input::Healthy { task: id(name) },
        ["unhealthy", name] => Input::Unhealthy { task: id(name) },
        ["exited", name, code, rest @ ..] => {
            Input::ContainerExited { task: id(name), exit: exit(code.parse().unwrap(), *rest == ["oom"], 5) }
        }
        ["stopped", name] => Input::StopDone { task: id(name) },
        ["removed", name] => Input::ContainerRemoved { task: id(name) },
        ["fails", name, operation, kind, text @ ..] => Input::OperationFailed {
            task: id(name),
            operation: operation_named(operation),
            failure: failure(kind, text),
        },
        other => panic!("no input {other:?}"),
    }
}

fn operation_named(name: &str) -> Operation {
    match name {
        "create-endpoint" => Operation::CreateEndpoint,
        "create" => Operation::CreateContainer,
        "start" => Operation::StartContainer,
        "stop" => Operation::StopContainer,
        "remove-endpoint" => Operation::RemoveEndpoint,
        "remove" => Operation::RemoveContainer,
        other => panic!("no operation '{other}'"),
    }
}

fn failure(kind: &str, text: &[&str]) -> Failure {
    let kind = if kind == "fatal" { FailureKind::Fatal } else { FailureKind::Temporary };
    Failure { message: text.join(" "), kind }
}

/// `t1=running`, `t1=exited:137`, `t1=created`, `t1=lost`.
fn found(text: &str) -> AdoptedContainer {
    let (name, how) = text.split_once('=').unwrap();
    let state = match how.split_once(':').unwrap_or((how, "0")) {
        ("running", _) => AdoptedState::Running { pid: 100, started_at: at(1), healthy: true },
        ("exited", code) => AdoptedState::Exited(exit(code.parse().unwrap(), false, 5)),
        ("created", _) => AdoptedState::Created,
        ("lost", _) => AdoptedState::Lost,
        other => panic!("no state {other:?}"),
    };
    AdoptedContainer { task: task_id(number(name)), container: format!("c-{name}"), state, endpoint: None }
}
