//! What follows a task's end: one step at a time, slot by slot.
//!
//! A task that ended, or whose node may not keep it, is shut down; when the restart policy allows, a successor is made
//! in its slot, wanted ready, and wanted running once the delay is over and the slot's others have stopped. How often a
//! slot was restarted is read from its history.

use std::sync::Arc;
use std::time::Duration;

use shoal_proto::model::{RestartCondition, Service, Task, TaskState, Timestamp};

use super::condition::{ended_by_itself, is_current, is_live, is_stopped, lost_its_node, same_spec};
use super::plan::{Plan, Step};
use crate::limits::STOP_WAIT_MAX;
use crate::store::{Slot, Tables};

/// For one service.
#[must_use]
pub fn decide(tables: &Tables, service: &Service, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for (slot, tasks) in tables.service_slots(service.id) {
        let slot = SlotView { tables, service, slot, tasks };
        slot.replace(now, &mut plan);
        slot.promote(now, &mut plan);
    }
    plan
}

/// Whether a slot whose newest task ended by itself stays as it is: its restart policy says so.
pub(super) fn is_settled(service: &Service, tasks: &[&Arc<Task>], now: Timestamp) -> bool {
    let Some(newest) = tasks.last() else { return false };
    newest.desired != TaskState::Remove && ended_by_itself(newest) && !may_restart(service, tasks, newest, now)
}

/// Whether the policy allows a successor of `ended`, which ended by itself.
fn may_restart(service: &Service, tasks: &[&Arc<Task>], ended: &Task, now: Timestamp) -> bool {
    let policy = &ended.spec.restart;
    let condition = match (policy.condition, service.spec.mode.is_job()) {
        // A job that ended well is done.
        (RestartCondition::Any, true) => RestartCondition::OnFailure,
        (condition, _) => condition,
    };
    match condition {
        RestartCondition::None => return false,
        RestartCondition::OnFailure if ended.status.state == TaskState::Complete => return false,
        RestartCondition::OnFailure | RestartCondition::Any => {}
    }
    if policy.max_attempts == 0 {
        return true;
    }
    let mut same = tasks.iter().filter(|task| same_spec(&task.spec, &ended.spec));
    // The first is no restart.
    same.next();
    let in_window =
        |task: &&&Arc<Task>| policy.window == Duration::ZERO || now.since(task.meta.created_at) < policy.window;
    (same.filter(in_window).count() as u64) < policy.max_attempts
}

/// A slot and its tasks, oldest first.
struct SlotView<'a> {
    tables: &'a Tables,
    service: &'a Service,
    slot: Slot,
    tasks: Vec<&'a Arc<Task>>,
}

impl SlotView<'_> {
    fn replace(&self, now: Timestamp, plan: &mut Plan) {
        for (place, task) in self.tasks.iter().enumerate() {
            let homeless = lost_its_node(self.tables, task);
            let done = self.service.spec.mode.is_job() && task.status.state == TaskState::Complete;
            if !is_live(task) || done || !(task.status.state.is_terminal() || homeless) {
                continue;
            }
            // One that ended while it was got ready goes when it would have begun: what follows it waits no shorter.
            let due = self.due(place);
            if task.desired == TaskState::Ready && !homeless && now < due {
                plan.wake_at(due);
                continue;
            }
            plan.push(Step::Desire { task: task.id, state: TaskState::Shutdown });
            let succeeded = self.tasks[place + 1..].iter().any(|newer| is_live(newer));
            // A global service leaves nodes that it may not stay on.
            let stays_away = homeless && matches!(self.slot, Slot::Node(_));
            let outdated = self.service.spec.mode.is_job() && task.job_iteration != self.service.job_iteration;
            let allowed = homeless || may_restart(self.service, &self.tasks, task, now);
            if !succeeded && !stays_away && !outdated && allowed {
                self.succeed(task, plan);
            }
        }
    }

    fn succeed(&self, task: &Task, plan: &mut Plan) {
        let gone = is_stopped(self.tables, task);
        let others =
            || self.tasks.iter().all(|other| other.id == task.id || is_live(other) || is_stopped(self.tables, other));
        let at_once = gone && self.delay(task).is_zero() && others();
        let desired = if at_once { self.final_state() } else { TaskState::Ready };
        plan.push(Step::Create { service: self.service.id, slot: self.slot, desired });
    }

    fn promote(&self, now: Timestamp, plan: &mut Plan) {
        for (place, task) in self.tasks.iter().enumerate() {
            if task.desired != TaskState::Ready || task.status.state.is_terminal() {
                continue;
            }
            let before = &self.tasks[..place];
            let due = self.due(place);
            let given_up = task.meta.created_at + STOP_WAIT_MAX;
            let free = before.iter().all(|other| is_live(other) || is_stopped(self.tables, other));
            if now < due {
                plan.wake_at(due);
            } else if free || now >= given_up {
                plan.push(Step::Desire { task: task.id, state: self.final_state() });
            } else {
                plan.wake_at(given_up);
            }
        }
    }

    /// When the task at this place may begin.
    fn due(&self, place: usize) -> Timestamp {
        let task = self.tasks[place];
        let delay = self.tasks[..place].last().map_or(Duration::ZERO, |before| {
            // An update does not wait: what ran before was another thing.
            let updated = !same_spec(&before.spec, &task.spec) && is_current(self.tables, self.service, task);
            if updated { Duration::ZERO } else { self.delay(before) }
        });
        task.meta.created_at + delay
    }

    /// From the end of `ended` to its successor's start: none when its node was taken from it.
    fn delay(&self, ended: &Task) -> Duration {
        if lost_its_node(self.tables, ended) { Duration::ZERO } else { ended.spec.restart.delay }
    }

    fn final_state(&self) -> TaskState {
        if self.service.spec.mode.is_job() { TaskState::Complete } else { TaskState::Running }
    }
}
