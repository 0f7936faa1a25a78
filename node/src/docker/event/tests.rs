//! Changes in, lines of events out.

use std::sync::Arc;

use shoal_proto::model::{
    Availability, Id, NodeId, NodeState, PayloadId, PayloadKind, PayloadSpec, Role, UpdateStatus,
};

use super::*;
use crate::docker::testing::{node, service, task};

const NOW: Timestamp = Timestamp(9_000_000_000);

fn difference<T>(before: Option<T>, after: Option<T>) -> Difference<T> {
    Difference { before: before.map(Arc::new), after: after.map(Arc::new) }
}

fn lines(changes: Vec<Change>, resynced: bool) -> Vec<String> {
    let events = swarm_events(&ChangeSet { index: 1, resynced, changes }, NOW);
    let line = |event: EventMessage| {
        assert_eq!((event.scope.as_str(), event.time_nano), ("swarm", event.time * 1_000_000_000));
        let attributes: Vec<String> =
            event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let short = event.actor.id.trim_start_matches('0');
        format!("{} {} {} {short} ({})", event.time, event.kind, event.action, attributes.join(", "))
    };
    events.into_iter().map(line).collect()
}

fn secret() -> Payload {
    let meta = Meta { created_at: Timestamp(3_000_000_000), ..Meta::default() };
    let spec = PayloadSpec { name: "key".to_owned(), ..PayloadSpec::default() };
    Payload { id: PayloadId::from_random(7), meta, kind: PayloadKind::Secret, spec }
}

#[test]
fn objects_come_change_and_go() {
    let mut updated = service();
    updated.spec.task.container.image = "web:2".to_owned();
    updated.spec.mode = ServiceMode::Replicated { replicas: 5 };
    let started_at = Timestamp(0);
    let status = |state| Some(UpdateStatus { state, started_at, completed_at: None, message: String::new() });
    updated.update_status = status(UpdateState::Updating);
    let mut back = updated.clone();
    back.update_status = status(UpdateState::RollbackStarted);
    let mut drained = node();
    drained.spec.availability = Availability::Drain;
    drained.status.state = NodeState::Down;
    drained.role = Role::Manager;
    let changes = vec![
        Change::Service(difference(None, Some(service()))),
        Change::Service(difference(Some(service()), Some(updated.clone()))),
        Change::Service(difference(Some(updated), Some(back))),
        Change::Service(difference(Some(service()), None)),
        Change::Payload(difference(None, Some(secret()))),
        Change::Node(difference(None, Some(node()))),
        Change::Node(difference(Some(node()), Some(drained))),
    ];
    assert_eq!(
        lines(changes, false),
        [
            "1 service create 2 (name=web, tier=front)",
            "2 service update 2 (image.new=web:2, image.old=web:1, name=web, replicas.new=5, replicas.old=1, tier=front, \
             updatestate.new=updating)",
            "2 service update 2 (name=web, tier=front, updatestate.new=rollback_started, updatestate.old=updating)",
            "9 service remove 2 (name=web, tier=front)",
            "3 secret create 7 (name=key)",
            "1 node create 1 (name=host1)",
            "2 node update 1 (availability.new=drain, availability.old=active, name=host1, role.new=manager, \
             role.old=worker, state.new=down, state.old=ready)",
        ]
    );
}

#[test]
fn of_tasks_the_transitions_are_told() {
    let (one, two) = (task(TaskState::Starting), task(TaskState::Running));
    let name = one.name();
    let (service, node) = (one.service, NodeId::from_random(1));
    let changes = vec![
        Change::Task(difference(Some(one.clone()), Some(one.clone()))),
        Change::Task(difference(Some(one), Some(two))),
    ];
    let told = format!(
        "2 task update 3 (name={name}, node.id={node}, service=web, service.id={service}, state.new=running, \
         state.old=starting)"
    );
    assert_eq!(lines(changes, false), [told]);
}

#[test]
fn a_snapshot_is_no_event() {
    assert_eq!(lines(vec![Change::Node(difference(None, Some(node())))], true), [""; 0]);
}
