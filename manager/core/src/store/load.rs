//! What tasks take up on a node: an index that follows the tasks, so that placing one does not count them all.

use std::collections::BTreeMap;

use shoal_proto::model::{PortProtocol, ResourceReservations, Task, TaskState};

/// What the tasks on one node take up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeLoad {
    /// Tasks that are wanted.
    pub active: u64,
    /// Reserved by tasks that have not ended.
    pub reserved: ResourceReservations,
    /// Ports in host mode of tasks that have not ended, and by how many.
    pub host_ports: BTreeMap<(PortProtocol, u16), u32>,
}

/// Whether the task counts when tasks are spread.
#[must_use]
pub fn is_active(task: &Task) -> bool {
    occupies(task) && task.desired <= TaskState::Complete
}

/// Whether the task holds what it reserved on its node: from its placement to its end.
#[must_use]
pub fn occupies(task: &Task) -> bool {
    task.node.is_some() && task.status.state >= TaskState::Assigned && !task.status.state.is_terminal()
}

impl NodeLoad {
    pub(super) fn add(&mut self, task: &Task) {
        let reservations = task.spec.resources.reservations;
        self.active += u64::from(is_active(task));
        self.reserved.nano_cpus += reservations.nano_cpus;
        self.reserved.memory_bytes += reservations.memory_bytes;
        for port in task.host_ports.iter().filter(|port| port.published_port != 0) {
            *self.host_ports.entry((port.protocol, port.published_port)).or_default() += 1;
        }
    }

    pub(super) fn subtract(&mut self, task: &Task) {
        let reservations = task.spec.resources.reservations;
        self.active -= u64::from(is_active(task));
        self.reserved.nano_cpus -= reservations.nano_cpus;
        self.reserved.memory_bytes -= reservations.memory_bytes;
        for port in task.host_ports.iter().filter(|port| port.published_port != 0) {
            let key = (port.protocol, port.published_port);
            let left = self.host_ports.get(&key).copied().unwrap_or(0).saturating_sub(1);
            if left == 0 {
                self.host_ports.remove(&key);
            } else {
                self.host_ports.insert(key, left);
            }
        }
    }

    /// Whether nothing is taken up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
