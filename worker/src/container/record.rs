//! What is remembered of a container: what it is, and how it ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shoal_proto::model::{Labels, PortConfig, Resources, TaskExit, TaskId, Timestamp};
use shoal_worker_core::ContainerExit;

use super::ContainerError;
use crate::image::ContainerConfig;

/// What a container is. Written once, before it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The task's name.
    pub name: String,
    /// Whose it is.
    pub task: TaskId,
    /// The image's reference as in the spec.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What runs: the command and its arguments, resolved.
    pub command: Vec<String>,
    /// Host name inside.
    pub hostname: String,
    /// The image's configuration with the spec's merged in: environment, entrypoint, command, labels, user, ...
    pub config: ContainerConfig,
    /// The container has a terminal.
    pub tty: bool,
    /// Standard input is kept open.
    pub open_stdin: bool,
    /// A small init is process 1.
    pub init: bool,
    /// The root filesystem is read-only.
    pub read_only: bool,
    /// Limits and reservations.
    pub resources: Resources,
    /// Capabilities added and dropped.
    pub capabilities: (Vec<String>, Vec<String>),
    /// File systems inside.
    pub mounts: Vec<MountPoint>,
    /// Its network.
    pub network: NetworkSettings,
    /// Its output.
    pub log: LogSettings,
    /// The time that it is given to stop, in seconds.
    pub stop_timeout_s: u64,
}

/// A file system inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// bind, volume or tmpfs.
    pub kind: String,
    /// A volume's name.
    pub name: Option<String>,
    /// On the host; empty for tmpfs.
    pub source: PathBuf,
    /// Inside.
    pub target: String,
    /// Whether it may be written.
    pub writable: bool,
    /// Mount propagation, of a bind.
    pub propagation: String,
}

/// A container's network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSettings {
    /// `host`, `none`, or `default` for networks of its own.
    pub mode: String,
    /// Its addresses, in the order of its interfaces.
    pub addresses: Vec<IpAddr>,
    /// Ports in host mode, with all numbers chosen.
    pub ports: Vec<PortConfig>,
    /// Its namespace on the host.
    pub namespace: Option<PathBuf>,
}

/// Where a container's output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    /// json-file or none.
    pub driver: String,
    /// Options as given.
    pub options: Labels,
    /// The current file of json-file.
    pub path: Option<PathBuf>,
    /// Written with every line.
    pub attributes: BTreeMap<String, String>,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// The exit status, or 128 + signal; 255 when nobody saw it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel ended it for want of memory.
    pub oom_killed: bool,
    /// When it started; zero when it never did.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Why it could not be started; empty when it could.
    pub error: String,
}

/// How far a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerLife {
    /// Made, not started.
    Created {
        /// The process that waits to execute its command, in the host's numbering.
        pid: i32,
    },
    /// It runs.
    Running {
        /// Its first process, in the host's numbering.
        pid: i32,
        /// Since when.
        started_at: Timestamp,
    },
    /// It ended.
    Exited(ContainerEnd),
    /// It vanished with a restart of the host.
    Lost,
    /// It is gone; its record too.
    Removed,
}

/// A container as the API shows it.
#[derive(Debug, Clone)]
pub struct ContainerView {
    /// What it is.
    pub record: Arc<ContainerRecord>,
    /// How far it is.
    pub life: ContainerLife,
}

impl ContainerLife {
    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// Whether nothing more will come from it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Exited(_) | Self::Lost | Self::Removed)
    }
}

impl ContainerEnd {
    /// As the core takes it.
    pub(super) fn exit(&self) -> ContainerExit {
        ContainerExit {
            exit: TaskExit { code: self.code, oom_killed: self.oom_killed },
            signal: self.signal,
            started_at: self.started_at,
            finished_at: self.finished_at,
        }
    }
}

/// The files of one container.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    /// The folder of a container below the data-root.
    pub(super) fn of(data_root: &Path, id: &str) -> Self {
        Self { path: Self::all(data_root).join(id) }
    }

    /// Where all folders are.
    pub(super) fn all(data_root: &Path) -> PathBuf {
        data_root.join("container")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn load_record(&self) -> Result<Option<ContainerRecord>, ContainerError> {
        self.load(RECORD)
    }

    pub(super) fn load_end(&self) -> Result<Option<ContainerEnd>, ContainerError> {
        self.load(END)
    }

    /// Not synced: after a crash of the host the container is gone anyway, and its folder is a leftover.
    pub(super) fn save_record(&self, record: &ContainerRecord) -> Result<(), ContainerError> {
        self.save(RECORD, record)
    }

    /// Not synced: how a task ended is the core's to remember.
    pub(super) fn save_end(&self, end: &ContainerEnd) -> Result<(), ContainerError> {
        self.save(END, end)
    }

    fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ContainerError> {
        let path = self.file(name);
        match fs::read(&path) {
            // One that is torn is as good as none.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ContainerError::file("read", path, error)),
        }
    }

    fn save<T: Serialize>(&self, name: &str, value: &T) -> Result<(), ContainerError> {
        let path = self.file(name);
        let temporary = self.file(&format!("{name}.new"));
        let write = || -> io::Result<()> {
            let bytes = serde_json::to_vec(value)?;
            File::create(&temporary)?.write_all(&bytes)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| ContainerError::file("write", path.clone(), error))
    }
}

const RECORD: &str = "record.json";
const END: &str = "end.json";
