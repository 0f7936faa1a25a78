//! The small file that says which member of which swarm's consensus a data directory belongs to.
//!
//! It is written before the member takes part, so that a number is never used by two logs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shoal_proto::model::{ClusterId, NodeId};

const NAME: &str = "member.json";

/// A place in the consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberFile {
    pub(crate) raft_id: u64,
    pub(crate) node: NodeId,
    pub(crate) cluster: ClusterId,
}

/// The file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MemberFileError {
    /// The disk refused.
    #[error("{action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not what was written.
    #[error("read {path}: it is damaged; restore it, or remove this manager from the swarm and join it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

impl MemberFile {
    /// `None`: the directory belongs to no member yet.
    pub(crate) fn load(directory: &Path) -> Result<Option<Self>, MemberFileError> {
        let path = directory.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(MemberFileError::Io { action: "read", path, source }),
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| MemberFileError::Damaged { path, source })
    }

    /// Written beside, synced, renamed.
    pub(crate) fn save(&self, directory: &Path) -> Result<(), MemberFileError> {
        let path = directory.join(NAME);
        let building = directory.join("member.json.tmp");
        let failed = |action| {
            let path = path.clone();
            move |source| MemberFileError::Io { action, path, source }
        };
        let text = serde_json::to_vec(self).map_err(io::Error::other).map_err(failed("write"))?;
        fs::create_dir_all(directory).map_err(failed("make the directory of"))?;
        let mut file = File::create(&building).map_err(failed("create"))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed("write"))?;
        fs::rename(&building, &path).map_err(failed("rename"))?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("sync the directory of"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::Id;

    #[test]
    fn reads_what_it_writes() {
        let directory = tempfile::TempDir::new().unwrap();
        assert_eq!(MemberFile::load(directory.path()).unwrap(), None);
        let file = MemberFile { raft_id: u64::MAX, node: NodeId::from_random(1), cluster: ClusterId::from_random(2) };
        file.save(directory.path()).unwrap();
        assert_eq!(MemberFile::load(directory.path()).unwrap(), Some(file));
        fs::write(directory.path().join(NAME), b"{\"raft_id\":").unwrap();
        assert!(matches!(MemberFile::load(directory.path()), Err(MemberFileError::Damaged { .. })));
    }
}
