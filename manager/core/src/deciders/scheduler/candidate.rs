//! A node as the scheduler weighs it, with what it has placed there already.

use std::collections::BTreeMap;

use shoal_proto::model::{Node, NodeId, ServiceId, Task};

use crate::limits::FAILURES_MAX;
use crate::store::{NodeLoad, Tables};

/// A node, its load, and how it stands with the service at hand.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) node: &'a Node,
    pub(super) load: NodeLoad,
    /// Active tasks of the service at hand.
    pub(super) of_service: u64,
    failures: usize,
    /// By the scheduler, in this pass, of any service.
    placed: BTreeMap<ServiceId, u64>,
}

/// Lower is better.
pub(super) type Rank = (usize, u64, u64, NodeId);

impl<'a> Candidate<'a> {
    pub(super) fn new(tables: &Tables, node: &'a Node) -> Self {
        let load = tables.load(node.id);
        Self { node, load, of_service: 0, failures: 0, placed: BTreeMap::new() }
    }

    /// Turns to another service.
    pub(super) fn look_at(&mut self, tables: &Tables, service: ServiceId, failures: &BTreeMap<NodeId, usize>) {
        let placed = self.placed.get(&service).copied().unwrap_or(0);
        self.of_service = tables.active_on(service, self.node.id) + placed;
        self.failures = failures.get(&self.node.id).copied().unwrap_or(0);
    }

    /// Few failures do not count; then the service's tasks, then all.
    pub(super) fn rank(&self) -> Rank {
        let failures = if self.failures >= FAILURES_MAX { self.failures } else { 0 };
        (failures, self.of_service, self.load.active, self.node.id)
    }

    /// A task comes here.
    pub(super) fn take(&mut self, task: &Task) {
        let reservations = task.spec.resources.reservations;
        self.load.reserved.nano_cpus += reservations.nano_cpus;
        self.load.reserved.memory_bytes += reservations.memory_bytes;
        self.load.active += 1;
        self.of_service += 1;
        *self.placed.entry(task.service).or_default() += 1;
        for port in task.host_ports.iter().filter(|port| port.published_port != 0) {
            *self.load.host_ports.entry((port.protocol, port.published_port)).or_default() += 1;
        }
    }
}
