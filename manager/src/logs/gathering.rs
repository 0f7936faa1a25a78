//! What one reader of logs needs next: whom to ask, what to say is missing, and when all is said.
//!
//! Told what is known of tasks and nodes and how publications go; asked, at a time, what to do. Takes no clock and does
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use shoal_proto::model::{
    LogOptions, LogResume, LogTarget, Node, NodeId, NodeState, Task, TaskId, TaskState, Timestamp,
};

use crate::limits::{LOG_ATTEMPTS, LOG_NODE_PATIENCE, LOG_NODE_RETRY, LOG_SETTLE, LOG_WANT_RETRY};

/// The state of one reader's request.
#[derive(Debug)]
pub(super) struct Gathering {
    target: LogTarget,
    follow: bool,
    /// When the reading began, by this host's clock: for nodes that come later.
    begun: Timestamp,
    places: BTreeMap<NodeId, Place>,
    /// Tasks of the target that are known and not removed; those that have not ended.
    tasks: BTreeMap<TaskId, TaskState>,
    nodes: BTreeMap<NodeId, KnownNode>,
    /// The first round of questions is over.
    under_way: bool,
    target_removed: bool,
    /// When anything was last heard of the target.
    heard: Instant,
}

/// A node of the swarm, as far as it matters here.
#[derive(Debug, Clone)]
struct KnownNode {
    hostname: String,
    state: NodeState,
}

/// A node that has, or had, tasks of the target.
#[derive(Debug)]
struct Place {
    phase: Phase,
    /// One of its tasks, to say what is missing.
    task: TaskId,
    /// The time of the last line of each task.
    after: BTreeMap<TaskId, Timestamp>,
    /// Whether it published before, or came later: its next publication goes on from there.
    resumes: bool,
    /// Publications that broke off since lines came.
    broken: u32,
    /// Whether the reader knows that it is missing.
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is asked, from `next` on again and again, until it publishes or is given up at `until`.
    Asked {
        next: Instant,
        until: Instant,
    },
    Publishing,
    /// It said all.
    Done,
    /// It does not publish. A reader that follows has it asked again.
    Missing {
        again: Instant,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Have a node told that its logs are wanted.
    Want { node: NodeId, resume: Option<LogResume> },
    /// Tell the reader that lines of a node are missing.
    Tell { node: NodeId, task: TaskId, text: String },
    /// All is said.
    End,
}

impl Gathering {
    pub(super) fn new(target: LogTarget, options: &LogOptions, begun: Timestamp, now: Instant) -> Self {
        Self {
            target,
            follow: options.follow,
            begun,
            places: BTreeMap::new(),
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            under_way: false,
            target_removed: false,
            heard: now,
        }
    }

    /// Takes what is known of all nodes.
    pub(super) fn see_nodes<'a>(&mut self, nodes: impl Iterator<Item = &'a Node>, now: Instant) {
        let seen: Vec<&Node> = nodes.collect();
        let ids: BTreeSet<NodeId> = seen.iter().map(|node| node.id).collect();
        self.nodes.retain(|id, _| ids.contains(id));
        for node in seen {
            self.see_node(node, now);
        }
    }

    /// A node that is back is asked at once.
    pub(super) fn see_node(&mut self, node: &Node, now: Instant) {
        let state = node.status.state;
        self.nodes.insert(node.id, KnownNode { hostname: node.description.hostname.clone(), state });
        if let Some(place) = self.places.get_mut(&node.id)
            && let Phase::Missing { again } = &mut place.phase
            && state == NodeState::Ready
        {
            *again = now;
        }
    }

    pub(super) fn forget_node(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// Takes all tasks of the target: those that are not among them were removed.
    pub(super) fn see_tasks<'a>(&mut self, tasks: impl Iterator<Item = &'a Task>, now: Instant) {
        let seen: Vec<&Task> = tasks.collect();
        let ids: BTreeSet<TaskId> = seen.iter().map(|task| task.id).collect();
        self.tasks.retain(|id, _| ids.contains(id));
        for task in seen {
            self.see_task(task, now);
        }
    }

    /// Takes a task of the target as it is now. One that never had a container has no lines.
    pub(super) fn see_task(&mut self, task: &Task, now: Instant) {
        let before = self.tasks.insert(task.id, task.status.state);
        if before != Some(task.status.state) {
            self.heard = now;
        }
        let Some(node) = task.node else { return };
        let may_have_lines =
            self.follow || task.status.container_id.is_some() || task.status.state >= TaskState::Starting;
        if !may_have_lines {
            return;
        }
        let resumes = self.under_way;
        let asked = Phase::Asked { next: now, until: now + LOG_NODE_PATIENCE };
        let place = self.places.entry(node).or_insert_with(|| Place {
            phase: asked,
            task: task.id,
            after: BTreeMap::new(),
            resumes,
            broken: 0,
            told: false,
        });
        if task.status.state <= TaskState::Running {
            place.task = task.id;
        }
    }

    pub(super) fn forget_task(&mut self, task: TaskId, now: Instant) {
        self.heard = now;
        self.tasks.remove(&task);
        self.target_removed |= self.target == LogTarget::Task(task);
    }

    pub(super) fn target_removed(&mut self) {
        self.target_removed = true;
    }

    /// A node begins to publish. False when it was not asked to, or does so already.
    pub(super) fn begins(&mut self, node: NodeId) -> bool {
        let Some(place) = self.places.get_mut(&node) else { return false };
        if matches!(place.phase, Phase::Publishing | Phase::Done) {
            return false;
        }
        place.phase = Phase::Publishing;
        place.told = false;
        place.resumes = true;
        true
    }

    /// A line came.
    pub(super) fn takes(&mut self, node: NodeId, task: TaskId, time: Timestamp, now: Instant) {
        self.heard = now;
        if let Some(place) = self.places.get_mut(&node) {
            place.broken = 0;
            place.after.insert(task, time);
        }
    }

    /// A publication ended: all was said, or it broke off.
    pub(super) fn ends(&mut self, node: NodeId, all_said: bool, now: Instant) {
        let Some(place) = self.places.get_mut(&node) else { return };
        if all_said {
            place.phase = Phase::Done;
            return;
        }
        place.broken += 1;
        place.phase = if place.broken >= LOG_ATTEMPTS {
            Phase::Asked { next: now, until: now }
        } else {
            Phase::Asked { next: now, until: now + LOG_NODE_PATIENCE }
        };
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        for (node, place) in &mut self.places {
            let reason = missing_for(self.nodes.get(node));
            match place.phase {
                Phase::Missing { again } if self.follow && again <= now && reason.is_none() => {
                    place.phase = Phase::Asked { next: now, until: now + LOG_NODE_PATIENCE };
                }
                Phase::Asked { until, .. } if reason.is_some() || until <= now => {
                    place.phase = Phase::Missing { again: now + LOG_NODE_RETRY };
                    if !std::mem::replace(&mut place.told, true) {
                        let reason = reason.unwrap_or("it does not answer");
                        let text = missing_text(*node, self.nodes.get(node), reason);
                        acts.push(Act::Tell { node: *node, task: place.task, text });
                    }
                }
                _ => {}
            }
            if let Phase::Asked { next, .. } = &mut place.phase
                && *next <= now
            {
                *next = now + LOG_WANT_RETRY;
                let resume = LogResume { begun: self.begun, after: place.after.clone() };
                acts.push(Act::Want { node: *node, resume: place.resumes.then_some(resume) });
            }
        }
        self.under_way = true;
        if self.is_over(now) {
            acts.push(Act::End);
        }
        acts
    }

    /// When to ask again what to do, if nothing happens before.
    pub(super) fn wake(&self, now: Instant) -> Instant {
        let phases = self.places.values().filter_map(|place| match place.phase {
            Phase::Asked { next, until } => Some(next.min(until)),
            Phase::Missing { again } if self.follow => Some(again.max(now + LOG_WANT_RETRY)),
            _ => None,
        });
        let settled = (self.follow && self.has_ended()).then(|| self.heard + LOG_SETTLE);
        phases.chain(settled).min().unwrap_or(now + IDLE)
    }

    /// Nothing can come any more. One who follows is told the end when the target is gone or has ended for good, and has
    /// been quiet for a while: a node's last lines may be on the way.
    fn is_over(&self, now: Instant) -> bool {
        let said = |place: &Place| matches!(place.phase, Phase::Done | Phase::Missing { .. });
        let all_said = self.places.values().all(said);
        if !self.follow {
            return all_said;
        }
        let is_one = matches!(self.target, LogTarget::Task(_));
        self.has_ended() && (now >= self.heard + LOG_SETTLE || (all_said && is_one))
    }

    /// No line will be written any more.
    fn has_ended(&self) -> bool {
        match self.target {
            LogTarget::Service(_) => self.target_removed && self.tasks.is_empty(),
            LogTarget::Task(_) => self.target_removed || self.tasks.values().all(|state| state.is_terminal()),
        }
    }
}

/// Why a node can't publish; `None` when it should.
fn missing_for(node: Option<&KnownNode>) -> Option<&'static str> {
    match node {
        None => Some("it is not of the swarm any longer"),
        Some(KnownNode { state: NodeState::Down, .. }) => Some("it is down"),
        Some(KnownNode { state: NodeState::Disconnected, .. }) => Some("it has left"),
        Some(KnownNode { state: NodeState::Ready | NodeState::Unknown, .. }) => None,
    }
}

fn missing_text(id: NodeId, node: Option<&KnownNode>, reason: &str) -> String {
    match node {
        Some(node) => format!("warning: logs on node {} ({id}) are missing: {reason}\n", node.hostname),
        None => format!("warning: logs on node {id} are missing: {reason}\n"),
    }
}

/// Between looks when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
