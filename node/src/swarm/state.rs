//! What a node remembers of its swarm between runs: `<data-root>/swarm/state.json`, replaced whole.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a node remembers of its swarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmState {
    /// Where its manager listens.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub advertise: SocketAddr,
    /// Where others send it overlay traffic.
    pub data_path: IpAddr,
    /// host:port of the managers, as last heard.
    pub managers: Vec<String>,
}

/// The state can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("failed to {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is none of ours.
    #[error("failed to parse {path}: it is not what shoald wrote; restore it, or leave the swarm with --force")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

/// The file itself.
#[derive(Debug, Clone)]
pub struct StateFile {
    directory: PathBuf,
}

impl StateFile {
    /// In the daemon's swarm directory.
    #[must_use]
    pub fn new(swarm_directory: &Path) -> Self {
        Self { directory: swarm_directory.to_owned() }
    }

    /// What was remembered; `None` when this node is in no swarm.
    ///
    /// # Errors
    /// [`StateError`] when a file is there and can't be used.
    pub fn load(&self) -> Result<Option<SwarmState>, StateError> {
        let path = self.path();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| StateError::Parse { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Io { action: "read", path, source }),
        }
    }

    /// Replaces what was remembered.
    ///
    /// # Errors
    /// [`StateError::Io`]; what was there before still is.
    pub fn store(&self, state: &SwarmState) -> Result<(), StateError> {
        let path = self.path();
        let fresh = path.with_extension("new");
        let attempt = || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(&serde_json::to_vec_pretty(state)?)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            fs::File::open(&self.directory)?.sync_all()
        };
        attempt().map_err(|source| StateError::Io { action: "write", path: path.clone(), source })
    }

    /// Forgets the swarm: everything in its directory, the state file first.
    ///
    /// # Errors
    /// [`StateError::Io`]; the state file is gone before anything else, so that a next start is in no swarm.
    pub fn forget(&self) -> Result<(), StateError> {
        let path = self.path();
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StateError::Io { action: "remove", path, source }),
        }
        match fs::remove_dir_all(&self.directory) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(StateError::Io { action: "remove", path: self.directory.clone(), source }),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join("state.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_and_forgets() {
        let root = tempfile::tempdir().unwrap();
        let file = StateFile::new(&root.path().join("swarm"));
        assert_eq!(file.load().unwrap(), None);
        let state = SwarmState {
            listen: "0.0.0.0:2377".parse().unwrap(),
            advertise: "10.0.0.1:2377".parse().unwrap(),
            data_path: "10.0.0.1".parse().unwrap(),
            managers: vec!["10.0.0.1:2377".to_owned()],
        };
        file.store(&state).unwrap();
        assert_eq!(file.load().unwrap(), Some(state));
        file.forget().unwrap();
        file.forget().unwrap();
        assert_eq!(file.load().unwrap(), None);
    }
}
