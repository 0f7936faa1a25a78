//! [`FileLog`]: segments of framed records, snapshots in files of their own.
//!
//! The directory holds `log-<sequence>` (read in order), `snapshot-<index>` and `lock`. Opening reads everything, cuts a
//! torn frame off the last segment and starts a new segment; rotation starts one when the current is full; compaction
//! deletes whole segments from the front. Each segment begins with the hard state of its time, so that the front can go.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use shoal_manager_core::{LogEntry, Persist, Restored, SnapshotRecord};

use super::record::Record;
use super::segment::{SegmentContents, SegmentWriter, Tail};
use super::{LogError, LogStore, snapshot};
use crate::config::DataKey;
use crate::limits::SEGMENT_BYTES;

/// A log in files that are only appended to.
#[derive(Debug)]
pub struct FileLog {
    directory: PathBuf,
    key: DataKey,
    /// Held for as long as the log is open.
    _lock: File,
    finished: VecDeque<FinishedSegment>,
    current: Option<SegmentWriter>,
    current_sequence: u64,
    /// The highest index that the current segment ever held.
    current_highest: u64,
    /// The index of the last entry of the log; where there is none, of the snapshot.
    last_index: u64,
    snapshot_index: u64,
    hard_state: Option<Bytes>,
    hard_state_deferred: bool,
}

#[derive(Debug)]
struct FinishedSegment {
    path: PathBuf,
    /// The highest index that it ever held.
    highest: u64,
}

impl FileLog {
    /// Opens the log in `directory`, which is made if it is missing, and reads it.
    ///
    /// # Errors
    /// [`LogError`]: damage is told apart from a write that was cut off by a crash, which is cleaned up.
    pub fn open(directory: &Path, key: DataKey) -> Result<(Self, Restored), LogError> {
        fs::create_dir_all(directory).map_err(LogError::io("create", directory))?;
        let lock = lock(directory)?;
        let names = list(directory)?;
        let snapshot = match names.snapshots.last() {
            Some(index) => Some(snapshot::read(&snapshot_path(directory, *index), &key)?),
            None => None,
        };
        let mut replay = Replay::default();
        let mut finished = VecDeque::new();
        for (place, sequence) in names.segments.iter().enumerate() {
            let path = segment_path(directory, *sequence);
            let contents = SegmentContents::read(&path, &key)?;
            let last = place + 1 == names.segments.len();
            match contents.tail {
                Tail::None => {}
                // A segment that another followed was finished first, and has no tail.
                Tail::Torn if !last => return Err(LogError::Corrupt { path, offset: contents.end }),
                Tail::Torn | Tail::Zeros => contents.cut_tail(&path)?,
            }
            let highest =
                replay.take(contents.records).map_err(|()| LogError::Corrupt { path: path.clone(), offset: 0 })?;
            finished.push_back(FinishedSegment { path, highest });
        }
        let snapshot_index = snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        let contents = replay.into_contents(snapshot, directory)?;
        let mut log = Self {
            directory: directory.to_owned(),
            key,
            _lock: lock,
            finished,
            current: None,
            current_sequence: names.segments.last().copied().unwrap_or(0),
            current_highest: 0,
            last_index: contents.entries.last().map_or(0, |entry| entry.index).max(snapshot_index),
            snapshot_index,
            hard_state: contents.hard_state.clone(),
            hard_state_deferred: false,
        };
        // A crash between a snapshot from the leader and the record that names it leaves entries that the snapshot
        // contradicts: they were dropped above, and the new segment says so for good.
        let reset = contents.entries.is_empty().then_some(snapshot_index).filter(|index| *index > 0);
        log.start_segment(reset)?;
        Ok((log, contents))
    }

    fn try_append(&mut self, write: Persist) -> Result<(), LogError> {
        let mut record = Record { entries: write.entries, ..Record::default() };
        let mut last_index = self.last_index;
        if let Some(snapshot) = &write.snapshot {
            self.write_snapshot(snapshot)?;
            record.reset = Some(snapshot.index);
            last_index = snapshot.index;
        }
        for (place, entry) in record.entries.iter().enumerate() {
            let follows = if place == 0 { entry.index <= last_index + 1 } else { entry.index == last_index + 1 };
            if !follows {
                return Err(LogError::Order { expected: last_index + 1, found: entry.index });
            }
            last_index = entry.index;
        }
        if let Some(hard_state) = write.hard_state {
            self.hard_state = Some(hard_state);
            self.hard_state_deferred = true;
        }
        if !write.must_sync && record.entries.is_empty() && record.reset.is_none() {
            return Ok(());
        }
        if self.hard_state_deferred {
            record.hard_state.clone_from(&self.hard_state);
        }
        self.current.as_mut().ok_or(LogError::Closed)?.append(&record)?;
        self.hard_state_deferred = false;
        self.last_index = last_index;
        self.current_highest = self.current_highest.max(last_index);
        if let Some(snapshot) = &write.snapshot {
            self.forget_snapshots_before(snapshot.index)?;
        }
        if self.current.as_ref().is_some_and(|segment| segment.len() >= SEGMENT_BYTES) {
            self.start_segment(None)?;
        }
        Ok(())
    }

    fn write_snapshot(&mut self, snapshot: &SnapshotRecord) -> Result<(), LogError> {
        if snapshot.index < self.snapshot_index {
            return Err(LogError::Order { expected: self.snapshot_index, found: snapshot.index });
        }
        snapshot::write(&snapshot_path(&self.directory, snapshot.index), &self.key, snapshot)?;
        sync_directory(&self.directory)?;
        self.snapshot_index = snapshot.index;
        Ok(())
    }

    fn forget_snapshots_before(&self, index: u64) -> Result<(), LogError> {
        for old in list(&self.directory)?.snapshots.into_iter().filter(|old| *old < index) {
            let path = snapshot_path(&self.directory, old);
            fs::remove_file(&path).map_err(LogError::io("remove", &path))?;
        }
        Ok(())
    }

    fn start_segment(&mut self, reset: Option<u64>) -> Result<(), LogError> {
        if let Some(current) = self.current.take() {
            current.finish()?;
            let path = segment_path(&self.directory, self.current_sequence);
            self.finished.push_back(FinishedSegment { path, highest: self.current_highest });
        }
        self.current_sequence += 1;
        let first = Record { reset, hard_state: self.hard_state.clone(), entries: Vec::new() };
        let path = segment_path(&self.directory, self.current_sequence);
        self.current = Some(SegmentWriter::create(&path, &self.key, &first)?);
        self.hard_state_deferred = false;
        self.current_highest = 0;
        sync_directory(&self.directory)
    }

    fn forget_segments(&mut self, through: u64) -> Result<(), LogError> {
        if through > self.snapshot_index {
            return Err(LogError::Order { expected: self.snapshot_index, found: through });
        }
        while let Some(segment) = self.finished.pop_front_if(|segment| segment.highest <= through) {
            fs::remove_file(&segment.path).map_err(LogError::io("remove", &segment.path))?;
        }
        Ok(())
    }

    /// Performs `work`, and closes the log when it fails.
    fn or_close(&mut self, work: impl FnOnce(&mut Self) -> Result<(), LogError>) -> Result<(), LogError> {
        if self.current.is_none() {
            return Err(LogError::Closed);
        }
        let result = work(self);
        if result.is_err() {
            self.current = None;
        }
        result
    }
}

impl LogStore for FileLog {
    fn append(&mut self, write: Persist) -> Result<(), LogError> {
        self.or_close(|log| log.try_append(write))
    }

    fn save_snapshot(&mut self, snapshot: &SnapshotRecord) -> Result<(), LogError> {
        self.or_close(|log| {
            log.write_snapshot(snapshot)?;
            log.forget_snapshots_before(snapshot.index)
        })
    }

    fn compact(&mut self, through: u64) -> Result<(), LogError> {
        self.or_close(|log| log.forget_segments(through))
    }
}

/// Builds the log from its records in order.
#[derive(Default)]
struct Replay {
    entries: Vec<LogEntry>,
    hard_state: Option<Bytes>,
    /// The highest index that a record of the log named as its snapshot's.
    reset: u64,
}

impl Replay {
    /// Takes a segment's records and returns the highest index among them. Refuses entries that leave a gap.
    fn take(&mut self, records: Vec<Record>) -> Result<u64, ()> {
        let mut highest = 0;
        for record in records {
            if let Some(index) = record.reset {
                self.entries.clear();
                self.reset = self.reset.max(index);
                highest = highest.max(index);
            }
            if record.hard_state.is_some() {
                self.hard_state = record.hard_state;
            }
            for entry in record.entries {
                highest = highest.max(entry.index);
                self.put(entry)?;
            }
        }
        Ok(highest)
    }

    fn put(&mut self, entry: LogEntry) -> Result<(), ()> {
        if let Some(first) = self.entries.first().map(|entry| entry.index) {
            let keep = entry.index.checked_sub(first).and_then(|keep| usize::try_from(keep).ok()).unwrap_or(0);
            if keep > self.entries.len() {
                return Err(());
            }
            self.entries.truncate(keep);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Joins the entries to the snapshot, and drops them if they do not fit it.
    fn into_contents(mut self, snapshot: Option<SnapshotRecord>, directory: &Path) -> Result<Restored, LogError> {
        let covered = snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        let first = self.entries.first().map_or(covered + 1, |entry| entry.index);
        if self.reset > covered || first > covered + 1 {
            // Entries, or a snapshot, are missing between the newest snapshot and the log.
            return Err(LogError::Corrupt { path: snapshot_path(directory, self.reset.max(first - 1)), offset: 0 });
        }
        if let Some(snapshot) = &snapshot
            && first <= snapshot.index
        {
            let at_snapshot = self.entries.get((snapshot.index - first) as usize);
            if at_snapshot.is_none_or(|entry| entry.term != snapshot.term) {
                self.entries.clear();
            }
        }
        Ok(Restored { snapshot, hard_state: self.hard_state, entries: self.entries })
    }
}

/// What a directory holds, in order.
struct Names {
    segments: Vec<u64>,
    snapshots: Vec<u64>,
}

/// Lists the directory, and removes what a crash left half-built.
fn list(directory: &Path) -> Result<Names, LogError> {
    let failed = |source| LogError::io("list", directory)(source);
    let mut names = Names { segments: Vec::new(), snapshots: Vec::new() };
    for item in fs::read_dir(directory).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let number = |prefix| name.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if name.ends_with(".tmp") {
            fs::remove_file(&path).map_err(LogError::io("remove", &path))?;
        } else if let Some(sequence) = number("log-") {
            names.segments.push(sequence);
        } else if let Some(index) = number("snapshot-") {
            names.snapshots.push(index);
        }
    }
    names.segments.sort_unstable();
    names.snapshots.sort_unstable();
    Ok(names)
}

fn segment_path(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("log-{sequence:016x}"))
}

fn snapshot_path(directory: &Path, index: u64) -> PathBuf {
    directory.join(format!("snapshot-{index:016x}"))
}

fn sync_directory(directory: &Path) -> Result<(), LogError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(LogError::io("sync", directory))
}

fn lock(directory: &Path) -> Result<File, LogError> {
    let path = directory.join("lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(LogError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LogError::Locked { path }),
        Err(fs::TryLockError::Error(source)) => Err(LogError::io("lock", &path)(source)),
    }
}

#[cfg(test)]
mod tests;
