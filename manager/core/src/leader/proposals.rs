//! The way of decisions into the log, and back as committed.

use raft::eraftpb::{Entry, EntryType};
use shoal_proto::codec;

use super::barrier::Barrier;
use super::{Lost, PendingAnswer, Reign};
use crate::output::Change;
use crate::replica::{MembershipChange, Replica};
use crate::store::{Command, Tables};
use crate::{Answer, Output, RequestId};

/// A proposal under way.
#[derive(Debug)]
pub(super) struct Inflight {
    index: u64,
    changes: Vec<Change>,
}

/// What an entry that is not applied yet will do to the tables.
pub(super) fn apply_entry(tables: &mut Tables, entry: &Entry) {
    let bytes = match entry.get_entry_type() {
        EntryType::EntryNormal => &entry.data,
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => &entry.context,
    };
    match codec::decode::<Command>(bytes) {
        Ok(command) => drop(tables.apply(entry.index, command)),
        // No command, or none of this version: the same as when it is applied.
        Err(_) => tables.advance(entry.index),
    }
}

impl Reign {
    /// Puts the open command into the log.
    pub(super) fn propose(&mut self, replica: &mut Replica) -> Result<(), Lost> {
        let index = self.draft.index();
        let Some(sealed) = self.draft.seal() else { return Ok(()) };
        let bytes = codec::encode(&sealed.command).map_err(|_| Lost)?;
        let found = replica.propose(bytes).ok_or(Lost)?;
        if found != index {
            return Err(Lost);
        }
        self.inflight.push_back(Inflight { index, changes: sealed.changes });
        Ok(())
    }

    /// Puts a change of membership into the log, with what the draft holds beside it.
    pub(super) fn propose_membership(&mut self, replica: &mut Replica, change: MembershipChange) -> Result<u64, Lost> {
        let index = self.draft.index();
        let sealed = self.draft.seal();
        let command = match &sealed {
            Some(sealed) => codec::encode(&sealed.command).map_err(|_| Lost)?,
            None => Vec::new(),
        };
        let found = replica.propose_membership(change, command).ok_or(Lost)?;
        if found != index {
            return Err(Lost);
        }
        if sealed.is_none() {
            self.draft.skip_to(index + 1);
        }
        self.inflight.push_back(Inflight { index, changes: sealed.map(|sealed| sealed.changes).unwrap_or_default() });
        Ok(index)
    }

    /// What the entry changes, when it is one of this reign.
    pub(crate) fn committed(&mut self, index: u64, term: u64) -> Option<Vec<Change>> {
        let own = term == self.term && self.inflight.front().is_some_and(|first| first.index == index);
        if own { self.inflight.pop_front().map(|first| first.changes) } else { None }
    }

    /// An answer that waits for what the draft holds now.
    pub(super) fn answer_when_committed(&mut self, id: RequestId, answer: PendingAnswer) {
        self.answer_at(self.draft.index(), id, answer);
    }

    pub(super) fn answer_at(&mut self, index: u64, id: RequestId, answer: PendingAnswer) {
        self.pending.entry(index).or_default().push((id, answer));
    }

    /// How many requests wait.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.values().map(Vec::len).sum::<usize>()
            + self.wishes.len()
            + self.barriers.len()
            + self.verifications.len()
    }

    /// Answers all that waited for entries up to the tables'.
    pub(crate) fn answers(&mut self, tables: &Tables) -> Vec<Output> {
        let index = tables.index();
        let rest = self.pending.split_off(&(index + 1));
        let due = std::mem::replace(&mut self.pending, rest);
        let mut outputs = Vec::new();
        for (id, answer) in due.into_values().flatten() {
            let answer = match answer {
                PendingAnswer::Ready(answer) => answer,
                PendingAnswer::Joined { raft_id } => Answer::Joined { raft_id, members: tables.members() },
                PendingAnswer::Removed { service } => {
                    self.barriers.push(Barrier::new(id, service, self.now));
                    continue;
                }
            };
            outputs.push(Output::Reply { id, outcome: Ok(answer), index });
        }
        outputs
    }
}
