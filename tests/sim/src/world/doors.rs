//! Questions to the leader and their way back: any manager takes one, a follower carries it to the leader, once.

use shoal_manager_core::{Answer, Input, RequestId};
use shoal_proto::model::{ControlError, ControlErrorKind};

use super::World;
use crate::event::{Ask, Event, Outcome, Question, Replied};
use crate::host::{Asker, Waiting, host_at};
use crate::limits::ANSWER_TIMEOUT;
use crate::network::HostId;

impl World {
    /// Sends a question to a manager. Nothing tells whether it arrives.
    pub(super) fn ask(&mut self, asker: Asker, to: HostId, ask: Ask) {
        let after = match asker {
            // Clients are outside: only the managers' own network is cut.
            Asker::Client { .. } => Some(self.draw.micros(100..2_000)),
            Asker::Node { host, .. } => {
                let connects = self.network.connects(host, to);
                connects.then(|| self.network.delay(&mut self.draw, host, to))
            }
        };
        if let Some(after) = after {
            let question = Box::new(Question { asker, via: None, ask });
            self.queue.plan(after, Event::Asked { at: to, question });
        }
    }

    /// A question arrives at a manager.
    pub(super) fn asked(&mut self, at: HostId, question: Question) {
        let now = self.queue.now();
        let of = &mut self.hosts[at.0];
        let Question { asker, via, ask } = question;
        let Some(process) = of.manager.as_mut().filter(|_| of.up) else {
            return self.give(at, via, asker, Err(unavailable("nobody listens here")));
        };
        if !process.leads() {
            let leader = process.leader_elsewhere().and_then(|address| host_at(&address));
            let Some(leader) = leader.filter(|_| via.is_none()) else {
                return self.give(at, via, asker, Err(unavailable("there is no leader")));
            };
            if self.network.connects(at, leader) {
                let after = self.network.delay(&mut self.draw, at, leader);
                let question = Box::new(Question { asker, via: Some(at), ask });
                self.queue.plan(after, Event::Asked { at: leader, question });
            }
            return;
        }
        let id = RequestId(process.requests);
        let input = match ask {
            Ask::Control(request) => Input::Request { id, request },
            Ask::Admit { node, role, availability } => Input::AdmitNode { id, node, role, availability },
            Ask::Join { node, address } => Input::JoinMember { id, node, address },
            Ask::Renew { node } => {
                let Some(role) = process.plane.tables().certificate_role(node) else {
                    let gone = ControlError::new(ControlErrorKind::NotFound, "the node is not of the swarm");
                    return self.give(at, via, asker, Err(gone));
                };
                self.feed(at, Input::CertificateRole { node, role });
                return self.give(at, via, asker, Ok(Replied::Certificate(role)));
            }
        };
        process.requests += 1;
        process.pending.retain(|_, waiting| now.since(waiting.since) < ANSWER_TIMEOUT * 4);
        process.pending.insert(id, Waiting { asker, via, since: now });
        self.feed(at, input);
    }

    /// The plane answers.
    pub(super) fn reply(&mut self, host: HostId, id: RequestId, outcome: Result<Answer, ControlError>, index: u64) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        let Some(waiting) = process.pending.remove(&id) else {
            // Whoever asked waits no longer; but nobody is answered twice.
            return self.checks.answered_unasked(host, id, process.requests);
        };
        if let Asker::Client { client, attempt } = waiting.asker
            && let Ok(answer) = &outcome
            && let Some(promise) = self.clients[client].promise(attempt, answer)
        {
            // Whether the answer reaches its client or not: from now on it may be relied upon.
            self.checks.promised(&promise, index);
        }
        self.give(host, waiting.via, waiting.asker, outcome.map(|answer| Replied::Plane { answer, index }));
    }

    /// Sends an answer back, through the manager that carried the question.
    pub(super) fn give(&mut self, from: HostId, via: Option<HostId>, asker: Asker, outcome: Outcome) {
        let mut after = self.draw.micros(50..500);
        let mut at = from;
        if let Some(carrier) = via {
            if !self.network.connects(from, carrier) || !self.hosts[carrier.0].up {
                return;
            }
            after += self.network.delay(&mut self.draw, from, carrier);
            at = carrier;
        }
        if let Asker::Node { host, .. } = asker {
            if !self.network.connects(at, host) {
                return;
            }
            after += self.network.delay(&mut self.draw, at, host);
        }
        self.queue.plan(after, Event::Answered { asker, outcome });
    }

    pub(super) fn answered(&mut self, asker: Asker, outcome: Outcome) {
        match asker {
            Asker::Client { client, attempt } => self.client_hears(client, attempt, outcome),
            Asker::Node { host, attempt } => {
                if self.hosts[host.0].up && self.hosts[host.0].attempt == attempt {
                    self.node_answered(host, outcome);
                }
            }
        }
    }

    /// Those who wait for a manager that is gone find their connections closed.
    pub(super) fn hang_up(&mut self, host: HostId) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        let pending = std::mem::take(&mut process.pending);
        for waiting in pending.into_values() {
            self.give(host, waiting.via, waiting.asker, Err(unavailable("the connection was closed")));
        }
    }
}

/// The request may be made again.
pub(super) fn unavailable(text: &str) -> ControlError {
    ControlError::new(ControlErrorKind::Unavailable, text)
}
