//! Changes of the swarm's objects as events: Docker's types, actions and attributes; and, beyond Docker's, those of tasks.
//!
//! An object's labels are among the attributes, as containers' are, so that they can be filtered by.

use std::fmt::{Debug, Display};

use shoal_api::types::{EventActor, EventMessage, StringMap};
use shoal_manager::{Change, ChangeSet, Difference};
use shoal_proto::model::{
    Labels, Meta, Network, Node, Payload, Service, ServiceMode, Task, TaskState, Timestamp, UpdateState,
};

/// The type of events that are shown only when they are asked for.
pub const TASK_EVENT: &str = "task";

/// What a set of changes means to those who watch, `now` being the time of removals. Nothing when a snapshot took the
/// log's place: that says what is, not what happened.
#[must_use]
pub fn swarm_events(set: &ChangeSet, now: Timestamp) -> Vec<EventMessage> {
    if set.resynced {
        return Vec::new();
    }
    let event = |change: &Change| match change {
        Change::Node(difference) => Some(event("node", difference, now, (node_facts, |_, _| ()), node_change)),
        Change::Service(difference) => {
            Some(event("service", difference, now, (service_facts, |_, _| ()), service_change))
        }
        Change::Network(difference) => {
            Some(event("network", difference, now, (network_facts, |_, _| ()), |_, _, _| ()))
        }
        Change::Task(difference) => {
            let moved = difference.before.as_ref().zip(difference.after.as_ref());
            let is_news = moved.is_none_or(|(before, after)| stages(before) != stages(after));
            is_news.then(|| event(TASK_EVENT, difference, now, (task_facts, task_place), task_change))
        }
        Change::Payload(difference) => {
            let payload = difference.after.as_deref().or(difference.before.as_deref())?;
            Some(event(payload.kind.word(), difference, now, (payload_facts, |_, _| ()), |_, _, _| ()))
        }
        Change::Cluster(_) => None,
    };
    set.changes.iter().filter_map(event).collect()
}

/// What every event of an object says.
struct Facts<'a> {
    id: String,
    name: String,
    labels: &'a Labels,
    meta: Meta,
}

/// Attributes as they are gathered.
struct Attributes(StringMap);

impl Attributes {
    fn say(&mut self, key: &str, value: impl Display) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    /// `KEY.old` and `KEY.new`, of what changed.
    fn change<T: PartialEq>(&mut self, key: &str, [old, new]: [Option<T>; 2], word: impl Fn(T) -> String) {
        if old == new {
            return;
        }
        for (end, value) in [("old", old), ("new", new)] {
            if let Some(value) = value {
                self.say(&format!("{key}.{end}"), word(value));
            }
        }
    }
}

fn event<T>(
    kind: &str,
    difference: &Difference<T>,
    now: Timestamp,
    (facts, place): (impl Fn(&T) -> Facts<'_>, impl Fn(&mut Attributes, &T)),
    change: impl Fn(&mut Attributes, &T, &T),
) -> EventMessage {
    let (before, after) = (difference.before.as_deref(), difference.after.as_deref());
    let Some(object) = after.or(before) else { return EventMessage::default() };
    let Facts { id, name, labels, meta } = facts(object);
    let mut attributes = Attributes(labels.clone().into_iter().collect());
    attributes.say("name", name);
    place(&mut attributes, object);
    let (action, time) = match (before, after) {
        (None, _) => ("create", meta.created_at),
        (_, None) => ("remove", now),
        (Some(before), Some(after)) => {
            change(&mut attributes, before, after);
            ("update", meta.updated_at)
        }
    };
    EventMessage {
        kind: kind.to_owned(),
        action: action.to_owned(),
        actor: EventActor { id, attributes: attributes.0 },
        scope: "swarm".to_owned(),
        time: time.0.div_euclid(1_000_000_000),
        time_nano: time.0,
        ..EventMessage::default()
    }
}

fn node_facts(node: &Node) -> Facts<'_> {
    let name = if node.spec.name.is_empty() { &node.description.hostname } else { &node.spec.name };
    Facts { id: node.id.to_string(), name: name.clone(), labels: &node.spec.labels, meta: node.meta }
}

fn node_change(attributes: &mut Attributes, before: &Node, after: &Node) {
    attributes.change("availability", [before.spec.availability, after.spec.availability].map(Some), word);
    attributes.change("role", [before.role, after.role].map(Some), word);
    attributes.change("state", [before.status.state, after.status.state].map(Some), word);
}

/// Docker's words for these are the variants' names in lower case.
fn word(value: impl Debug) -> String {
    format!("{value:?}").to_ascii_lowercase()
}

fn service_facts(service: &Service) -> Facts<'_> {
    let name = service.spec.name.clone();
    Facts { id: service.id.to_string(), name, labels: &service.spec.labels, meta: service.meta }
}

fn service_change(attributes: &mut Attributes, before: &Service, after: &Service) {
    let image = |service: &Service| Some(service.spec.task.container.image.clone());
    attributes.change("image", [image(before), image(after)], |image| image);
    let replicas = |service: &Service| match service.spec.mode {
        ServiceMode::Replicated { replicas } => Some(replicas),
        _ => None,
    };
    attributes.change("replicas", [replicas(before), replicas(after)], |replicas| replicas.to_string());
    let state = |service: &Service| service.update_status.as_ref().map(|status| status.state);
    attributes.change("updatestate", [state(before), state(after)], update_state);
}

/// As the orchestrator's own words, not those of the API.
fn update_state(state: UpdateState) -> String {
    match state {
        UpdateState::Updating => "updating",
        UpdateState::Paused => "paused",
        UpdateState::Completed => "completed",
        UpdateState::RollbackStarted => "rollback_started",
        UpdateState::RollbackPaused => "rollback_paused",
        UpdateState::RollbackCompleted => "rollback_completed",
    }
    .to_owned()
}

fn network_facts(network: &Network) -> Facts<'_> {
    let name = network.spec.name.clone();
    Facts { id: network.id.to_string(), name, labels: &network.spec.labels, meta: network.meta }
}

fn payload_facts(payload: &Payload) -> Facts<'_> {
    let name = payload.spec.name.clone();
    Facts { id: payload.id.to_string(), name, labels: &payload.spec.labels, meta: payload.meta }
}

fn task_facts(task: &Task) -> Facts<'_> {
    Facts { id: task.id.to_string(), name: task.name(), labels: &task.service_labels, meta: task.meta }
}

/// Where a task belongs; by these it is found when a service or a node is asked for.
fn task_place(attributes: &mut Attributes, task: &Task) {
    attributes.say("service", &task.service_name);
    attributes.say("service.id", task.service);
    if let Some(node) = task.node {
        attributes.say("node.id", node);
    }
}

fn task_change(attributes: &mut Attributes, before: &Task, after: &Task) {
    attributes.change("state", [before.status.state, after.status.state].map(Some), word);
    attributes.change("desiredstate", [before.desired, after.desired].map(Some), word);
    if !after.status.error.is_empty() {
        attributes.say("error", &after.status.error);
    }
}

/// What of a task is worth telling when it changes.
fn stages(task: &Task) -> (TaskState, TaskState, bool) {
    (task.status.state, task.desired, task.node.is_some())
}

#[cfg(test)]
mod tests;
