//! The raft log on disk: entries, hard state and snapshots behind one small trait, [`LogStore`].
//!
//! A store owns one directory. It knows nothing of what entries mean: they are numbered, opaque bytes, encrypted at rest
//! under a [`crate::DataKey`]. What a call has written is durable when it returns; a write that failed leaves the store refusing all
//! further ones, because what the disk holds is then known only after opening it anew.

mod file;
mod record;
mod seal;
mod segment;
mod snapshot;

use std::io;
use std::path::{Path, PathBuf};

use shoal_manager_core::{Persist, SnapshotRecord};

pub use file::FileLog;

/// Keeps a manager's part of the consensus through crashes.
pub trait LogStore: Send + std::fmt::Debug {
    /// Writes, durably and as one: a snapshot that replaces the log, entries, the hard state. A hard state alone that need
    /// not be synced may wait for the next write that must.
    ///
    /// # Errors
    /// [`LogError`]; the store then refuses further writes.
    fn append(&mut self, write: Persist) -> Result<(), LogError>;

    /// Keeps a snapshot of this manager's own making; the log stays as it is. Older snapshots go.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    fn save_snapshot(&mut self, snapshot: &SnapshotRecord) -> Result<(), LogError>;

    /// Allows the store to forget entries up to and with `through`, which a snapshot must cover. It may keep some.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    fn compact(&mut self, through: u64) -> Result<(), LogError>;
}

/// The log could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("{action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The disk is full.
    #[error(
        "write {path}: no space is left: free some on that file system; nothing is lost, and the manager goes on when there is room"
    )]
    Full {
        /// The file that should have grown.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Bytes in the midst of the log are not what was written.
    #[error(
        "read {path}: it is damaged at byte {offset}; restore it from a copy, or remove this manager from the swarm and \
         join it again"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// The file is whole, but was written under another key, or is another's.
    #[error("decrypt {path}: it was not written with this manager's data key; restore the key that belongs to it")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the directory.
    #[error("lock {path}: another process uses this log; stop it first")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// An earlier write failed.
    #[error("write the log: an earlier write failed, the log must be opened anew")]
    Closed,
    /// The caller's entries leave a gap, or its snapshot does not cover what it wants forgotten.
    #[error("write entry {found} to the log: entry {expected} or an earlier one is expected")]
    Order {
        /// What may come at most.
        expected: u64,
        /// What came.
        found: u64,
    },
}

impl LogError {
    /// An error of the system, with the full disk told apart.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { action, path, source },
        }
    }
}
