//! Which manager to ask next: the leader as last heard, else one after the other.

use crate::limits::MANAGERS_MAX;

/// The managers that are known, and whose turn it is.
#[derive(Debug)]
pub(super) struct Candidates {
    managers: Vec<String>,
    /// Told by a manager that was not the leader; asked once, before the list.
    hint: Option<String>,
    turn: usize,
}

impl Candidates {
    pub(super) fn new(managers: Vec<String>) -> Self {
        let mut candidates = Self { managers: Vec::new(), hint: None, turn: 0 };
        candidates.replace(managers);
        candidates
    }

    /// Takes a new list, the leader first. An empty one is ignored: it would leave nobody to ask. Says whether it is new.
    pub(super) fn replace(&mut self, mut managers: Vec<String>) -> bool {
        managers.truncate(MANAGERS_MAX);
        if managers.is_empty() || managers == self.managers {
            return false;
        }
        self.managers = managers;
        self.turn = 0;
        true
    }

    /// Somebody named the leader.
    pub(super) fn hint(&mut self, leader: String) {
        self.hint = Some(leader);
    }

    /// Whom to ask now; `None` when no manager is known.
    pub(super) fn next(&mut self) -> Option<String> {
        if let Some(hint) = self.hint.take() {
            return Some(hint);
        }
        let candidate = self.managers.get(self.turn % self.managers.len().max(1)).cloned();
        self.turn = self.turn.wrapping_add(1);
        candidate
    }

    /// A session with the one asked last was established: after its loss it is asked first.
    pub(super) fn stay(&mut self) {
        self.turn = self.turn.wrapping_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_comes_first_and_the_list_in_turn() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut candidates = Candidates::new(list(&["a:1", "b:1"]));
        assert_eq!(candidates.next().as_deref(), Some("a:1"));
        candidates.hint("c:1".into());
        assert_eq!(candidates.next().as_deref(), Some("c:1"));
        assert_eq!(candidates.next().as_deref(), Some("b:1"));
        assert_eq!(candidates.next().as_deref(), Some("a:1"));
        assert!(candidates.replace(list(&["d:1", "a:1"])));
        assert!(!candidates.replace(Vec::new()));
        assert_eq!(candidates.next().as_deref(), Some("d:1"));
        assert_eq!(Candidates::new(Vec::new()).next(), None);
    }
}
