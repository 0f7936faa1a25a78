//! A place that a task fills: a number in a replicated service, a node in a global one.

use std::fmt;

use serde::{Deserialize, Serialize};
use shoal_proto::model::{NodeId, ServiceId, Task};

/// A place in a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// Of a replicated service, from 1; of a replicated job, from 0 to people and from 1 here.
    Number(u64),
    /// Of a global service.
    Node(NodeId),
}

/// A place in the swarm.
pub type SlotKey = (ServiceId, Slot);

impl Slot {
    /// The place that a task fills.
    #[must_use]
    pub fn of(task: &Task) -> Slot {
        match (task.slot, task.node) {
            (0, Some(node)) => Slot::Node(node),
            (number, _) => Slot::Number(number),
        }
    }

    /// As [`Task::slot`] has it.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Slot::Number(number) => number,
            Slot::Node(_) => 0,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Number(number) => write!(out, "{number}"),
            Slot::Node(node) => write!(out, "{node}"),
        }
    }
}
