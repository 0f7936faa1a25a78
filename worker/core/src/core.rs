//! The core itself: owns the assignments, routes each input, and collects what is to be done.

use std::sync::Arc;

use shoal_proto::model::{AssignmentDiff, AssignmentSet, Revision, TaskId, TaskStatus, Timestamp};

use crate::{Action, CoreConfig, Input, Saved};

/// All that a worker decides.
#[derive(Debug, Clone)]
pub struct WorkerCore {
    config: CoreConfig,
    assignments: Arc<AssignmentSet>,
    /// Of this session; `None` until its whole set has come.
    revision: Option<Revision>,
}

impl WorkerCore {
    /// A core that holds what the disk held. It acts on nothing until [`Input::Adopted`].
    #[must_use]
    pub fn new(config: CoreConfig, saved: Saved) -> Self {
        Self { config, assignments: Arc::new(saved.assignments.unwrap_or_default()), revision: None }
    }

    /// Takes one input and says what is to be done, in order.
    pub fn handle(&mut self, _now: Timestamp, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::SessionUp | Input::SessionDown => self.revision = None,
            Input::Assignments(diff) => self.assign(diff, &mut actions),
            _ => {}
        }
        actions
    }

    /// What the worker was last told.
    #[must_use]
    pub fn assignments(&self) -> &AssignmentSet {
        &self.assignments
    }

    /// How far a task is; `None` when it is not this worker's.
    #[must_use]
    pub fn status(&self, task: TaskId) -> Option<&TaskStatus> {
        self.assignments.tasks.get(&task).map(|assigned| &assigned.task.status)
    }

    /// Whether nothing is left of any task: all were withdrawn and cleaned up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.assignments.tasks.is_empty()
    }

    /// Who and within which limits.
    #[must_use]
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    fn assign(&mut self, diff: AssignmentDiff, actions: &mut Vec<Action>) {
        if diff.base != Revision(0) && self.revision != Some(diff.base) {
            self.revision = None;
            actions.push(Action::Resync);
            return;
        }
        self.revision = Some(diff.result);
        Arc::make_mut(&mut self.assignments).apply(diff);
        actions.push(Action::PersistAssignments(Arc::clone(&self.assignments)));
    }
}
