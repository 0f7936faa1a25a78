//! What a service looks like while it converges, and when that has gone well or badly: pure decisions over what the
//! API answers. `watch` asks and shows; nothing here does either.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shoal_api::types::{Service, Task, TaskState, UpdateState};

use crate::limits::{FAILURES_MAX, PROGRESS_ERROR_WIDTH, PROGRESS_LINES_MAX, STABLE_FOR};
use crate::output::human::{ellipsis, short_id};
use crate::output::screen::Line;

/// One answer of the API about a service.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) service: Service,
    /// The tasks of its present spec.
    pub(crate) tasks: Vec<Task>,
    /// The nodes that are not down.
    pub(crate) nodes: BTreeSet<String>,
}

/// What the user wanted, which decides what counts as failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The spec that was sent.
    Forward,
    /// The spec before it: here a completed rollback is success.
    Rollback,
}

/// What a look means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wait,
    Converged,
    JobComplete,
    Paused { operation: &'static str, message: String },
    RolledBack { message: String },
    Failed { reason: String },
}

/// Follows one service from look to look.
#[derive(Debug)]
pub(crate) struct Progress {
    goal: Goal,
    converged_since: Option<Duration>,
    wavered: bool,
    /// Tasks that had ended before we began to look: their failures are not news.
    old: Option<BTreeSet<String>>,
    /// Tasks of each place that failed since it last ran.
    failures: BTreeMap<Place, BTreeSet<String>>,
}

/// Where a task stands: its slot, or its node in a global service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot(u64),
    Node(String),
}

/// Tasks of one look, counted.
struct Survey<'a> {
    /// The task that matters at each place.
    places: BTreeMap<Place, &'a Task>,
    done: usize,
    /// Not known while a global service has no tasks yet.
    wanted: Option<usize>,
}

impl Progress {
    pub(crate) fn new(goal: Goal) -> Self {
        Self { goal, converged_since: None, wavered: false, old: None, failures: BTreeMap::new() }
    }

    /// Has the service what it should have, if not for long enough yet?
    pub(crate) fn is_converged(&self) -> bool {
        self.converged_since.is_some()
    }

    /// Takes one look into account. `now` counts from any fixed moment.
    pub(crate) fn observe(&mut self, now: Duration, look: &Look) -> (Vec<Line>, Verdict) {
        let survey = survey(look);
        let mut lines = lines(look, &survey);
        let status = look.service.update_status.as_ref();
        let state = status.and_then(|status| status.state);
        let message = || status.map(|status| status.message.clone()).unwrap_or_default();
        match state {
            Some(UpdateState::Paused) => {
                return (lines, Verdict::Paused { operation: "update", message: with_last_failure(message(), look) });
            }
            Some(UpdateState::RollbackPaused) => {
                return (lines, Verdict::Paused { operation: "rollback", message: with_last_failure(message(), look) });
            }
            Some(UpdateState::RollbackStarted) => lines.insert(0, Line::new("rollback", message())),
            Some(UpdateState::RollbackCompleted) if self.goal == Goal::Forward => {
                return (lines, Verdict::RolledBack { message: message() });
            }
            _ => {}
        }
        let converged = survey.wanted == Some(survey.done) && state != Some(UpdateState::RollbackStarted);
        if converged && look.service.job_status.is_some() {
            return (lines, Verdict::JobComplete);
        }
        let settled = matches!(state, Some(UpdateState::Completed | UpdateState::RollbackCompleted));
        let verdict = match self.settle(now, converged, monitor(&look.service), settled) {
            Ok(()) => Verdict::Converged,
            Err(verify) => {
                lines.extend(verify.map(|text| Line::new("verify", text)));
                self.failed(look, &survey)
            }
        };
        (lines, verdict)
    }

    /// Is it converged for long enough? If not, what the verify line says. An update that the manager itself calls
    /// completed has been watched by it already.
    fn settle(
        &mut self,
        now: Duration,
        converged: bool,
        monitor: Duration,
        settled: bool,
    ) -> Result<(), Option<String>> {
        if !converged {
            self.wavered |= self.converged_since.take().is_some();
            return Err(self.wavered.then(|| "Detected task failure".to_owned()));
        }
        self.wavered = false;
        let since = *self.converged_since.get_or_insert(now);
        let left = monitor.saturating_sub(now.saturating_sub(since));
        if settled || left.is_zero() {
            return Ok(());
        }
        // The second that is running counts whole.
        let seconds = left.as_nanos().div_ceil(1_000_000_000);
        Err(Some(format!("Waiting {seconds} seconds to verify that tasks are stable...")))
    }

    /// Gives up on a service whose tasks fail over and over at one place, or that has nothing left to start.
    fn failed(&mut self, look: &Look, survey: &Survey<'_>) -> Verdict {
        let ended = |task: &Task| task.status.state > TaskState::Running;
        let old = self
            .old
            .get_or_insert_with(|| look.tasks.iter().filter(|task| ended(task)).map(|task| task.id.clone()).collect());
        for task in look.tasks.iter().filter(|task| !old.contains(&task.id)) {
            if matches!(task.status.state, TaskState::Failed | TaskState::Rejected) {
                self.failures.entry(place(task)).or_default().insert(task.id.clone());
            }
        }
        for (place, task) in &survey.places {
            if matches!(task.status.state, TaskState::Running | TaskState::Complete) {
                self.failures.remove(place);
            }
        }
        let count = |ids: &BTreeSet<String>| ids.len() >= FAILURES_MAX;
        let Some((place, ids)) = self.failures.iter().find(|(_, ids)| count(ids)) else { return Verdict::Wait };
        let last = look.tasks.iter().filter(|task| ids.contains(&task.id)).max_by_key(|task| task.created_at);
        let wanted = survey.wanted.unwrap_or(0);
        let text = last.map(failure_text).unwrap_or_default();
        let reason = format!(
            "{} of {wanted} tasks running; {place} failed {} times, the last time because: {text}",
            survey.done,
            ids.len(),
        );
        Verdict::Failed { reason }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slot(slot) => write!(out, "slot {slot}"),
            Self::Node(node) => write!(out, "the task on node {}", short_id(node)),
        }
    }
}

/// Desired and actual state of a task, and its error.
fn failure_text(task: &Task) -> String {
    let error = if task.status.err.is_empty() { &task.status.message } else { &task.status.err };
    format!(
        "{error} (task {}, desired {}, actual {})",
        short_id(&task.id),
        task.desired_state.as_str(),
        task.status.state.as_str()
    )
}

/// What the manager says, and the task that failed last, if one did.
fn with_last_failure(message: String, look: &Look) -> String {
    let failed = |task: &&Task| matches!(task.status.state, TaskState::Failed | TaskState::Rejected);
    match look.tasks.iter().filter(failed).max_by_key(|task| task.created_at) {
        Some(task) => format!("{message}: {}", failure_text(task)),
        None => message,
    }
}

/// Why a task that waits has no node, if one does.
pub(crate) fn unplaceable(look: &Look) -> Option<&str> {
    let waits = |task: &&Task| task.status.state == TaskState::Pending && !task.status.err.is_empty();
    look.tasks.iter().find(waits).map(|task| task.status.err.as_str())
}

fn monitor(service: &Service) -> Duration {
    let monitor = service.spec.update_config.as_ref().and_then(|config| u64::try_from(config.monitor).ok());
    monitor.filter(|nanoseconds| *nanoseconds > 0).map_or(STABLE_FOR, Duration::from_nanos)
}

fn place(task: &Task) -> Place {
    // Slots of jobs begin with 0, so that a slot alone does not tell the two apart.
    if task.slot == 0 && task.job_iteration.is_none() {
        Place::Node(task.node_id.clone())
    } else {
        Place::Slot(task.slot)
    }
}

fn survey(look: &Look) -> Survey<'_> {
    let mode = &look.service.spec.mode;
    let job = mode.replicated_job.is_some() || mode.global_job.is_some();
    let by_node = mode.global.is_some() || mode.global_job.is_some();
    let mut places: BTreeMap<Place, &Task> = BTreeMap::new();
    for task in look.tasks.iter().filter(|task| counts(look, task, job)) {
        let place = if by_node { Place::Node(task.node_id.clone()) } else { Place::Slot(task.slot) };
        let entry = places.entry(place).or_insert(task);
        // The lower states win: what is still to come matters, not what was.
        let rank = |task: &Task| {
            if job { (task.status.state, task.status.state) } else { (task.desired_state, task.status.state) }
        };
        if rank(task) < rank(entry) {
            *entry = task;
        }
    }
    let finished = |task: &&&Task| match job {
        true => task.status.state == TaskState::Complete,
        false => task.status.state == TaskState::Running && task.desired_state <= TaskState::Running,
    };
    let done = places.values().filter(finished).count();
    let wanted = match (&mode.replicated, &mode.replicated_job) {
        (Some(replicated), _) => Some(replicated.replicas.unwrap_or(1)),
        (_, Some(job)) => Some(job.total_completions.unwrap_or(1)),
        // All tasks of a global service are made at once, so that those there are tell how many it should have.
        _ if !by_node => Some(1),
        _ => (!places.is_empty()).then_some(places.len() as u64),
    };
    Survey { places, done, wanted: wanted.map(|wanted| usize::try_from(wanted).unwrap_or(usize::MAX)) }
}

/// Does a task say anything about the present state? Not one on a node that is down, nor one of an earlier run.
fn counts(look: &Look, task: &Task, job: bool) -> bool {
    let known = |state: TaskState| state <= TaskState::Rejected;
    let active = task.node_id.is_empty() || look.nodes.contains(&task.node_id);
    let iteration = look.service.job_status.as_ref().map(|status| status.job_iteration);
    known(task.desired_state) && known(task.status.state) && active && (!job || task.job_iteration == iteration)
}

fn lines(look: &Look, survey: &Survey<'_>) -> Vec<Line> {
    let mode = &look.service.spec.mode;
    let job = mode.replicated_job.is_some() || mode.global_job.is_some();
    let rolls_back =
        look.service.update_status.as_ref().and_then(|status| status.state) == Some(UpdateState::RollbackStarted);
    let head = if job { "job progress" } else { "overall progress" };
    let Some(wanted) = survey.wanted else { return vec![Line::new(head, "waiting for new tasks")] };
    let done = survey.done;
    let text = match (job, rolls_back) {
        (true, _) => format!("{done} out of {wanted} complete"),
        (false, true) => format!("rolling back update: {done} out of {wanted} tasks"),
        (false, false) => format!("{done} out of {wanted} tasks"),
    };
    let mut lines = vec![Line::new(head, text)];
    if wanted > PROGRESS_LINES_MAX {
        return lines;
    }
    for (index, (place, task)) in survey.places.iter().enumerate().take(wanted) {
        let id = match place {
            Place::Slot(_) => format!("{}/{wanted}", index + 1),
            Place::Node(node) => short_id(node).to_owned(),
        };
        lines.push(task_line(id, task, job));
    }
    for index in survey.places.len()..wanted {
        lines.push(Line::new(format!("{}/{wanted}", index + 1), ""));
    }
    lines
}

fn task_line(id: String, task: &Task, job: bool) -> Line {
    if !task.status.err.is_empty() {
        let text = ellipsis(&task.status.err.replace('\n', " "), PROGRESS_ERROR_WIDTH);
        return Line { id, text, bar: None };
    }
    let last = if job { TaskState::Complete } else { TaskState::Running };
    let bar = (task.status.state <= last).then_some((task.status.state as u64 + 1, last as u64 + 1));
    Line { id, text: task.status.state.as_str().to_owned(), bar }
}

#[cfg(test)]
#[path = "progress/tests.rs"]
mod tests;
