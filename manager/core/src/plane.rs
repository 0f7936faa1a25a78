//! The control plane: routes inputs to the parts, and collects what they want done.

use shoal_proto::model::{ControlError, ControlErrorKind, Timestamp};

use crate::store::Tables;
use crate::{CloseReason, Input, Output, PlaneConfig, RequestId, RestoreError, Restored};

/// All that one manager decides.
#[derive(Debug)]
pub struct ControlPlane {
    config: PlaneConfig,
    tables: Tables,
}

impl ControlPlane {
    /// Takes up what the log held; nothing: a plane that waits for [`Input::Bootstrap`], or for the leader of the swarm
    /// that it has joined.
    ///
    /// # Errors
    /// [`RestoreError`] when the log does not hold what a plane wrote.
    pub fn new(config: PlaneConfig, restored: Restored) -> Result<Self, RestoreError> {
        let _ = restored;
        Ok(Self { config, tables: Tables::default() })
    }

    /// Takes one input, at `now`, and says what is to be done, in order.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        self.handle_all(now, [input])
    }

    /// Takes several inputs at once: cheaper than one by one, because decisions, writes and sends are made once for all.
    pub fn handle_all(&mut self, _now: Timestamp, inputs: impl IntoIterator<Item = Input>) -> Vec<Output> {
        inputs.into_iter().filter_map(|input| self.refuse(input)).collect()
    }

    /// The committed state.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What this plane was started with.
    #[must_use]
    pub fn config(&self) -> &PlaneConfig {
        &self.config
    }

    fn refuse(&self, input: Input) -> Option<Output> {
        match input {
            Input::Request { id, .. }
            | Input::Bootstrap { id, .. }
            | Input::AdmitNode { id, .. }
            | Input::JoinMember { id, .. }
            | Input::LeaveMember { id, .. } => Some(self.unavailable(id)),
            Input::SessionOpened { node, session, .. } => {
                Some(Output::CloseSession { node, session, reason: CloseReason::NotLeader })
            }
            _ => None,
        }
    }

    fn unavailable(&self, id: RequestId) -> Output {
        let text = "The swarm does not have a leader. It's possible that too few managers are online. Make sure more \
                    than half of the managers are online.";
        let error = ControlError::new(ControlErrorKind::Unavailable, text);
        Output::Reply { id, outcome: Err(error), index: self.tables.index() }
    }
}
