//! A manager's disk: what its log store holds, and what a crash leaves of it.
//!
//! Modelled after the store's promises: a write that was synced is kept; one under way when the process or the host
//! dies is there whole, or not at all; a snapshot's file precedes the record that names it, and a crash between the two
//! leaves the file alone; a hard state that need not be synced waits in memory for the next write that must.

use bytes::Bytes;
use shoal_manager_core::{LogEntry, Persist, Restored, SnapshotRecord};

use crate::draw::Draw;

/// What one manager's log store holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    durable: Restored,
    /// Not synced: lost with the process.
    deferred: Option<Bytes>,
    under_way: Option<Persist>,
}

/// The core asked for something that its store must refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskMisuse(pub(crate) String);

impl Disk {
    /// What the store would be opened with.
    pub(crate) fn contents(&self) -> Restored {
        self.durable.clone()
    }

    /// Begins a write; answers whether it has to be synced.
    pub(crate) fn begin(&mut self, write: Persist) -> Result<bool, DiskMisuse> {
        self.check(&write)?;
        let only_hard_state = write.entries.is_empty() && write.snapshot.is_none();
        if only_hard_state && !write.must_sync {
            self.deferred = write.hard_state.or(self.deferred.take());
            return Ok(false);
        }
        self.under_way = Some(write);
        Ok(true)
    }

    /// The write under way is on disk.
    pub(crate) fn synced(&mut self) {
        if let Some(write) = self.under_way.take() {
            let deferred = self.deferred.take();
            self.apply(write, deferred);
        }
    }

    /// Keeps a snapshot of the plane's own making.
    pub(crate) fn save_snapshot(&mut self, snapshot: SnapshotRecord) -> Result<(), DiskMisuse> {
        if snapshot.index < self.snapshot_index() {
            return Err(DiskMisuse(format!("snapshot {} after snapshot {}", snapshot.index, self.snapshot_index())));
        }
        self.durable.snapshot = Some(snapshot);
        Ok(())
    }

    /// Forgets entries, or some of them: the store deletes whole segments only.
    pub(crate) fn compact(&mut self, through: u64, draw: &mut Draw) -> Result<(), DiskMisuse> {
        if through > self.snapshot_index() {
            return Err(DiskMisuse(format!("compact through {through}, snapshot at {}", self.snapshot_index())));
        }
        if !draw.happens(300) {
            self.durable.entries.retain(|entry| entry.index > through);
        }
        Ok(())
    }

    /// What is left when the process dies.
    pub(crate) fn crash(&mut self, draw: &mut Draw) {
        let deferred = self.deferred.take();
        let Some(mut write) = self.under_way.take() else { return };
        match draw.number(0..4) {
            0 => self.apply(write, deferred),
            // The snapshot's file was renamed into place, its record was not written.
            1 if write.snapshot.is_some() => self.keep_snapshot_alone(write.snapshot.take()),
            // Nothing was written, or a torn record that its checksum gives away.
            _ => {}
        }
    }

    /// All is gone: the node is no manager any longer.
    pub(crate) fn wipe(&mut self) {
        *self = Self::default();
    }

    fn snapshot_index(&self) -> u64 {
        self.durable.snapshot.as_ref().map_or(0, |snapshot| snapshot.index)
    }

    fn last_index(&self) -> u64 {
        self.durable.entries.last().map_or(0, |entry| entry.index).max(self.snapshot_index())
    }

    fn check(&self, write: &Persist) -> Result<(), DiskMisuse> {
        if self.under_way.is_some() {
            return Err(DiskMisuse("two writes under way".to_owned()));
        }
        let mut last = write.snapshot.as_ref().map_or(self.last_index(), |snapshot| snapshot.index);
        for (place, entry) in write.entries.iter().enumerate() {
            let follows = if place == 0 { entry.index <= last + 1 } else { entry.index == last + 1 };
            if !follows {
                return Err(DiskMisuse(format!("entry {} written after entry {last}", entry.index)));
            }
            last = entry.index;
        }
        Ok(())
    }

    fn apply(&mut self, write: Persist, deferred: Option<Bytes>) {
        if let Some(snapshot) = write.snapshot {
            self.durable.entries.clear();
            self.durable.snapshot = Some(snapshot);
        }
        if let Some(first) = write.entries.first().map(|entry| entry.index) {
            let held = &mut self.durable.entries;
            let oldest = held.first().map_or(first, |entry: &LogEntry| entry.index);
            held.truncate(usize::try_from(first.saturating_sub(oldest)).unwrap_or(usize::MAX));
            held.extend(write.entries);
        }
        if let Some(hard_state) = write.hard_state.or(deferred) {
            self.durable.hard_state = Some(hard_state);
        }
    }

    fn keep_snapshot_alone(&mut self, snapshot: Option<SnapshotRecord>) {
        let Some(snapshot) = snapshot else { return };
        let covered = self.durable.entries.iter().find(|entry| entry.index == snapshot.index);
        if covered.is_none_or(|entry| entry.term != snapshot.term) {
            self.durable.entries.clear();
        }
        self.durable.snapshot = Some(snapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> LogEntry {
        LogEntry { index, term, bytes: Bytes::new() }
    }

    fn write(entries: Vec<LogEntry>) -> Persist {
        Persist { entries, must_sync: true, ..Persist::default() }
    }

    fn indexes(disk: &Disk) -> Vec<(u64, u64)> {
        disk.contents().entries.iter().map(|entry| (entry.index, entry.term)).collect()
    }

    #[test]
    fn later_entries_replace_earlier_ones() {
        let mut disk = Disk::default();
        for entries in [vec![entry(1, 1), entry(2, 1), entry(3, 1)], vec![entry(2, 2)]] {
            assert_eq!(disk.begin(write(entries)), Ok(true));
            disk.synced();
        }
        assert_eq!(indexes(&disk), [(1, 1), (2, 2)]);
        assert!(disk.begin(write(vec![entry(4, 2)])).is_err(), "a gap");
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_all_or_nothing_of_the_rest() {
        let mut seen = Vec::new();
        for seed in 0..32 {
            let mut disk = Disk::default();
            disk.begin(write(vec![entry(1, 1)])).unwrap();
            disk.synced();
            let late = Persist { hard_state: Some(Bytes::from_static(b"late")), ..Persist::default() };
            assert_eq!(disk.begin(late), Ok(false));
            disk.begin(write(vec![entry(2, 1), entry(3, 1)])).unwrap();
            disk.crash(&mut Draw::new(seed));
            let kept = indexes(&disk).len();
            assert_eq!(kept == 3, disk.contents().hard_state.is_some());
            seen.push(kept);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [1, 3]);
    }
}
