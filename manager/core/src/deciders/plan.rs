//! What deciders answer: steps, complete and printable. Whoever performs them chooses nothing.

use std::fmt;

use shoal_proto::model::{
    Cidr, Endpoint, NetworkAttachment, NodeId, NodeState, ServiceId, TaskId, TaskState, Timestamp, UpdateStatus,
};

use crate::store::Slot;

/// Steps, in order, and when to look again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// To be done now.
    pub steps: Vec<Step>,
    /// When time alone makes a difference; `None`: it does not.
    pub wake: Option<Timestamp>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A task comes to be, from the service's present spec.
    Create {
        /// Whose.
        service: ServiceId,
        /// Where in the service.
        slot: Slot,
        /// What is wanted of it.
        desired: TaskState,
    },
    /// More is wanted of a task.
    Desire {
        /// Which.
        task: TaskId,
        /// What.
        state: TaskState,
    },
    /// The managers decide a task's observed state.
    Observe {
        /// Which.
        task: TaskId,
        /// What.
        state: TaskState,
        /// For people.
        message: &'static str,
    },
    /// A task can't go on for now.
    Explain {
        /// Which.
        task: TaskId,
        /// Why; empty: it can.
        error: String,
    },
    /// A task has what it needs of the swarm, and waits for a node.
    Admit {
        /// Which.
        task: TaskId,
        /// Its addresses.
        attachments: Vec<NetworkAttachment>,
    },
    /// A task has a node.
    Place {
        /// Which.
        task: TaskId,
        /// Where.
        node: NodeId,
        /// For people.
        message: &'static str,
    },
    /// A task goes from the store.
    Forget {
        /// Which.
        task: TaskId,
    },
    /// A service's ports are chosen.
    Publish {
        /// Which.
        service: ServiceId,
        /// The wish that was served, and all numbers.
        endpoint: Box<Endpoint>,
    },
    /// An update gets on.
    Progress {
        /// Of which service.
        service: ServiceId,
        /// How far.
        status: UpdateStatus,
    },
    /// A service goes back to its previous spec.
    RollBack {
        /// Which.
        service: ServiceId,
        /// How the update stands then.
        status: UpdateStatus,
    },
    /// A node gets its address on the ingress network.
    Address {
        /// Which.
        node: NodeId,
        /// With the network's prefix.
        address: Cidr,
    },
    /// The managers believe something else of a node.
    Believe {
        /// Which.
        node: NodeId,
        /// What.
        state: NodeState,
        /// Why.
        message: &'static str,
    },
}

impl Plan {
    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds a step.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// To be looked at again then, if not before.
    pub fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(out, "{step}")?;
        }
        if let Some(wake) = self.wake {
            writeln!(out, "wake at {}", Seconds(wake))?;
        }
        Ok(())
    }
}

/// A time as seconds, for print.
struct Seconds(Timestamp);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:03}", self.0.0 / 1_000_000_000, self.0.0 / 1_000_000 % 1000)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create { service, slot, desired } => write!(out, "create {service}.{slot} desired={desired:?}"),
            Step::Desire { task, state } => write!(out, "desire {task} {state:?}"),
            Step::Observe { task, state, message } => write!(out, "observe {task} {state:?}: {message}"),
            Step::Explain { task, error } => write!(out, "explain {task}: {error}"),
            Step::Admit { task, attachments } => {
                write!(out, "admit {task}")?;
                attachments.iter().try_for_each(|held| write!(out, " {}", held.address))
            }
            Step::Place { task, node, message } => write!(out, "place {task} on {node}: {message}"),
            Step::Forget { task } => write!(out, "forget {task}"),
            Step::Publish { service, endpoint } => {
                write!(out, "publish {service}")?;
                endpoint.ports.iter().try_for_each(|port| {
                    write!(out, " {}->{}/{:?}/{:?}", port.published_port, port.target_port, port.protocol, port.mode)
                })?;
                endpoint.virtual_ips.iter().try_for_each(|held| write!(out, " vip {}", held.address))
            }
            Step::Progress { service, status } => {
                write!(out, "update {service} {:?}: {}", status.state, status.message)
            }
            Step::RollBack { service, status } => write!(out, "roll back {service}: {}", status.message),
            Step::Address { node, address } => write!(out, "address {node} {address}"),
            Step::Believe { node, state, message } => write!(out, "believe {node} {state:?}: {message}"),
        }
    }
}
