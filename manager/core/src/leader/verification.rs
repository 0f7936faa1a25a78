//! Comparisons of every host's kernel with what the managers want, asked for by a door.
//!
//! The hosts read their kernels back and compare; here it is seen to that all do, and that what they compare with is
//! what they were told.

use std::collections::BTreeMap;

use shoal_proto::model::{ControlReply, HostState, HostVerification, NodeId, NodeState, Timestamp, Verification};

use super::Reign;
use crate::limits::{DIFFERENCE_CHARS_MAX, DIFFERENCES_MAX, VERIFICATION_MAX};
use crate::store::Tables;
use crate::{Answer, Output, RequestId, SessionId};

/// A comparison that is under way.
#[derive(Debug)]
pub(super) struct Verifying {
    pub(super) id: RequestId,
    number: u64,
    deadline: Timestamp,
    found: BTreeMap<NodeId, HostState>,
}

impl Reign {
    /// A door asks for a comparison.
    pub(super) fn verify(&mut self, id: RequestId) {
        let number = self.dispatcher.verify();
        let deadline = self.now + VERIFICATION_MAX;
        self.verifications.push(Verifying { id, number, deadline, found: BTreeMap::new() });
    }

    /// A worker has compared.
    pub(crate) fn verified(&mut self, node: NodeId, session: SessionId, verification: Verification) -> Option<Output> {
        let refusal = self.heartbeat(node, session);
        if refusal.is_none() {
            let state = self.judge(node, &verification);
            // Who compares later answers those who asked before.
            let answered = self.verifications.iter_mut().filter(|waiting| waiting.number <= verification.number);
            answered.for_each(|waiting| drop(waiting.found.insert(node, state.clone())));
        }
        refusal
    }

    fn judge(&self, node: NodeId, verification: &Verification) -> HostState {
        let Verification { revision, digest, outcome, .. } = verification;
        let mut differences: Vec<String> = match outcome {
            Ok(differences) => differences.iter().take(DIFFERENCES_MAX).map(|line| printable(line)).collect(),
            Err(reason) => return HostState::Failed { reason: printable(reason) },
        };
        // What it has not heard yet is under way to it.
        if let Some((told, expected)) = self.dispatcher.told(node)
            && told == *revision
            && expected != *digest
        {
            differences.push("its set of endpoints is not the one that it was told".to_owned());
        }
        HostState::Compared { differences }
    }

    /// Answers those that every host has answered, and those that have waited for long enough.
    pub(crate) fn verifications(&mut self, tables: &Tables) -> Vec<Output> {
        let mut outputs = Vec::new();
        for waiting in std::mem::take(&mut self.verifications) {
            if waiting.is_complete(tables) || self.now >= waiting.deadline {
                let hosts =
                    tables.nodes().map(|node| waiting.host(node.id, node.status.state, &node.description.hostname));
                let reply = ControlReply::NetworksVerified(hosts.collect());
                outputs.push(Output::Reply {
                    id: waiting.id,
                    outcome: Ok(Answer::Control(reply)),
                    index: tables.index(),
                });
            } else {
                self.verifications.push(waiting);
            }
        }
        outputs
    }
}

impl Verifying {
    fn is_complete(&self, tables: &Tables) -> bool {
        let mut expected = tables.nodes().filter(|node| node.status.state != NodeState::Down);
        expected.all(|node| self.found.contains_key(&node.id))
    }

    fn host(&self, node: NodeId, state: NodeState, hostname: &str) -> HostVerification {
        let silent = if state == NodeState::Down { HostState::Down } else { HostState::Silent };
        let state = self.found.get(&node).cloned().unwrap_or(silent);
        HostVerification { node, hostname: hostname.to_owned(), state }
    }
}

/// A host's words, as they may stand in a leader's memory and on a terminal.
fn printable(line: &str) -> String {
    line.chars().filter(|char| !char.is_control()).take(DIFFERENCE_CHARS_MAX).collect()
}
