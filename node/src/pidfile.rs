//! The file that holds the daemon's process id, and keeps a second daemon with the same file from starting.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Removes the file when dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
}

/// The file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum PidfileError {
    /// The process in it is alive and a shoald.
    #[error("failed to start daemon: process {pid} of {path} is still running: stop it, or name another --pidfile")]
    Running {
        /// The process.
        pid: i32,
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("failed to write the pidfile {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Pidfile {
    /// Writes the process id. A file left by a daemon that is gone is taken over.
    ///
    /// # Errors
    /// [`PidfileError`] when a daemon holds it, or it can't be written.
    pub fn create(path: &Path) -> Result<Self, PidfileError> {
        let own = std::process::id();
        if let Some(pid) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok())
            && u32::try_from(pid).is_ok_and(|pid| pid != own)
            && runs_shoald(pid)
        {
            return Err(PidfileError::Running { pid, path: path.to_owned() });
        }
        let attempt = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
            write!(file, "{own}")
        };
        attempt().map_err(|source| PidfileError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the pidfile stays");
        }
    }
}

/// A number may have gone to another program since, and a process that ended keeps its own until its parent asks.
fn runs_shoald(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    is_live_shoald(&stat)
}

/// Reads `PID (NAME) STATE ...`.
fn is_live_shoald(stat: &str) -> bool {
    let state = stat.split_once(" (shoald) ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_ended_unreaped_holds_nothing() {
        assert!(is_live_shoald("7 (shoald) S 1 7 7 0"));
        assert!(!is_live_shoald("7 (shoald) Z 1 7 7 0"));
        assert!(!is_live_shoald("7 (sshd) S 1 7 7 0"));
        assert!(!is_live_shoald(""));
    }

    #[test]
    fn a_stale_file_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/shoald.pid");
        drop(Pidfile::create(&path).unwrap());
        assert!(!path.exists());
        fs::write(&path, "1").unwrap();
        let pidfile = Pidfile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(pidfile);
    }
}
