//! The log as the consensus reads it: a mirror, in memory, of what was given out to be persisted.

use std::cell::Cell;
use std::collections::VecDeque;

use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

/// Entries behind a snapshot, and the state of votes.
#[derive(Debug, Default)]
pub(super) struct MemoryLog {
    hard_state: HardState,
    conf_state: ConfState,
    /// Consecutive; the first follows `truncated`.
    entries: VecDeque<Entry>,
    /// The last entry that is not held: its index and term.
    truncated: (u64, u64),
    bytes: usize,
    /// For followers that need what is not held.
    snapshot: Option<Snapshot>,
    /// A follower asked for a snapshot and there was none.
    snapshot_wanted: Cell<bool>,
}

impl MemoryLog {
    /// A log whose entries up to `truncated` are covered by a snapshot.
    pub(super) fn new(conf_state: ConfState, truncated: (u64, u64)) -> Self {
        Self { conf_state, truncated, ..Self::default() }
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(super) fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    pub(super) fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    /// The first entry held, or the next to come.
    pub(super) fn first(&self) -> u64 {
        self.truncated.0 + 1
    }

    /// The last entry, held or covered.
    pub(super) fn last(&self) -> u64 {
        self.truncated.0 + self.entries.len() as u64
    }

    /// Bytes of the entries held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The term of an entry that is held, or of the last one that is not.
    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.truncated.0 {
            return Some(self.truncated.1);
        }
        self.entry(index).map(|entry| entry.term)
    }

    pub(super) fn entry(&self, index: u64) -> Option<&Entry> {
        let place = usize::try_from(index.checked_sub(self.first())?).ok()?;
        self.entries.get(place)
    }

    /// Appends; entries from the first one's index on are replaced.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        for entry in entries {
            while self.last() >= entry.index && !self.entries.is_empty() {
                self.bytes -= self.entries.pop_back().map_or(0, |gone| size(&gone));
            }
            debug_assert_eq!(self.last() + 1, entry.index, "the log has no gaps");
            self.bytes += size(entry);
            self.entries.push_back(entry.clone());
        }
    }

    /// Begins anew after a snapshot from the leader.
    pub(super) fn install(&mut self, snapshot: &Snapshot) {
        let metadata = snapshot.get_metadata();
        self.entries.clear();
        self.bytes = 0;
        self.truncated = (metadata.index, metadata.term);
        self.conf_state = metadata.get_conf_state().clone();
        self.snapshot = None;
    }

    /// Forgets entries up to and with `through`.
    pub(super) fn compact(&mut self, through: u64) {
        while self.truncated.0 < through {
            let Some(gone) = self.entries.pop_front() else { return };
            self.bytes -= size(&gone);
            self.truncated = (gone.index, gone.term);
        }
    }

    /// Whether a follower waits for a snapshot that there is not.
    pub(super) fn is_snapshot_wanted(&self) -> bool {
        self.snapshot_wanted.get()
    }

    /// Holds a snapshot for followers, or lets it go.
    pub(super) fn offer_snapshot(&mut self, snapshot: Option<Snapshot>) {
        self.snapshot_wanted.set(false);
        self.snapshot = snapshot;
    }
}

fn size(entry: &Entry) -> usize {
    entry.data.len() + entry.context.len() + size_of::<Entry>()
}

impl Storage for MemoryLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first() {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(raft::Error::Store(StorageError::Unavailable));
        }
        let budget = max_size.into().unwrap_or(u64::MAX);
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in (low..high).filter_map(|index| self.entry(index)) {
            bytes += u64::from(entry.compute_size());
            if bytes > budget && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let missing = if index < self.truncated.0 { StorageError::Compacted } else { StorageError::Unavailable };
        self.term_of(index).ok_or(raft::Error::Store(missing))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        // What the follower gets must lead up to the entries that are held.
        let least = request_index.max(self.truncated.0);
        match &self.snapshot {
            Some(snapshot) if snapshot.get_metadata().index >= least => Ok(snapshot.clone()),
            _ => {
                self.snapshot_wanted.set(true);
                Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term, data: vec![0; 10].into(), ..Entry::default() }
    }

    #[test]
    fn replaces_the_tail_and_forgets_the_head() {
        let mut log = MemoryLog::new(ConfState::default(), (3, 1));
        log.append(&[entry(4, 1), entry(5, 1), entry(6, 1)]);
        log.append(&[entry(5, 2)]);
        assert_eq!((log.first(), log.last(), log.term_of(5)), (4, 5, Some(2)));
        log.compact(4);
        assert_eq!((log.first(), log.last(), log.term_of(4)), (5, 5, Some(1)));
        assert!(log.entries(4, 6, None, GetEntriesContext::empty(false)).is_err());
        assert_eq!(log.bytes(), size(&entry(5, 2)));
        log.compact(100);
        assert_eq!((log.first(), log.last(), log.bytes()), (6, 5, 0));
    }

    #[test]
    fn asks_for_a_snapshot_once_it_is_wanted() {
        let mut log = MemoryLog::new(ConfState::default(), (9, 1));
        assert!(log.snapshot(0, 2).is_err());
        assert!(log.is_snapshot_wanted());
        let mut snapshot = Snapshot::default();
        snapshot.mut_metadata().index = 9;
        log.offer_snapshot(Some(snapshot));
        assert!(!log.is_snapshot_wanted() && log.snapshot(0, 2).is_ok());
    }
}
