//! What a worker core is told once: who it is, and its limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use shoal_proto::model::{NodeDescription, NodeId};

/// What a worker core is told once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreConfig {
    /// This node.
    pub node: NodeId,
    /// What it says of itself, for the templates of specs.
    pub description: NodeDescription,
    /// The limits of its decisions.
    pub limits: CoreLimits,
}

impl CoreConfig {
    /// The usual limits.
    #[must_use]
    pub fn new(node: NodeId, description: NodeDescription) -> Self {
        Self { node, description, limits: CoreLimits::default() }
    }
}

/// Limits of a worker's decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreLimits {
    /// From a temporary failure to the next attempt; doubles each time.
    pub retry_first: Duration,
    /// The longest that it doubles to.
    pub retry_max: Duration,
    /// Temporary failures of one step on the way up before the task is given up. Steps on the way down never give up.
    pub retries: u32,
    /// From the leaving of a task that the managers have forgotten to its stop signal: the other hosts hear of it
    /// meanwhile.
    pub drain: Duration,
    /// How long hosts that do not acknowledge, or a service set that can't be written, may delay a stop.
    pub drain_max: Duration,
    /// How long a task without a health check may take until something listens on its published ports.
    pub listen_max: Duration,
    /// From a report to its repetition when it is not acknowledged.
    pub report_repeat: Duration,
    /// From the stop signal to the kill, when the spec does not say.
    pub stop_grace: Duration,
}

impl Default for CoreLimits {
    fn default() -> Self {
        Self {
            // As swarm mode's agent: soon enough not to be noticed, rare enough not to load a registry.
            retry_first: Duration::from_secs(1),
            // A registry or a disk that comes back is used within half a minute.
            retry_max: Duration::from_secs(30),
            // With the doubling, about 15 s: then the managers may know a better node.
            retries: 4,
            // Long enough for a difference to reach the other hosts, short beside a person's patience.
            drain: Duration::from_millis(300),
            // A broken data path may not keep a task from ending.
            drain_max: Duration::from_secs(3),
            // What starts slower than this should say by a health check when it is ready.
            listen_max: Duration::from_secs(10),
            // Well above a round trip and a commit; reports are idempotent.
            report_repeat: Duration::from_secs(5),
            // Docker's.
            stop_grace: Duration::from_secs(10),
        }
    }
}
