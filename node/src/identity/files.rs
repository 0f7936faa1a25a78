//! The node's credentials on disk, laid as Docker lays them: `swarm-node.crt`, `swarm-node.key`, `swarm-root-ca.crt`
//! under `<data-root>/swarm/certificates/`.
//!
//! A renewal writes key and certificate. A crash between the two must not leave a pair that does not match, so the new
//! key lies in the certificate's own temporary directory until all three are there, and the directory is swapped whole.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use shoal_manager::ca::CaError;
use shoal_proto::model::Sensitive;

use super::Credentials;

const CERTIFICATE: &str = "swarm-node.crt";
const KEY: &str = "swarm-node.key";
const ROOT: &str = "swarm-root-ca.crt";

/// Where the credentials lie.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    directory: PathBuf,
}

/// The credentials can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
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
    /// What is there is none of a swarm's.
    #[error(transparent)]
    Certificate(#[from] CaError),
}

impl CertificateFiles {
    /// Below the daemon's swarm directory.
    #[must_use]
    pub fn new(swarm_directory: &Path) -> Self {
        Self { directory: swarm_directory.join("certificates") }
    }

    /// What is on disk; `None` when this node has none.
    ///
    /// # Errors
    /// [`FilesError`] when a file is there and can't be read, or is none of a swarm's.
    pub fn load(&self) -> Result<Option<Credentials>, FilesError> {
        self.finish_swap()?;
        let Some(certificate) = read(&self.directory.join(CERTIFICATE))? else { return Ok(None) };
        let key = read(&self.directory.join(KEY))?;
        let root = read(&self.directory.join(ROOT))?;
        match (key, root) {
            (Some(key), Some(root)) => Ok(Some(Credentials::new(certificate, Sensitive(key), root)?)),
            _ => Ok(None),
        }
    }

    /// Replaces what is on disk, as one.
    ///
    /// # Errors
    /// [`FilesError::Io`]; what was there before still is.
    pub fn store(&self, credentials: &Credentials) -> Result<(), FilesError> {
        let fresh = self.beside("new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(|source| failed("remove", &fresh, source))?;
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&fresh)
            .map_err(|source| failed("create", &fresh, source))?;
        write(&fresh.join(KEY), &credentials.key_pem.0, 0o600)?;
        write(&fresh.join(ROOT), &credentials.root_pem, 0o644)?;
        write(&fresh.join(CERTIFICATE), &credentials.certificate_pem, 0o644)?;
        sync_directory(&fresh)?;
        let old = self.beside("old");
        if self.directory.exists() {
            fs::rename(&self.directory, &old).map_err(|source| failed("rename", &self.directory, source))?;
        }
        fs::rename(&fresh, &self.directory).map_err(|source| failed("rename", &fresh, source))?;
        if let Some(parent) = self.directory.parent() {
            sync_directory(parent)?;
        }
        if old.exists() {
            fs::remove_dir_all(&old).map_err(|source| failed("remove", &old, source))?;
        }
        Ok(())
    }

    /// A crash between the two renames of `store` left `.old` in place of the directory; the complete `.new` goes on.
    fn finish_swap(&self) -> Result<(), FilesError> {
        let (fresh, old) = (self.beside("new"), self.beside("old"));
        if !self.directory.exists() && old.exists() {
            let from = if fresh.join(CERTIFICATE).exists() { &fresh } else { &old };
            fs::rename(from, &self.directory).map_err(|source| failed("rename", from, source))?;
        }
        for left in [fresh, old] {
            if left.exists() {
                fs::remove_dir_all(&left).map_err(|source| failed("remove", &left, source))?;
            }
        }
        Ok(())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.directory.with_extension(suffix)
    }
}

fn read(path: &Path) -> Result<Option<String>, FilesError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path, source)),
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), FilesError> {
    let attempt = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    attempt().map_err(|source| failed("write", path, source))
}

fn sync_directory(path: &Path) -> Result<(), FilesError> {
    fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(|source| failed("sync", path, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> FilesError {
    FilesError::Io { action, path: path.to_owned(), source }
}
