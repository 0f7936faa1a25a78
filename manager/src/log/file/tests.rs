//! The log survives crashes at any byte, tells damage from a torn write, and reads as a plain list would.

use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn key() -> DataKey {
    DataKey([7; 32])
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, bytes: Bytes::from(format!("entry {index} of term {term}")) }
}

fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Persist {
    Persist { entries: indexes.map(|index| entry(index, term)).collect(), ..Persist::default() }
}

fn snapshot(index: u64, term: u64) -> SnapshotRecord {
    SnapshotRecord { index, term, bytes: Bytes::from(format!("state at {index}")) }
}

fn hard_state(text: &'static str, must_sync: bool) -> Persist {
    Persist { hard_state: Some(Bytes::from(text)), must_sync, ..Persist::default() }
}

/// A program that another test starts has this process's locks from its fork to its exec: that long it is tried again.
fn open(directory: &Path) -> (FileLog, Restored) {
    let start = std::time::Instant::now();
    loop {
        match FileLog::open(directory, key()) {
            Err(LogError::Locked { .. }) if start.elapsed().as_secs() < 10 => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn indexes(contents: &Restored) -> Vec<(u64, u64)> {
    contents.entries.iter().map(|entry| (entry.index, entry.term)).collect()
}

fn last_segment(directory: &Path) -> PathBuf {
    segment_path(directory, *list(directory).unwrap().segments.last().unwrap())
}

fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

#[test]
fn reads_what_it_wrote() {
    let directory = TempDir::new().unwrap();
    let (mut log, contents) = open(directory.path());
    assert_eq!(contents, Restored::default());
    log.append(Persist { hard_state: Some(Bytes::from_static(b"one")), ..entries(1..=3, 1) }).unwrap();
    log.append(entries(4..=5, 1)).unwrap();
    log.append(entries(5..=6, 2)).unwrap();
    drop(log);
    let (mut log, contents) = open(directory.path());
    assert_eq!(contents.hard_state, Some(Bytes::from_static(b"one")));
    assert_eq!(indexes(&contents), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2)]);
    assert_eq!(contents.entries[4], entry(5, 2));
    log.append(entries(7..=7, 2)).unwrap();
    drop(log);
    assert_eq!(indexes(&open(directory.path()).1).len(), 7);
}

#[test]
fn defers_what_need_not_last_until_the_next_write() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(hard_state("first", true)).unwrap();
    log.append(hard_state("second", false)).unwrap();
    let crashed = copy(directory.path());
    assert_eq!(open(crashed.path()).1.hard_state, Some(Bytes::from_static(b"first")));
    log.append(entries(1..=1, 1)).unwrap();
    drop(log);
    assert_eq!(open(directory.path()).1.hard_state, Some(Bytes::from_static(b"second")));
}

#[test]
fn refuses_gaps() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(entries(1..=2, 1)).unwrap();
    assert!(matches!(log.append(entries(4..=4, 1)), Err(LogError::Order { expected: 3, found: 4 })));
    assert!(matches!(log.append(entries(3..=3, 1)), Err(LogError::Closed)));
}

#[test]
fn is_locked_while_open() {
    let directory = TempDir::new().unwrap();
    let _log = open(directory.path());
    assert!(matches!(FileLog::open(directory.path(), key()), Err(LogError::Locked { .. })));
}

#[test]
fn tells_another_key_from_damage() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(entries(1..=2, 1)).unwrap();
    drop(log);
    assert!(matches!(FileLog::open(directory.path(), DataKey([8; 32])), Err(LogError::Key { .. })));
    assert_eq!(indexes(&open(directory.path()).1).len(), 2);
}

#[test]
fn shows_nothing_in_the_clear() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(entries(1..=2, 1)).unwrap();
    log.save_snapshot(&snapshot(2, 1)).unwrap();
    for item in fs::read_dir(directory.path()).unwrap() {
        let bytes = fs::read(item.unwrap().path()).unwrap();
        for text in [b"entry 1".as_slice(), b"state at"] {
            assert!(!bytes.windows(text.len()).any(|window| window == text));
        }
    }
}

/// A crash may leave any prefix of the write that was under way; opening keeps every write before it.
#[test]
fn opens_with_a_prefix_after_a_cut_at_any_byte() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(entries(1..=2, 1)).unwrap();
    let before = log.current.as_ref().unwrap().len();
    log.append(Persist { hard_state: Some(Bytes::from_static(b"h")), ..entries(3..=4, 1) }).unwrap();
    let after = log.current.as_ref().unwrap().len();
    let name = last_segment(directory.path());
    for end in before..=after {
        for room in [0, 100] {
            let crashed = copy(directory.path());
            let file = File::options().write(true).open(crashed.path().join(name.file_name().unwrap())).unwrap();
            file.set_len(end).unwrap();
            file.set_len(end + room).unwrap();
            let (mut log, contents) = open(crashed.path());
            assert_eq!(contents.entries.len(), if end == after { 4 } else { 2 }, "cut at byte {end}");
            let next = contents.entries.len() as u64 + 1;
            log.append(entries(next..=next + 1, 2)).unwrap();
            drop(log);
            assert_eq!(open(crashed.path()).1.entries.len() as u64, next + 1, "cut at byte {end}");
        }
    }
}

#[test]
fn refuses_damage_with_sound_records_behind_it() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(entries(1..=2, 1)).unwrap();
    let damaged = log.current.as_ref().unwrap().len() - 3;
    log.append(entries(3..=4, 1)).unwrap();
    drop(log);
    let path = last_segment(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(damaged).unwrap()] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(FileLog::open(directory.path(), key()), Err(LogError::Corrupt { .. })));
}

#[test]
fn begins_anew_after_a_snapshot_from_the_leader() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(entries(1..=9, 1)).unwrap();
    log.append(Persist { snapshot: Some(snapshot(5, 2)), ..Persist::default() }).unwrap();
    log.append(entries(6..=7, 2)).unwrap();
    drop(log);
    let (_, contents) = open(directory.path());
    assert_eq!(contents.snapshot, Some(snapshot(5, 2)));
    assert_eq!(indexes(&contents), [(6, 2), (7, 2)]);
}

/// The snapshot's file is there, the record that names it is not.
#[test]
fn drops_entries_that_a_snapshot_contradicts() {
    for (snapshot_index, kept) in [(4, 0), (20, 0)] {
        let directory = TempDir::new().unwrap();
        let (mut log, _) = open(directory.path());
        log.append(entries(1..=9, 1)).unwrap();
        log.write_snapshot(&snapshot(snapshot_index, 2)).unwrap();
        drop(log);
        let (mut log, contents) = open(directory.path());
        assert_eq!(contents.entries.len(), kept);
        log.append(entries(snapshot_index + 1..=snapshot_index + 1, 2)).unwrap();
        drop(log);
        assert_eq!(indexes(&open(directory.path()).1), [(snapshot_index + 1, 2)]);
    }
}

#[test]
fn forgets_whole_segments_that_a_snapshot_covers() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    let large = Bytes::from(vec![1; 3 << 20]);
    for index in 1..=9 {
        let entries = vec![LogEntry { index, term: 1, bytes: large.clone() }];
        log.append(Persist { entries, hard_state: Some(Bytes::from_static(b"h")), ..Persist::default() }).unwrap();
    }
    assert_eq!(list(directory.path()).unwrap().segments.len(), 4);
    assert!(matches!(log.forget_segments(7), Err(LogError::Order { expected: 0, found: 7 })));
    log.save_snapshot(&snapshot(8, 1)).unwrap();
    log.compact(7).unwrap();
    assert_eq!(list(directory.path()).unwrap().segments.len(), 2);
    log.save_snapshot(&snapshot(9, 1)).unwrap();
    assert_eq!(list(directory.path()).unwrap().snapshots, [9]);
    drop(log);
    let (_, contents) = open(directory.path());
    assert_eq!(indexes(&contents), [(7, 1), (8, 1), (9, 1)]);
    assert_eq!(contents.hard_state, Some(Bytes::from_static(b"h")));
}

#[test]
fn refuses_a_log_with_a_missing_part() {
    let directory = TempDir::new().unwrap();
    let (mut log, _) = open(directory.path());
    log.append(Persist { snapshot: Some(snapshot(5, 2)), ..entries(6..=6, 2) }).unwrap();
    drop(log);
    fs::remove_file(snapshot_path(directory.path(), 5)).unwrap();
    assert!(matches!(FileLog::open(directory.path(), key()), Err(LogError::Corrupt { .. })));
}

/// A file system of its own, gone with the value.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let directory = TempDir::new().unwrap();
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(directory.path()).status();
        assert!(status.unwrap().success());
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn says_that_the_disk_is_full_and_loses_nothing() {
    let disk = SmallDisk::mount();
    let (mut log, _) = open(disk.0.path());
    let mut written = 0;
    let error = loop {
        let entries = vec![LogEntry { index: written + 1, term: 1, bytes: Bytes::from(vec![1; 50_000]) }];
        match log.append(Persist { entries, ..Persist::default() }) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Full { .. }), "{error}");
    assert!(written > 5);
    assert!(matches!(log.append(entries(1..=1, 1)), Err(LogError::Closed)));
    drop(log);
    // Opening needs no more room than what it cuts off gives back.
    let (_, contents) = open(disk.0.path());
    assert_eq!(contents.entries.len() as u64, written);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever is appended, truncated, snapshotted and reopened: the log reads as a plain list would.
    #[test]
    fn reads_as_a_list_would(steps in proptest::collection::vec((0..4u8, 1..6u64, 0..4u64), 1..30)) {
        let directory = TempDir::new().unwrap();
        let (mut log, _) = open(directory.path());
        let mut list: Vec<(u64, u64)> = Vec::new();
        let mut covered = 0;
        for (term, (kind, count, back)) in steps.into_iter().enumerate() {
            let term = term as u64 + 1;
            let last = list.last().map_or(covered, |(index, _)| *index);
            match kind {
                0 | 1 => {
                    let first = (last + 1).saturating_sub(back).max(covered + 1);
                    list.retain(|(index, _)| *index < first);
                    list.extend((first..first + count).map(|index| (index, term)));
                    log.append(entries(first..=first + count - 1, term)).unwrap();
                }
                2 => {
                    covered = last + count;
                    list.clear();
                    log.append(Persist { snapshot: Some(snapshot(covered, term)), ..Persist::default() }).unwrap();
                }
                _ => {
                    drop(log);
                    let contents;
                    (log, contents) = open(directory.path());
                    prop_assert_eq!(indexes(&contents), list.clone());
                }
            }
        }
    }
}
