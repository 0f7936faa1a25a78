//! Whom a reader's request asks, what it says is missing, and when it ends.

use std::sync::Arc;

use shoal_proto::model::{
    Id, NodeDescription, NodeSpec, NodeStatus, PortStatus, Role, ServiceId, TaskSpec, TaskStatus, Version,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn node(n: u128, state: NodeState) -> Node {
    Node {
        id: NodeId::from_random(n),
        meta: Default::default(),
        spec: NodeSpec::default(),
        role: Role::Worker,
        description: NodeDescription { hostname: format!("host{n}"), ..NodeDescription::default() },
        status: NodeStatus { state, message: String::new(), address: String::new(), since: Timestamp(0) },
        manager: None,
        data_path_address: String::new(),
        ingress_address: None,
    }
}

fn task(n: u128, on: u128, state: TaskState) -> Task {
    Task {
        id: TaskId::from_random(n),
        meta: Default::default(),
        spec: Arc::new(TaskSpec::default()),
        spec_version: Version(1),
        service: ServiceId::from_random(1),
        service_name: "web".to_owned(),
        service_labels: Default::default(),
        slot: 1,
        node: Some(NodeId::from_random(on)),
        status: TaskStatus {
            timestamp: Timestamp(0),
            state,
            message: String::new(),
            error: String::new(),
            container_id: None,
            pid: None,
            exit: None,
            ports: PortStatus::default(),
            draining: false,
        },
        desired: TaskState::Running,
        host_ports: Vec::new(),
        attachments: Vec::new(),
        job_iteration: None,
    }
}

/// Hosts 1 and 2 are ready and run a task each.
fn two(target: LogTarget, follow: bool, now: Instant) -> Gathering {
    let options = LogOptions { follow, ..LogOptions::default() };
    let mut gathering = Gathering::new(target, &options, Timestamp(100), now);
    gathering.see_nodes([node(1, NodeState::Ready), node(2, NodeState::Ready)].iter(), now);
    gathering.see_task(&task(1, 1, TaskState::Running), now);
    gathering.see_task(&task(2, 2, TaskState::Running), now);
    gathering
}

fn service() -> LogTarget {
    LogTarget::Service(ServiceId::from_random(1))
}

fn id(n: u128) -> NodeId {
    NodeId::from_random(n)
}

fn want(n: u128) -> Act {
    Act::Want { node: id(n), resume: None }
}

fn text(acts: &[Act]) -> Vec<&str> {
    let text = |act: &'_ Act| matches!(act, Act::Tell { .. });
    let told = acts.iter().filter(|act| text(act));
    told.map(|act| if let Act::Tell { text, .. } = act { text.as_str() } else { "" }).collect()
}

#[test]
fn all_that_have_tasks_are_asked_until_they_publish_and_the_end_is_theirs() {
    let now = Instant::now();
    let mut gathering = two(service(), false, now);
    assert_eq!(gathering.step(now), [want(1), want(2)]);
    assert!(gathering.begins(id(1)));
    assert!(!gathering.begins(id(1)) && !gathering.begins(id(3)), "once, and only who was asked");
    assert_eq!(gathering.wake(now), now + LOG_WANT_RETRY);
    assert_eq!(gathering.step(now + LOG_WANT_RETRY), [want(2)], "the first word may have been lost");
    assert!(gathering.begins(id(2)));
    gathering.ends(id(1), true, now);
    assert_eq!(gathering.step(now + SECOND), []);
    gathering.ends(id(2), true, now);
    assert_eq!(gathering.step(now + SECOND), [Act::End]);
}

#[test]
fn without_tasks_there_is_nothing_to_wait_for() {
    let now = Instant::now();
    let mut gathering = Gathering::new(service(), &LogOptions::default(), Timestamp(0), now);
    gathering.see_task(&task(1, 1, TaskState::Preparing), now);
    assert_eq!(gathering.step(now), [Act::End]);
}

#[test]
fn nodes_that_are_down_gone_or_silent_cost_one_line_each() {
    let now = Instant::now();
    let mut gathering = two(service(), false, now);
    gathering.see_node(&node(2, NodeState::Down), now);
    gathering.see_task(&task(3, 3, TaskState::Orphaned), now);
    let acts = gathering.step(now);
    assert_eq!(acts[0], want(1));
    assert_eq!(
        text(&acts),
        [
            format!("warning: logs on node host2 ({}) are missing: it is down\n", id(2)),
            format!("warning: logs on node {} are missing: it is not of the swarm any longer\n", id(3)),
        ]
    );
    let acts = gathering.step(now + LOG_NODE_PATIENCE);
    assert_eq!(text(&acts), [format!("warning: logs on node host1 ({}) are missing: it does not answer\n", id(1))]);
    assert_eq!(acts.last(), Some(&Act::End));
}

#[test]
fn a_publication_that_breaks_off_goes_on_after_its_last_line() {
    let now = Instant::now();
    let mut gathering = two(service(), true, now);
    gathering.step(now);
    assert!(gathering.begins(id(1)) && gathering.begins(id(2)));
    gathering.takes(id(1), TaskId::from_random(1), Timestamp(170), now);
    gathering.ends(id(1), false, now);
    let resume = LogResume { begun: Timestamp(100), after: BTreeMap::from([(TaskId::from_random(1), Timestamp(170))]) };
    assert_eq!(gathering.step(now), [Act::Want { node: id(1), resume: Some(resume) }]);
    for _ in 1..LOG_ATTEMPTS {
        assert!(gathering.begins(id(1)));
        gathering.ends(id(1), false, now);
    }
    assert!(text(&gathering.step(now))[0].contains("host1"), "that it comes to nothing is told");
    let later = now + LOG_NODE_RETRY;
    assert_eq!(text(&gathering.step(later)), [""; 0], "once");
    assert!(gathering.begins(id(1)), "and tried again");
}

#[test]
fn following_asks_nodes_that_get_tasks_later_or_come_back() {
    let now = Instant::now();
    let mut gathering = two(service(), true, now);
    gathering.see_nodes([node(1, NodeState::Ready), node(2, NodeState::Down), node(3, NodeState::Ready)].iter(), now);
    let acts = gathering.step(now);
    assert_eq!((&acts[0], text(&acts).len()), (&want(1), 1));
    let fresh =
        |n| Act::Want { node: id(n), resume: Some(LogResume { begun: Timestamp(100), after: BTreeMap::new() }) };
    gathering.see_task(&task(3, 3, TaskState::Assigned), now);
    assert_eq!(gathering.step(now), [fresh(3)], "of a task that is new, every line");
    gathering.see_node(&node(2, NodeState::Ready), now);
    assert_eq!(gathering.step(now), [want(2)], "as it was asked for at first");
}

#[test]
fn following_ends_with_the_service_after_its_last_lines() {
    let now = Instant::now();
    let mut gathering = two(service(), true, now);
    gathering.step(now);
    assert!(gathering.begins(id(1)) && gathering.begins(id(2)));
    gathering.target_removed();
    gathering.forget_task(TaskId::from_random(1), now);
    assert_eq!(gathering.step(now + SECOND * 9), [], "a task is still stopping");
    gathering.forget_task(TaskId::from_random(2), now + SECOND * 10);
    gathering.takes(id(2), TaskId::from_random(2), Timestamp(1), now + SECOND * 10);
    assert_eq!(gathering.step(now + SECOND * 10), []);
    assert_eq!(gathering.wake(now + SECOND * 10), now + SECOND * 10 + LOG_SETTLE);
    assert_eq!(gathering.step(now + SECOND * 10 + LOG_SETTLE), [Act::End]);
}

#[test]
fn following_a_task_ends_with_its_publication() {
    let now = Instant::now();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut gathering = Gathering::new(LogTarget::Task(TaskId::from_random(1)), &options, Timestamp(0), now);
    gathering.see_nodes([node(1, NodeState::Ready)].iter(), now);
    gathering.see_task(&task(1, 1, TaskState::Running), now);
    assert_eq!(gathering.step(now), [want(1)]);
    assert!(gathering.begins(id(1)));
    gathering.ends(id(1), true, now);
    assert_eq!(gathering.step(now), [], "the managers have not heard of its end yet");
    gathering.see_task(&task(1, 1, TaskState::Failed), now);
    assert_eq!(gathering.step(now), [Act::End]);
}
