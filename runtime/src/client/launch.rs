//! Starting a keeper. The program detaches itself; what is started here ends as soon as the keeper serves.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::client::KeeperError;

/// Which keeper, and how to start it when it does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperOptions {
    /// The program `shoal-runtime`.
    pub binary: PathBuf,
    /// Its unix socket. One socket, one keeper: a second one on the same state directory refuses to start.
    pub socket: PathBuf,
    /// Where it keeps what must outlive it, on a file system that ends with the host's uptime (`/run`).
    pub state_directory: PathBuf,
    /// Absolute cgroup path for containers that name none.
    pub cgroup_parent: String,
}

impl KeeperOptions {
    /// A keeper with its socket and its state in one directory, and `/shoal` as cgroup parent.
    pub fn in_directory(binary: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            binary: binary.into(),
            socket: directory.join("keeper.sock"),
            state_directory: directory,
            cgroup_parent: "/shoal".to_owned(),
        }
    }

    /// Starts the keeper and waits until it serves.
    pub(super) fn launch(&self) -> Result<(), KeeperError> {
        let output = Command::new(&self.binary)
            .arg("keep")
            .arg("--socket")
            .arg(&self.socket)
            .arg("--state-dir")
            .arg(&self.state_directory)
            .arg("--cgroup-parent")
            .arg(&self.cgroup_parent)
            .arg("--detach")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|source| KeeperError::Launch { binary: self.binary.clone(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(KeeperError::Launched { binary: self.binary.clone(), message })
    }
}
