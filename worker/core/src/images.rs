//! One pull for many tasks of one image.
//!
//! Owns which pull serves whom. Leaves what follows from its end to the tasks that wait.

use std::collections::{BTreeMap, BTreeSet};

use shoal_proto::model::{PullCredentials, TaskId};

use crate::{Action, PullId};

/// The pulls under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Images {
    pulls: BTreeMap<PullId, Pull>,
    last: u64,
}

#[derive(Debug, Clone)]
struct Pull {
    image: String,
    credentials: Option<PullCredentials>,
    waiting: BTreeSet<TaskId>,
}

impl Images {
    /// Has a task wait for an image: joins the pull under way, or begins one.
    pub(crate) fn want(
        &mut self,
        task: TaskId,
        image: &str,
        credentials: Option<&PullCredentials>,
    ) -> (PullId, Option<Action>) {
        let under_way =
            self.pulls.iter_mut().find(|(_, pull)| pull.image == image && pull.credentials.as_ref() == credentials);
        if let Some((id, pull)) = under_way {
            pull.waiting.insert(task);
            return (*id, None);
        }
        self.last += 1;
        let (id, image, credentials) = (PullId(self.last), image.to_owned(), credentials.cloned());
        let pull = Pull { image: image.clone(), credentials: credentials.clone(), waiting: BTreeSet::from([task]) };
        self.pulls.insert(id, pull);
        (id, Some(Action::Pull { pull: id, image, credentials }))
    }

    /// A task waits no longer; the last one to go cancels the pull.
    pub(crate) fn leave(&mut self, task: TaskId, id: PullId) -> Option<Action> {
        let pull = self.pulls.get_mut(&id)?;
        pull.waiting.remove(&task);
        if !pull.waiting.is_empty() {
            return None;
        }
        self.pulls.remove(&id);
        Some(Action::CancelPull { pull: id })
    }

    /// A pull ended, well or not: who waited for it.
    pub(crate) fn ended(&mut self, id: PullId) -> BTreeSet<TaskId> {
        self.pulls.remove(&id).map(|pull| pull.waiting).unwrap_or_default()
    }
}
