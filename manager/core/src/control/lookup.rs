//! What people write for an object: its id, its name, or an unambiguous prefix of its id.

use std::sync::Arc;

use shoal_proto::model::{ControlError, ControlErrorKind, Network, Node, Payload, PayloadKind, Service, Task};

use crate::store::Tables;

pub(crate) fn find_service<'a>(tables: &'a Tables, reference: &str) -> Result<&'a Arc<Service>, ControlError> {
    let exact = reference.parse().ok().and_then(|id| tables.service(id));
    let named = || tables.service_named(reference);
    match exact.or_else(named) {
        Some(service) => Ok(service),
        None => by_prefix("service", reference, tables.services().map(|it| (it.id.to_string(), it))),
    }
}

pub(crate) fn find_network<'a>(tables: &'a Tables, reference: &str) -> Result<&'a Arc<Network>, ControlError> {
    let exact = reference.parse().ok().and_then(|id| tables.network(id));
    let named = || tables.network_named(reference);
    match exact.or_else(named) {
        Some(network) => Ok(network),
        None => by_prefix("network", reference, tables.networks().map(|it| (it.id.to_string(), it))),
    }
}

pub(crate) fn find_payload<'a>(
    tables: &'a Tables,
    kind: PayloadKind,
    reference: &str,
) -> Result<&'a Arc<Payload>, ControlError> {
    let exact = reference.parse().ok().and_then(|id| tables.payload(id)).filter(|payload| payload.kind == kind);
    let named = || tables.payload_named(kind, reference);
    match exact.or_else(named) {
        Some(payload) => Ok(payload),
        None => {
            let all = tables.payloads().filter(|payload| payload.kind == kind);
            by_prefix(&kind.to_string(), reference, all.map(|it| (it.id.to_string(), it)))
        }
    }
}

/// A node's name is its host's, unless it was given one; several may have the same.
pub(crate) fn find_node<'a>(tables: &'a Tables, reference: &str) -> Result<&'a Arc<Node>, ControlError> {
    if let Some(node) = reference.parse().ok().and_then(|id| tables.node(id)) {
        return Ok(node);
    }
    let is_named = |node: &&Arc<Node>| node.description.hostname == reference || node.spec.name == reference;
    let named: Vec<_> = tables.nodes().filter(is_named).collect();
    match named.as_slice() {
        [node] => Ok(node),
        [] => by_prefix("node", reference, tables.nodes().map(|it| (it.id.to_string(), it))),
        several => Err(ambiguous("node", reference, several.len())),
    }
}

pub(crate) fn find_task<'a>(tables: &'a Tables, reference: &str) -> Result<&'a Arc<Task>, ControlError> {
    if let Some(task) = reference.parse().ok().and_then(|id| tables.task(id)) {
        return Ok(task);
    }
    match tables.tasks().find(|task| task.name() == reference) {
        Some(task) => Ok(task),
        None => by_prefix("task", reference, tables.tasks().map(|it| (it.id.to_string(), it))),
    }
}

fn by_prefix<'a, T>(
    kind: &str,
    reference: &str,
    all: impl Iterator<Item = (String, &'a Arc<T>)>,
) -> Result<&'a Arc<T>, ControlError> {
    let fits: Vec<&Arc<T>> =
        all.filter(|(id, _)| !reference.is_empty() && id.starts_with(reference)).map(|(_, object)| object).collect();
    match fits.as_slice() {
        [object] => Ok(object),
        [] => Err(ControlError::new(ControlErrorKind::NotFound, format!("{kind} {reference} not found"))),
        several => Err(ambiguous(kind, reference, several.len())),
    }
}

fn ambiguous(kind: &str, reference: &str, count: usize) -> ControlError {
    let text = format!("{kind} {reference} is ambiguous ({count} matches found): write more of its ID");
    ControlError::new(ControlErrorKind::Ambiguous, text)
}
