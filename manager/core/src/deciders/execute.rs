//! Performs steps of plans on a draft.

use shoal_proto::model::{Meta, PortStatus, PublishMode, ServiceId, Task, TaskId, TaskState, TaskStatus, Timestamp};

use super::plan::Step;
use crate::ObjectKey;
use crate::random::Random;
use crate::store::{Draft, Slot};

/// Performs a step. Tasks that come to be get their identifiers here.
pub(crate) fn execute(draft: &mut Draft, random: &mut Random, step: Step) {
    let now = draft.now();
    match step {
        Step::Create { service, slot, desired } => {
            if let Some(task) = new_task(draft, random, (service, slot), desired) {
                draft.put_task(task);
            }
        }
        Step::Desire { task, state } => draft.change_task(task, |task| task.desired = task.desired.max(state)),
        Step::Observe { task, state, message } => draft.change_task(task, |task| {
            task.status = TaskStatus { state, message: message.to_owned(), timestamp: now, ..task.status.clone() };
        }),
        Step::Explain { task, error } => draft.change_task(task, |task| task.status.error = error),
        Step::Admit { task, attachments } => draft.change_task(task, |task| {
            task.attachments = attachments;
            task.status = status(TaskState::Pending, "pending task scheduling", now);
        }),
        Step::Place { task, node, message } => draft.change_task(task, |task| {
            task.node = Some(node);
            task.status = status(TaskState::Assigned, message, now);
        }),
        Step::Forget { task } => draft.remove(ObjectKey::Task(task)),
        Step::Publish { service, endpoint } => draft.change_service(service, |service| service.endpoint = *endpoint),
        Step::Progress { service, status } => {
            draft.change_service(service, |service| service.update_status = Some(status));
        }
        Step::RollBack { service, status } => draft.change_service(service, |service| {
            if let (Some(spec), Some(version)) = (service.previous_spec.take(), service.previous_spec_version.take()) {
                service.spec = *spec;
                service.spec_version = version;
                service.update_status = Some(status);
            }
        }),
        Step::Address { node, address } => draft.change_node(node, |node| node.ingress_address = Some(address)),
        Step::Believe { node, state, message } => draft.change_node(node, |node| {
            node.status.state = state;
            message.clone_into(&mut node.status.message);
            node.status.since = now;
        }),
    }
}

fn new_task(
    draft: &Draft,
    random: &mut Random,
    (service, slot): (ServiceId, Slot),
    desired: TaskState,
) -> Option<Task> {
    let tables = draft.tables();
    let service = tables.service(service)?;
    let host_ports = service.spec.endpoint.ports.iter().filter(|port| port.mode == PublishMode::Host);
    Some(Task {
        id: fresh_id(draft, random),
        meta: Meta { created_at: draft.now(), ..Meta::default() },
        spec: tables.shared_spec(service.id, service.spec_version)?,
        spec_version: service.spec_version,
        service: service.id,
        service_name: service.spec.name.clone(),
        service_labels: service.spec.labels.clone(),
        slot: slot.number(),
        node: match slot {
            Slot::Node(node) => Some(node),
            Slot::Number(_) => None,
        },
        status: status(TaskState::New, "created", draft.now()),
        desired,
        host_ports: host_ports.cloned().collect(),
        attachments: Vec::new(),
        job_iteration: service.job_iteration,
    })
}

fn fresh_id(draft: &Draft, random: &mut Random) -> TaskId {
    loop {
        let id = random.id();
        if draft.tables().task(id).is_none() {
            return id;
        }
    }
}

fn status(state: TaskState, message: &str, timestamp: Timestamp) -> TaskStatus {
    TaskStatus {
        timestamp,
        state,
        message: message.to_owned(),
        error: String::new(),
        container_id: None,
        pid: None,
        exit: None,
        ports: PortStatus::default(),
        draining: false,
    }
}
