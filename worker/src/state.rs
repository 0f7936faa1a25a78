//! What the worker's core persists: two files below `<data-root>/worker`, each replaced whole.
//!
//! A file that can't be read is put aside with a warning, never trusted: containers then wait for the first assignments.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use shoal_proto::codec;
use shoal_proto::model::{AssignmentSet, TaskId, TaskStatus};
use shoal_worker_core::Saved;

use crate::WorkerError;

/// The files.
#[derive(Debug, Clone)]
pub(crate) struct StateFiles {
    directory: PathBuf,
}

impl StateFiles {
    /// Below the data-root; the folder is made.
    pub(crate) fn open(data_root: &Path) -> Result<Self, WorkerError> {
        let directory = data_root.join("worker");
        fs::create_dir_all(&directory).map_err(|source| failed("create", &directory, source))?;
        Ok(Self { directory })
    }

    /// What was saved last.
    pub(crate) fn load(&self) -> Result<Saved, WorkerError> {
        Ok(Saved { assignments: self.read(ASSIGNMENTS)?, ended: self.read(ENDED)?.unwrap_or_default() })
    }

    /// Replaces the assignments.
    pub(crate) fn save_assignments(&self, set: &AssignmentSet) -> Result<(), WorkerError> {
        self.replace(ASSIGNMENTS, &codec::encode(set).map_err(WorkerError::Encode)?)
    }

    /// Replaces how tasks ended.
    pub(crate) fn save_ended(&self, ended: &BTreeMap<TaskId, TaskStatus>) -> Result<(), WorkerError> {
        self.replace(ENDED, &codec::encode(ended).map_err(WorkerError::Encode)?)
    }

    /// Forgets all: the swarm was left.
    pub(crate) fn forget(&self) -> Result<(), WorkerError> {
        for name in [ASSIGNMENTS, ENDED, TUNNEL_KEYS] {
            let path = self.directory.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &path, source)),
                _ => {}
            }
        }
        self.sync_directory()
    }

    /// Where this node's private keys of the tunnel are kept.
    pub(crate) fn tunnel_keys(&self) -> PathBuf {
        self.directory.join(TUNNEL_KEYS)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, WorkerError> {
        let path = self.directory.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path, source)),
        };
        match codec::decode(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let aside = path.with_extension("damaged");
                tracing::warn!(error = &error as &dyn std::error::Error, path = %aside.display(), "a damaged file was put aside");
                fs::rename(&path, &aside).map_err(|source| failed("put aside", &path, source))?;
                Ok(None)
            }
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), WorkerError> {
        let path = self.directory.join(name);
        let temporary = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|source| failed("write", &path, source))?;
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<(), WorkerError> {
        let sync = || File::open(&self.directory)?.sync_all();
        sync().map_err(|source| failed("sync", &self.directory, source))
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> WorkerError {
    WorkerError::File { action, path: path.to_owned(), source }
}

const ASSIGNMENTS: &str = "assignments";
const ENDED: &str = "ended";
const TUNNEL_KEYS: &str = "tunnel.keys";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_what_is_damaged_is_put_aside() {
        let root = tempfile::tempdir().unwrap();
        let files = StateFiles::open(root.path()).unwrap();
        assert_eq!(files.load().unwrap(), Saved::default());
        files.save_assignments(&AssignmentSet::default()).unwrap();
        assert_eq!(files.load().unwrap().assignments, Some(AssignmentSet::default()));
        fs::write(root.path().join("worker/assignments"), b"\xc1torn").unwrap();
        assert_eq!(files.load().unwrap(), Saved::default());
        assert!(root.path().join("worker/assignments.damaged").exists());
        files.save_ended(&BTreeMap::new()).unwrap();
        files.forget().unwrap();
        assert_eq!(fs::read_dir(root.path().join("worker")).unwrap().count(), 1);
    }
}
