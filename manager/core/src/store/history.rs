//! The last changes, so that a watcher can resume from an index.

use std::collections::VecDeque;

use crate::limits::{HISTORY_CHANGES, HISTORY_ENTRIES, HISTORY_PAYLOADS};
use crate::{Change, ChangeSet};

/// Change sets in the order of the log, without gaps.
#[derive(Debug, Default)]
pub struct History {
    sets: VecDeque<ChangeSet>,
    changes: usize,
    /// All changes after this index are held.
    since: u64,
}

impl History {
    /// Holds everything after `index`, so far nothing.
    #[must_use]
    pub fn since(index: u64) -> Self {
        Self { since: index, ..Self::default() }
    }

    /// Takes the next set; old ones go when there are too many.
    pub fn push(&mut self, set: ChangeSet) {
        if set.resynced {
            *self = Self::since(set.index);
            return;
        }
        self.changes += weight(&set);
        self.sets.push_back(set);
        while self.sets.len() > HISTORY_ENTRIES || self.changes > HISTORY_CHANGES {
            let Some(oldest) = self.sets.pop_front() else { break };
            self.changes -= weight(&oldest);
            self.since = oldest.index;
        }
    }

    /// The sets after `index`, in order; `None` when some of them are forgotten: the watcher reads the tables anew.
    #[must_use]
    pub fn after(&self, index: u64) -> Option<Vec<ChangeSet>> {
        let held = index >= self.since;
        held.then(|| self.sets.iter().filter(|set| set.index > index).cloned().collect())
    }
}

/// How much of the room a set takes up.
fn weight(set: &ChangeSet) -> usize {
    let of_one = |change: &Change| match change {
        Change::Payload(_) => HISTORY_CHANGES / HISTORY_PAYLOADS,
        _ => 1,
    };
    set.changes.iter().map(of_one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(index: u64) -> ChangeSet {
        ChangeSet { index, resynced: false, changes: Vec::new() }
    }

    #[test]
    fn resumes_or_says_that_it_cannot() {
        let mut history = History::since(5);
        let total = HISTORY_ENTRIES as u64 + 10;
        (6..6 + total).for_each(|index| history.push(set(index)));
        assert_eq!(history.after(5), None);
        assert_eq!(history.after(14), None);
        assert_eq!(history.after(15).map(|sets| sets.len()), Some(HISTORY_ENTRIES));
        assert_eq!(history.after(5 + total).map(|sets| sets.len()), Some(0));
        history.push(ChangeSet { resynced: true, ..set(9000) });
        assert_eq!(history.after(5 + total), None);
        assert_eq!(history.after(9000), Some(Vec::new()));
    }
}
