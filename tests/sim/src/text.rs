//! Inputs, outputs and requests in one line each, for traces.

use shoal_manager_core::{Answer, Input, Output};
use shoal_proto::model::ControlRequest;

use crate::check::Head;
use crate::client::written_by;

/// What a plane is told.
pub(crate) fn input(input: &Input) -> String {
    match input {
        Input::Request { id, request: asked } => format!("request {}: {}", id.0, request(asked)),
        Input::SessionOpened { node, session, .. } => format!("session {:x} of {node} opened", session.0),
        Input::Reports { node, reports, .. } => format!("{} reports of {node}", reports.len()),
        other => format!("{other:?}").chars().take(LINE).collect(),
    }
}

/// What a plane wants done.
pub(crate) fn output(output: &Output) -> String {
    match output {
        Output::Send { to, message, snapshot } => {
            let head =
                Head::read(message).map_or("nothing".to_owned(), |head| format!("{} in {}", head.name(), head.term));
            format!("send {to:x} {head}{}", if snapshot.is_some() { " with a snapshot" } else { "" })
        }
        Output::Persist(persist) => {
            let first = persist.entries.first().map_or(0, |entry| entry.index);
            let snapshot = persist.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
            format!(
                "persist {} {} entries from {first}, snapshot {snapshot}, hard state {}",
                persist.number,
                persist.entries.len(),
                persist.hard_state.is_some()
            )
        }
        Output::SaveSnapshot(snapshot) => format!("save snapshot {}", snapshot.index),
        Output::Reply { id, outcome, index } => {
            let text = match outcome {
                Ok(Answer::Control(_)) => "yes".to_owned(),
                Ok(answer) => format!("{answer:?}"),
                Err(error) => error.message.clone(),
            };
            format!("reply {} at {index}: {text}", id.0)
        }
        Output::Assign { node, diff, .. } => {
            format!("assign {node} {}->{}: {} tasks", diff.base.0, diff.result.0, diff.tasks.len())
        }
        Output::Changed(changes) => {
            let each = changes.changes.iter().map(change);
            format!(
                "changed {}{}: {}",
                changes.index,
                if changes.resynced { " anew" } else { "" },
                each.collect::<Vec<_>>().join(", ")
            )
        }
        other => format!("{other:?}").chars().take(LINE).collect(),
    }
}

/// What a client asks.
pub(crate) fn request(request: &ControlRequest) -> String {
    match request {
        ControlRequest::CreateService { spec } => format!("create {} {:?}", spec.name, spec.mode),
        ControlRequest::UpdateService { spec, version, .. } => {
            format!("update {} {:?} at {} by {}", spec.name, spec.mode, version.0, written_by(&spec.labels))
        }
        other => format!("{other:?}").chars().take(LINE).collect(),
    }
}

fn change(change: &shoal_manager_core::Change) -> String {
    use shoal_manager_core::Change;
    match change {
        Change::Task(difference) => match (&difference.before, &difference.after) {
            (_, Some(task)) => format!(
                "task {} {}.{} {:?}/{:?}{}",
                task.id,
                task.service_name,
                task.slot,
                task.status.state,
                task.desired,
                task.node.map(|node| format!(" on {node}")).unwrap_or_default()
            ),
            (before, None) => format!("task {:?} gone", before.as_ref().map(|task| task.id)),
        },
        Change::Service(difference) => match &difference.after {
            Some(service) => {
                format!("service {} {:?} {:?}", service.spec.name, service.spec.mode, service.update_status)
            }
            None => "service gone".to_owned(),
        },
        Change::Node(difference) => match &difference.after {
            Some(node) => format!(
                "node {} {:?} {:?} {:?}/{:?}",
                node.description.hostname, node.status.state, node.spec.availability, node.role, node.spec.role
            ),
            None => "node gone".to_owned(),
        },
        Change::Network(_) => "network".to_owned(),
        Change::Payload(_) => "payload".to_owned(),
        Change::Cluster(_) => "cluster".to_owned(),
    }
}

const LINE: usize = 200;
