//! Events: what happened, and what happens, filtered and cut to the times asked for.

use axum::extract::State;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::Either;
use time::OffsetDateTime;

use super::answer::{self, Answer};
use super::params::Params;
use super::serve::App;
use crate::error::ApiError;
use crate::types::{EventMessage, Filters, Timestamp};

pub(super) async fn stream(State(app): State<App>, params: Params) -> Answer {
    let filters = params.filters(FILTERS)?;
    let since = params.time("since")?;
    let until = params.time("until")?;
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return Err(ApiError::invalid_parameter(format!(
            "`since` time ({since}) cannot be after `until` time ({until})"
        )));
    }
    let feed = app.backend.events().await?;

    let past: Vec<_> = feed.past.into_iter().filter(|event| since.is_some() && within(event, since, until)).collect();
    let live = match until {
        None => Either::Left(feed.live),
        Some(until) => Either::Right(feed.live.take_until(sleep_until(until))),
    };
    let lines = futures_util::stream::iter(past.into_iter().map(Ok)).chain(live).filter_map(move |event| {
        let line = match event {
            Ok(event) if matches(&filters, &event) => Some(json_line(with_old_fields(event))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        };
        std::future::ready(line)
    });
    Ok(answer::streaming("application/json", lines, &app.shutdown))
}

fn within(event: &EventMessage, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    let time = i128::from(event.time_nano);
    since.is_none_or(|since| since.unix_nanos() <= time) && until.is_none_or(|until| time <= until.unix_nanos())
}

async fn sleep_until(until: Timestamp) {
    let left = until.0 - OffsetDateTime::now_utc();
    // A time that has passed is no time left.
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
}

fn json_line(event: EventMessage) -> Result<Bytes, ApiError> {
    let mut line = serde_json::to_vec(&event).map_err(|error| ApiError::from_source(&error))?;
    line.push(b'\n');
    Ok(line.into())
}

/// Clients before 1.52 also read these.
fn with_old_fields(mut event: EventMessage) -> EventMessage {
    if event.kind == "container" || event.kind == "image" {
        event.status.clone_from(&event.action);
        event.id.clone_from(&event.actor.id);
    }
    if event.kind == "container"
        && let Some(image) = event.actor.attributes.get("image")
    {
        event.from.clone_from(image);
    }
    event
}

/// Whether an event passes all filters. Those of tasks are not Docker's: only who asks for their type gets them.
fn matches(filters: &Filters, event: &EventMessage) -> bool {
    filters.matches_exact("type", &event.kind)
        && (event.kind != "task" || filters.contains("type"))
        && filters.matches_exact("scope", &event.scope)
        && filters.matches("event", |wanted| matches_action(wanted, &event.action))
        && filters.matches_labels("label", &event.actor.attributes)
        && filters.matches("image", |wanted| matches_image(wanted, event))
        && OBJECTS.iter().all(|kind| filters.matches(kind, |wanted| matches_object(kind, wanted, event)))
}

/// Actions with a tail (`exec_start: sh`, `health_status: healthy`) are found by their head.
fn matches_action(wanted: &str, action: &str) -> bool {
    wanted == action
        || ["health_status", "exec_create", "exec_start"].contains(&wanted)
            && action.strip_prefix(wanted).is_some_and(|tail| tail.starts_with(':'))
}

/// By id, by a prefix of it, or by name; tasks by their service or node, too.
fn matches_object(kind: &str, wanted: &str, event: &EventMessage) -> bool {
    let begins = |key: &str| event.actor.attributes.get(key).is_some_and(|value| value.starts_with(wanted));
    match (kind, event.kind.as_str()) {
        ("service", "task") => begins("service") || begins("service.id"),
        ("node", "task") => begins("node.id"),
        (kind, of) => of == kind && (event.actor.id.starts_with(wanted) || begins("name")),
    }
}

/// By id or name, with or without the tag; containers by the image that they run.
fn matches_image(wanted: &str, event: &EventMessage) -> bool {
    let name = match event.kind.as_str() {
        "image" => event.actor.attributes.get("name"),
        "container" => event.actor.attributes.get("image"),
        _ => return false,
    };
    let without_tag = |name: &str| name.rsplit_once(':').is_some_and(|(repository, _)| repository == wanted);
    event.kind == "image" && event.actor.id == wanted || name.is_some_and(|name| name == wanted || without_tag(name))
}

/// Filters that name one object.
const OBJECTS: &[&str] = &["config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume"];

const FILTERS: &[&str] = &[
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{EventActor, StringMap};

    fn event(kind: &str, action: &str, attributes: &[(&str, &str)]) -> EventMessage {
        EventMessage {
            kind: kind.into(),
            action: action.into(),
            scope: "local".into(),
            actor: EventActor {
                id: "0123456789ab".into(),
                attributes: attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<StringMap>(),
            },
            ..EventMessage::default()
        }
    }

    #[test]
    fn filters_find_what_they_name() {
        let start = event("container", "start", &[("image", "10.0.0.1:5000/web:1"), ("name", "web.1"), ("tier", "a")]);
        let exec = event("container", "exec_start: sh", &[]);
        let pull = event("image", "pull", &[("name", "alpine:3")]);
        let pass = |filters: &str, event: &EventMessage| matches(&Filters::parse(filters).unwrap(), event);
        for (filters, wanted) in [
            (r#"{}"#, [true, true, true]),
            (r#"{"type":["image"]}"#, [false, false, true]),
            (r#"{"event":["exec_start","start"]}"#, [true, true, false]),
            (r#"{"event":["exec"]}"#, [false, false, false]),
            (r#"{"container":["web.1"]}"#, [true, false, false]),
            (r#"{"container":["0123"]}"#, [true, true, false]),
            (r#"{"image":["alpine"]}"#, [false, false, true]),
            (r#"{"image":["10.0.0.1:5000/web"]}"#, [true, false, false]),
            (r#"{"label":["tier=a"]}"#, [true, false, false]),
            (r#"{"label":["tier=a","none"]}"#, [false, false, false]),
            (r#"{"service":["0123"]}"#, [false, false, false]),
            (r#"{"scope":["swarm"]}"#, [false, false, false]),
        ] {
            assert_eq!([pass(filters, &start), pass(filters, &exec), pass(filters, &pull)], wanted, "{filters}");
        }
    }

    #[test]
    fn tasks_are_told_to_those_who_ask_for_them() {
        let task = event("task", "update", &[("name", "web.1.ab"), ("service", "web"), ("node.id", "n1")]);
        let pass = |filters: &str| matches(&Filters::parse(filters).unwrap(), &task);
        assert!(!pass("{}") && !pass(r#"{"service":["web"]}"#));
        assert!(pass(r#"{"type":["task"]}"#) && pass(r#"{"type":["task","node"],"service":["web"],"node":["n1"]}"#));
        assert!(!pass(r#"{"type":["task"],"service":["db"]}"#));
    }

    #[test]
    fn old_fields_are_filled() {
        let start = with_old_fields(event("container", "start", &[("image", "web:1")]));
        assert_eq!((start.status.as_str(), start.id.as_str(), start.from.as_str()), ("start", "0123456789ab", "web:1"));
        assert_eq!(with_old_fields(event("network", "create", &[])).status, "");
    }
}
