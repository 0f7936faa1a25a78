//! Requests whose effect is committed, and whose answer waits until every host shows it.
//!
//! Asked after the hosts were told, at every turn; a host that does not acknowledge in time is named in the answer.

use shoal_proto::model::{ControlReply, NodeId, ServiceId, Timestamp};

use super::Reign;
use crate::deciders::condition::node_names;
use crate::limits::REMOVAL_BARRIER_MAX;
use crate::store::Tables;
use crate::{Answer, Output, RequestId};

/// An answer that waits for the hosts.
#[derive(Debug)]
pub(super) struct Barrier {
    id: RequestId,
    service: ServiceId,
    deadline: Timestamp,
}

impl Barrier {
    pub(super) fn new(id: RequestId, service: ServiceId, now: Timestamp) -> Self {
        Self { id, service, deadline: now + REMOVAL_BARRIER_MAX }
    }

    pub(super) fn answer(self, index: u64, warnings: Vec<String>) -> Output {
        let reply = ControlReply::ServiceRemoved { warnings };
        Output::Reply { id: self.id, outcome: Ok(Answer::Control(reply)), index }
    }
}

impl Reign {
    /// Answers those that every host shows, and those that have waited for long enough.
    pub(crate) fn barriers(&mut self, tables: &Tables) -> Vec<Output> {
        let mut outputs = Vec::new();
        for barrier in std::mem::take(&mut self.barriers) {
            let lagging = self.dispatcher.lagging(barrier.service, tables);
            if lagging.is_empty() {
                outputs.push(barrier.answer(tables.index(), Vec::new()));
            } else if self.now >= barrier.deadline {
                outputs.push(barrier.answer(tables.index(), vec![warning(tables, &lagging)]));
            } else {
                self.barriers.push(barrier);
            }
        }
        outputs
    }
}

fn warning(tables: &Tables, lagging: &[NodeId]) -> String {
    let names = node_names(tables, lagging);
    format!("the service is removed, but {names} did not say so yet: connections there may still be led to its tasks")
}
