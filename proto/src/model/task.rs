//! A task: one slot of a service, placed on one node, run once.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Cidr, Labels, Meta, NetworkId, NodeId, PortConfig, ServiceId, TaskId, TaskSpec, Timestamp, Version};

/// A task in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Identity; a task that is replaced gets a successor with another.
    pub id: TaskId,
    /// Version and times.
    pub meta: Meta,
    /// What it runs; shared by all tasks of one spec version.
    pub spec: Arc<TaskSpec>,
    /// Which version of the service's spec that is.
    pub spec_version: Version,
    /// Whose task it is.
    pub service: ServiceId,
    /// The service's name when the task was made; part of the task's name.
    pub service_name: String,
    /// The service's labels when the task was made.
    pub service_labels: Labels,
    /// 1 and up for replicated services and jobs; zero for global ones.
    pub slot: u64,
    /// Where it runs, once scheduled.
    pub node: Option<NodeId>,
    /// What was observed.
    pub status: TaskStatus,
    /// What is wanted.
    pub desired: TaskState,
    /// Ports in host mode, as the service wishes them.
    pub host_ports: Vec<PortConfig>,
    /// Its addresses.
    pub attachments: Vec<NetworkAttachment>,
    /// The execution of a job that it belongs to.
    pub job_iteration: Option<Version>,
}

impl Task {
    /// `service.slot.id`, or `service.node.id` for a global service: also the container's name.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.slot, self.node) {
            (0, Some(node)) => format!("{}.{node}.{}", self.service_name, self.id),
            _ => format!("{}.{}.{}", self.service_name, self.slot, self.id),
        }
    }

    /// The slot as people see it: from 1, of a replicated job from 0.
    #[must_use]
    pub fn shown_slot(&self) -> u64 {
        if self.job_iteration.is_some() { self.slot.saturating_sub(1) } else { self.slot }
    }
}

/// An address of a task on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttachment {
    /// Where.
    pub network: NetworkId,
    /// Address and the network's prefix.
    pub address: Cidr,
    /// Further names there.
    pub aliases: Vec<String>,
}

/// How far a task is, in the order of its life. Observed states only rise; desired ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u16)]
pub enum TaskState {
    /// Made by an orchestrator.
    New = 0,
    /// Has what it needs of the swarm's resources; waits for a node.
    Pending = 64,
    /// Has a node.
    Assigned = 192,
    /// Its node knows of it.
    Accepted = 256,
    /// Its node fetches what it needs.
    Preparing = 320,
    /// Could start at once.
    Ready = 384,
    /// Starts, or is not healthy yet.
    Starting = 448,
    /// Runs.
    Running = 512,
    /// Ended by itself, well.
    Complete = 576,
    /// Ended because it was asked to.
    Shutdown = 640,
    /// Ended badly after its start.
    Failed = 704,
    /// Could not start.
    Rejected = 768,
    /// Desired only: to be forgotten once it is down.
    Remove = 800,
    /// Its node is gone for good.
    Orphaned = 832,
}

impl TaskState {
    /// Whether the task has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self > Self::Running
    }
}

/// What was observed of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// When.
    pub timestamp: Timestamp,
    /// How far.
    pub state: TaskState,
    /// What happened, for people.
    pub message: String,
    /// What went wrong, for people; empty when nothing did.
    pub error: String,
    /// The container, once there is one.
    pub container_id: Option<String>,
    /// Its first process, in the host's numbering, while it runs.
    pub pid: Option<i32>,
    /// How it ended.
    pub exit: Option<TaskExit>,
    /// Ports in host mode, with all numbers chosen.
    pub ports: PortStatus,
    /// It runs, and should get no new connections: its worker is about to stop it.
    #[serde(default)]
    pub draining: bool,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskExit {
    /// The exit status, or 128 + signal.
    pub code: i32,
    /// The kernel ended it for want of memory.
    pub oom_killed: bool,
}

/// Ports in host mode as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortStatus {
    /// With all numbers chosen.
    pub ports: Vec<PortConfig>,
    /// Where they are bound; unspecified means every address.
    pub host_address: Option<IpAddr>,
}
