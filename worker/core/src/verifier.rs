//! Comparisons that the leader asks for: one at a time, of a set that the kernel should show whole.

use shoal_proto::model::{AssignmentSet, Revision, Verification};

use crate::{Action, Failure};

/// What was asked and what is under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verifier {
    /// The last that the leader of this session asked for, unless it was begun.
    asked: Option<u64>,
    under_way: Option<u64>,
}

impl Verifier {
    /// The leader asks; an older question that was not begun is answered with this one.
    pub(crate) fn ask(&mut self, number: u64) {
        self.asked = Some(number);
    }

    /// A session begins or ends: nobody waits.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Names the next step, when the kernel should show all that was told.
    pub(crate) fn step(&mut self) -> Option<Action> {
        if self.under_way.is_some() {
            return None;
        }
        self.under_way = self.asked.take();
        self.under_way.map(|number| Action::Verify { number })
    }

    /// What the leader is told of a comparison, if it waits for that.
    pub(crate) fn done(
        &mut self,
        number: u64,
        outcome: Result<Vec<String>, Failure>,
        (revision, set): (Revision, &AssignmentSet),
    ) -> Option<Action> {
        self.under_way.take_if(|waited| *waited == number)?;
        let outcome = outcome.map_err(|failure| failure.message);
        Some(Action::TellVerified(Verification { number, revision, digest: set.endpoint_digest(), outcome }))
    }
}
