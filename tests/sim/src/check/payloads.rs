//! Secrets and configs are with the workers that have a task for them, and nowhere else.

use std::collections::BTreeSet;

use shoal_proto::model::{PayloadId, PayloadTarget};
use shoal_worker_core::{Action, WorkerCore};

use super::Violation;

/// What a worker holds, after any of its steps.
pub(crate) fn check_held(core: &WorkerCore) -> Result<(), Violation> {
    let of_tasks: BTreeSet<PayloadId> = core
        .assignments()
        .tasks
        .values()
        .flat_map(|assigned| &assigned.task.spec.container.payloads)
        .map(|reference| reference.id)
        .collect();
    match core.payloads().find(|id| !of_tasks.contains(id)) {
        Some(id) => Err(Violation {
            invariant: "secrets are never with a worker that has no task for them",
            found: format!("{id} on {}", core.config().node),
        }),
        None => Ok(()),
    }
}

/// A container is made with all that its task refers to.
pub(crate) fn check_action(action: &Action) -> Result<(), Violation> {
    let Action::CreateContainer { task, files, .. } = action else { return Ok(()) };
    let references = &task.spec.container.payloads;
    let wanted = references.iter().filter(|reference| matches!(reference.target, PayloadTarget::File(_))).count();
    let is_empty = files.iter().any(|file| file.data.is_empty());
    if files.len() == wanted && !is_empty {
        return Ok(());
    }
    let found = format!("{} of {wanted} files for {}", files.len(), task.id);
    Err(Violation { invariant: "a container has the secrets of its task", found })
}
