//! Workers' streams: who is there, and what they report.

use std::collections::BTreeSet;
use std::net::IpAddr;

use shoal_proto::model::{
    NodeDescription, NodeId, NodeState, Revision, Task, TaskReport, TaskState, TaskStatus, Timestamp,
};

use super::Reign;
use crate::deciders::liveness::grace;
use crate::deciders::suspicion;
use crate::{CloseReason, Output, SessionId};

/// What a worker says when it opens its stream.
pub(crate) struct Hello {
    pub(crate) node: NodeId,
    pub(crate) session: SessionId,
    pub(crate) description: NodeDescription,
    pub(crate) observed_address: IpAddr,
    pub(crate) data_path_address: Option<IpAddr>,
}

impl Reign {
    /// A worker has opened its stream.
    pub(crate) fn session_opened(&mut self, hello: Hello) -> Option<Output> {
        let Hello { node, session, description, observed_address, data_path_address } = hello;
        if self.draft.tables().node(node).is_none() {
            return Some(Output::CloseSession { node, session, reason: CloseReason::UnknownNode });
        }
        self.heard(node);
        // It says anew whom it can't reach, and nothing when that is nobody.
        self.complaints.remove(&node);
        self.suspect();
        let now = self.now;
        self.draft.change_node(node, |node| {
            node.description = description;
            if node.status.state != NodeState::Ready {
                node.status.since = now;
            }
            node.status.state = NodeState::Ready;
            node.status.message.clear();
            node.status.address = observed_address.to_string();
            node.data_path_address = data_path_address.unwrap_or(observed_address).to_string();
        });
        self.dispatcher.open(node, session)
    }

    /// A worker is alive.
    pub(crate) fn heartbeat(&mut self, node: NodeId, session: SessionId) -> Option<Output> {
        if !self.dispatcher.is_open(node, session) {
            return Some(Output::CloseSession { node, session, reason: CloseReason::UnknownSession });
        }
        self.heard(node);
        None
    }

    /// A worker's kernel shows a set.
    pub(crate) fn applied(&mut self, node: NodeId, session: SessionId, revision: Revision) -> Option<Output> {
        let refusal = self.heartbeat(node, session);
        if refusal.is_none() {
            self.dispatcher.applied(node, revision);
        }
        refusal
    }

    /// A worker tells of its tasks.
    pub(crate) fn reports(&mut self, node: NodeId, session: SessionId, reports: Vec<TaskReport>) -> Option<Output> {
        let refusal = self.heartbeat(node, session);
        if refusal.is_none() {
            reports.into_iter().for_each(|report| self.report(node, report));
        }
        refusal
    }

    /// Which hosts a worker can't reach.
    pub(crate) fn silent(&mut self, node: NodeId, session: SessionId, hosts: BTreeSet<NodeId>) -> Option<Output> {
        let refusal = self.heartbeat(node, session);
        if refusal.is_none() {
            self.complaints.insert(node, hosts);
            self.suspect();
        }
        refusal
    }

    /// A worker's stream has ended.
    pub(crate) fn session_closed(&mut self, node: NodeId, session: SessionId) {
        if self.dispatcher.is_open(node, session) {
            self.dispatcher.ended(node, session);
            self.complaints.remove(&node);
            self.suspect();
        }
    }

    /// Takes the hosts that too many others can't reach out of balancing, and puts back those that answer.
    pub(super) fn suspect(&mut self) {
        let suspects = suspicion::decide(self.draft.tables(), &self.complaints);
        self.dispatcher.suspect(suspects, self.draft.tables());
    }

    fn report(&mut self, node: NodeId, report: TaskReport) {
        let Some(task) = self.draft.tables().task(report.task) else { return };
        // A worker speaks for its own tasks only, and no observed state sinks.
        if task.node != Some(node) || !is_news(task, &report.status) {
            return;
        }
        let timestamp = timestamp(task, &report.status, self.now);
        self.draft.change_task(report.task, |task| task.status = TaskStatus { timestamp, ..report.status });
    }

    fn heard(&mut self, node: NodeId) {
        let cluster = self.draft.tables().cluster().map(AsRef::as_ref);
        let deadline = self.now + grace(cluster);
        self.deadlines.insert(node, deadline);
    }
}

fn is_news(task: &Task, status: &TaskStatus) -> bool {
    let known = &task.status;
    if known.state.is_terminal() || status.state <= TaskState::Assigned {
        return false;
    }
    let same = TaskStatus { timestamp: known.timestamp, ..status.clone() } == *known;
    status.state > known.state || (status.state == known.state && !same)
}

/// When the task came into its state: the worker's word, within what this manager's clock allows. Clocks of workers may
/// be wrong, and restarts and updates are reckoned from here.
fn timestamp(task: &Task, status: &TaskStatus, now: Timestamp) -> Timestamp {
    let known = &task.status;
    if status.state == known.state {
        return known.timestamp;
    }
    if status.timestamp < known.timestamp || status.timestamp > now { now } else { status.timestamp }
}
