//! Rolls a new spec out, slot by slot: how many at once, in which order, and what a failure leads to.
//!
//! All of it is read from the tables: a slot is dirty while no task of the new spec is wanted there; it occupies one of
//! the update's places until its new task has run, and for the delay after that.

use std::sync::Arc;
use std::time::Duration;

use shoal_proto::model::{
    Availability, FailureAction, NodeId, Service, ServiceId, Task, TaskId, TaskState, Timestamp, UpdateConfig,
    UpdateOrder, UpdateState, UpdateStatus,
};

use super::condition::{ended_by_itself, is_current, is_live, node_names};
use super::plan::{Plan, Step};
use super::restart::is_settled;
use crate::limits::{CONVERGENCE_LOOK, CONVERGENCE_MAX};
use crate::store::{Slot, Tables};

/// What a leader has seen beyond the tables.
pub trait Witness {
    /// When a task that ended began to run. `None`: not seen, or it never ran.
    fn running_since(&self, task: TaskId) -> Option<Timestamp>;

    /// Nodes whose kernels may still lead connections to a service elsewhere than the tables say.
    fn lagging(&self, service: ServiceId) -> Vec<NodeId>;
}

/// For one service that is no job.
#[must_use]
pub fn decide(tables: &Tables, service: &Service, witness: &dyn Witness, now: Timestamp) -> Plan {
    let state = service.update_status.as_ref().map(|status| status.state);
    if matches!(state, Some(UpdateState::Paused | UpdateState::RollbackPaused)) {
        return Plan::default();
    }
    let rolling_back = state == Some(UpdateState::RollbackStarted);
    let underway = rolling_back || state == Some(UpdateState::Updating);
    let config = if rolling_back { &service.spec.rollback } else { &service.spec.update };
    let slots =
        tables.service_slots(service.id).filter_map(|(slot, tasks)| SlotView::of(tables, service, (slot, tasks), now));
    let mut update = Update { service, config, witness, now, slots: slots.collect(), started: Timestamp::default() };
    if !underway {
        if update.slots.iter().all(|slot| !slot.is_dirty()) {
            return Plan::default();
        }
        let mut plan = Plan::default();
        plan.push(update.progress(UpdateState::Updating, "update in progress", now));
        update.started = now;
        update.roll(&mut plan);
        return plan;
    }
    update.started = service.update_status.as_ref().map(|status| status.started_at).unwrap_or_default();
    if let Some(plan) = update.fail(rolling_back) {
        return plan;
    }
    let mut plan = Plan::default();
    update.roll(&mut plan);
    if update.slots.iter().all(|slot| slot.is_settled_at(&update)) {
        update.complete(tables, rolling_back, &mut plan);
    }
    plan
}

/// A service and how far its update is.
struct Update<'a> {
    service: &'a Service,
    config: &'a UpdateConfig,
    witness: &'a dyn Witness,
    now: Timestamp,
    started: Timestamp,
    slots: Vec<SlotView<'a>>,
}

/// A slot that is kept, and its tasks, oldest first.
struct SlotView<'a> {
    slot: Slot,
    tasks: Vec<&'a Arc<Task>>,
    /// Wanted, of the present spec.
    current: Vec<&'a Arc<Task>>,
    /// Wanted, of an earlier one.
    old: Vec<&'a Arc<Task>>,
    /// Nothing is wanted there, and what was last is of an earlier spec.
    ended_old: bool,
    /// Nothing new may come there.
    frozen: bool,
}

impl<'a> SlotView<'a> {
    fn of(
        tables: &'a Tables,
        service: &Service,
        (slot, tasks): (Slot, Vec<&'a Arc<Task>>),
        now: Timestamp,
    ) -> Option<Self> {
        let live = tasks.iter().copied().filter(|task| is_live(task));
        let (current, old): (Vec<_>, Vec<_>) = live.partition(|task| is_current(tables, service, task));
        let settled = current.is_empty() && old.is_empty();
        if settled && !is_settled(service, &tasks, now) {
            return None;
        }
        let ended_old = settled && tasks.last().is_some_and(|newest| !is_current(tables, service, newest));
        let frozen = match slot {
            Slot::Node(node) => tables.node(node).is_none_or(|node| node.spec.availability != Availability::Active),
            Slot::Number(_) => false,
        };
        Some(Self { slot, tasks, current, old, ended_old, frozen })
    }

    /// Whether the update has something to do there.
    fn is_dirty(&self) -> bool {
        let differs = !self.old.is_empty() || self.ended_old || self.current.len() > 1;
        differs && !self.is_out_of_reach()
    }

    /// What a new task would be needed for must wait.
    fn is_out_of_reach(&self) -> bool {
        self.frozen && self.current.is_empty()
    }

    /// Whether a new task has still to be made there.
    fn is_untouched(&self) -> bool {
        self.is_dirty() && self.current.is_empty()
    }

    /// Tasks that this update made there.
    fn made<'b>(&'b self, update: &'b Update<'_>) -> impl Iterator<Item = &'b Arc<Task>> {
        let version = update.service.spec_version;
        let mine = move |task: &&&Arc<Task>| task.meta.created_at >= update.started && task.spec_version == version;
        self.tasks.iter().filter(mine).copied()
    }

    /// When one of them first ran or ended.
    fn reached(&self, update: &Update<'_>) -> Option<Timestamp> {
        let at = |task: &Arc<Task>| update.witness.running_since(task.id).unwrap_or(task.status.timestamp);
        self.made(update).filter(|task| task.status.state >= TaskState::Running).map(at).min()
    }

    /// Whether it takes one of the update's places.
    fn is_under_way(&self, update: &Update<'_>) -> bool {
        if self.is_out_of_reach() || self.made(update).next().is_none() {
            return false;
        }
        match self.reached(update) {
            None => self.tasks.last().is_some_and(|newest| is_live(newest)),
            Some(at) => update.now < at + update.config.delay,
        }
    }

    /// Whether nothing is left to do there.
    fn is_settled_at(&self, update: &Update<'_>) -> bool {
        !self.is_dirty() && !self.is_under_way(update)
    }
}

impl Update<'_> {
    /// Takes up as many slots as there are free places, and ends what was waited for.
    fn roll(&self, plan: &mut Plan) {
        for slot in self.slots.iter().filter(|slot| !slot.current.is_empty()) {
            self.finish(slot, plan);
        }
        let under_way = self.slots.iter().filter(|slot| slot.is_under_way(self)).count();
        let places = match usize::try_from(self.config.parallelism) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(places) => places.saturating_sub(under_way),
        };
        let mut waiting: Vec<_> = self.slots.iter().filter(|slot| slot.is_untouched()).collect();
        // What does not run loses nothing.
        waiting.sort_by_key(|slot| slot.old.iter().any(|task| task.status.state == TaskState::Running));
        for slot in waiting.into_iter().take(places) {
            self.begin(slot, plan);
        }
        let ends = self.slots.iter().filter_map(|slot| slot.reached(self)).map(|at| at + self.config.delay);
        if let Some(next) = ends.filter(|end| *end > self.now).min() {
            plan.wake_at(next);
        }
    }

    fn begin(&self, slot: &SlotView<'_>, plan: &mut Plan) {
        let (service, place) = (self.service.id, slot.slot);
        let starts_first = self.config.order == UpdateOrder::StartFirst || slot.old.is_empty();
        let desired = if starts_first { TaskState::Running } else { TaskState::Ready };
        plan.push(Step::Create { service, slot: place, desired });
        // One goes on serving until the new one runs; others are of updates that this one overtook.
        let running = |task: &&&Arc<Task>| task.status.state == TaskState::Running;
        let kept = slot.old.iter().find(running).or(slot.old.last()).filter(|_| starts_first);
        for old in slot.old.iter().filter(|old| kept.is_none_or(|kept| kept.id != old.id)) {
            plan.push(Step::Desire { task: old.id, state: TaskState::Shutdown });
        }
    }

    /// One task of the new spec stays; the old ones go once it runs, or at once when they stop first.
    fn finish(&self, slot: &SlotView<'_>, plan: &mut Plan) {
        let running = |task: &&&Arc<Task>| task.status.state == TaskState::Running;
        let best = slot.current.iter().find(running).or(slot.current.last());
        let Some(best) = best else { return };
        for spare in slot.current.iter().filter(|task| task.id != best.id) {
            plan.push(Step::Desire { task: spare.id, state: TaskState::Shutdown });
        }
        if self.config.order == UpdateOrder::StopFirst || best.status.state == TaskState::Running {
            for old in &slot.old {
                plan.push(Step::Desire { task: old.id, state: TaskState::Shutdown });
            }
        }
    }

    /// What too many failures lead to; `None`: there are not too many.
    fn fail(&self, rolling_back: bool) -> Option<Plan> {
        if self.config.failure_action == FailureAction::Continue {
            return None;
        }
        let failed: Vec<_> =
            self.slots.iter().flat_map(|slot| slot.made(self)).filter(|task| self.is_failure(task)).collect();
        let touched = |slot: &&SlotView<'_>| slot.is_dirty() || slot.made(self).next().is_some();
        let total = self.slots.iter().filter(touched).count().max(1);
        #[expect(clippy::cast_precision_loss, reason = "a share of far fewer than 2^23 slots")]
        let ratio = failed.len() as f32 / total as f32;
        let last = failed.last().filter(|_| ratio > self.config.max_failure_ratio)?;
        let ended = format!("due to failure or early termination of task {}", last.id);
        let mut plan = Plan::default();
        match (rolling_back, self.config.failure_action) {
            (false, FailureAction::Rollback) if self.service.previous_spec.is_some() => {
                let status = self.status(UpdateState::RollbackStarted, format!("update rolled back {ended}"), self.now);
                plan.push(Step::RollBack { service: self.service.id, status });
            }
            (false, FailureAction::Rollback) => return None,
            (false, _) => {
                plan.push(self.progress(UpdateState::Paused, format!("update paused {ended}"), self.started));
            }
            (true, FailureAction::Rollback) => {
                let text = format!("rollback paused {ended}");
                plan.push(self.progress(UpdateState::RollbackPaused, text, self.started));
            }
            (true, _) => {
                plan.push(self.progress(UpdateState::RollbackPaused, format!("update paused {ended}"), self.started));
            }
        }
        Some(plan)
    }

    /// Whether a task of this update ended within the monitored time, or without ever running.
    fn is_failure(&self, task: &Task) -> bool {
        if !ended_by_itself(task) {
            return false;
        }
        let ran_from = self.witness.running_since(task.id).unwrap_or(task.meta.created_at);
        task.status.timestamp.since(ran_from) < self.config.monitor || task.status.state == TaskState::Rejected
    }

    /// Nothing is left to do: watched a little longer, and shown by every host, the update is done.
    fn complete(&self, tables: &Tables, rolling_back: bool, plan: &mut Plan) {
        let last = self.slots.iter().filter_map(|slot| slot.reached(self)).max().unwrap_or(self.started);
        let watched = if self.config.delay >= self.config.monitor {
            self.config.delay + Duration::from_secs(1)
        } else {
            self.config.monitor
        };
        if self.now < last + watched {
            plan.wake_at(last + watched);
            return;
        }
        let (state, waiting, text) = if rolling_back {
            (UpdateState::RollbackCompleted, UpdateState::RollbackStarted, "rollback completed")
        } else {
            (UpdateState::Completed, UpdateState::Updating, "update completed")
        };
        let lagging = self.witness.lagging(self.service.id);
        let mut text = text.to_owned();
        if !lagging.is_empty() {
            let names = node_names(tables, &lagging);
            if self.now < last + watched + CONVERGENCE_MAX {
                let waits = format!("waiting for {names} to show where connections lead now");
                if self.service.update_status.as_ref().is_none_or(|status| status.message != waits) {
                    plan.push(self.progress(waiting, waits, self.started));
                }
                plan.wake_at(self.now + CONVERGENCE_LOOK);
                return;
            }
            text = format!("{text}, but {names} did not show where connections lead now");
        }
        let mut status = self.status(state, text, self.started);
        status.completed_at = Some(self.now);
        plan.push(Step::Progress { service: self.service.id, status });
    }

    fn progress(&self, state: UpdateState, message: impl Into<String>, started_at: Timestamp) -> Step {
        Step::Progress { service: self.service.id, status: self.status(state, message, started_at) }
    }

    fn status(&self, state: UpdateState, message: impl Into<String>, started_at: Timestamp) -> UpdateStatus {
        UpdateStatus { state, started_at, completed_at: None, message: message.into() }
    }
}
