//! What is remembered of a container: what it is, and how it ended.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_proto::model::{Cidr, Labels, PortConfig, Resources, TaskExit, TaskId, Timestamp};
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
#[serde(default)]
pub struct NetworkSettings {
    /// `host`, `none`, or `default` for networks of its own.
    pub mode: String,
    /// Its interfaces, in their order.
    pub interfaces: Vec<ContainerInterface>,
    /// Ports in host mode, with all numbers chosen.
    pub ports: Vec<PortConfig>,
    /// Its namespace on the host.
    pub namespace: Option<PathBuf>,
}

/// A container's interface on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerInterface {
    /// The network's identity; `bridge` for the host's own.
    pub network: String,
    /// The network's name when the interface was made.
    pub name: String,
    /// Its address there.
    pub address: Cidr,
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

/// Where containers keep their files.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    /// Survives a restart of the host.
    pub(super) data: PathBuf,
    /// Ends with the host's uptime, as containers do; in memory on most hosts.
    pub(super) exec: PathBuf,
}

/// The files of one container.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// Its record, its log, and the image store's folders.
    pub(super) path: PathBuf,
    /// Files that are mounted into it.
    pub(super) mounted: PathBuf,
}

impl Roots {
    pub(super) fn folder(&self, id: &str) -> Folder {
        let [path, mounted] = self.folders().map(|folders| folders.join(id));
        Folder { path, mounted }
    }

    /// Where all folders are, by root.
    pub(super) fn folders(&self) -> [PathBuf; 2] {
        [&self.data, &self.exec].map(|root| root.join("container"))
    }
}

impl Folder {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the file system with its secrets and configs is mounted on the host, when it has any.
    pub(super) fn payloads(&self) -> PathBuf {
        self.mounted.join("payloads")
    }

    /// What the container is, and how it ended if it did; `None` when there is no record that can be read.
    pub(super) fn load(&self) -> Result<Option<(ContainerRecord, Option<ContainerEnd>)>, ContainerError> {
        let path = self.file(RECORD);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ContainerError::file("read", path, error)),
        };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        // A line that is torn is as good as none.
        let record = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        let end = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        Ok(record.map(|record| (record, end)))
    }

    /// Not synced: after a crash of the host the container is gone anyway, and a torn record makes its folder a leftover.
    pub(super) fn save_record(&self, record: &ContainerRecord) -> Result<(), ContainerError> {
        self.append(record, true)
    }

    /// Adds how it ended to the record. Not synced: how a task ended is the core's to remember.
    pub(super) fn save_end(&self, end: &ContainerEnd) -> Result<(), ContainerError> {
        self.append(end, false)
    }

    /// One file and no rename: each new inode costs every start and every removal.
    fn append(&self, value: &impl Serialize, anew: bool) -> Result<(), ContainerError> {
        let path = self.file(RECORD);
        let write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(value)?;
            line.push(b'\n');
            let mut options = OpenOptions::new();
            if anew {
                options.write(true).create(true).truncate(true)
            } else {
                options.append(true)
            };
            options.open(&path)?.write_all(&line)
        };
        write().map_err(|error| ContainerError::file("write", path.clone(), error))
    }
}

const RECORD: &str = "record.json";

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::Id;

    #[test]
    fn a_record_is_whole_or_none() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder { path: root.path().to_owned(), mounted: root.path().to_owned() };
        assert_eq!(folder.load().unwrap(), None);
        let record = ContainerRecord {
            id: "c".into(),
            name: "web.1.c".into(),
            task: TaskId::from_random(1),
            image: "web:1".into(),
            image_id: "sha256:1".into(),
            created_at: Timestamp(1),
            command: vec!["/web".into()],
            hostname: "c".into(),
            config: ContainerConfig::default(),
            tty: false,
            open_stdin: false,
            init: false,
            read_only: false,
            resources: Resources::default(),
            capabilities: Default::default(),
            mounts: Vec::new(),
            network: NetworkSettings::default(),
            log: LogSettings::default(),
            stop_timeout_s: 10,
        };
        let end = ContainerEnd {
            code: 1,
            signal: None,
            oom_killed: false,
            started_at: Timestamp(1),
            finished_at: Timestamp(2),
            error: String::new(),
        };
        folder.save_record(&record).unwrap();
        assert_eq!(folder.load().unwrap(), Some((record.clone(), None)));
        folder.save_end(&end).unwrap();
        assert_eq!(folder.load().unwrap(), Some((record.clone(), Some(end))));
        let bytes = fs::read(folder.file(RECORD)).unwrap();
        for length in 0..bytes.len() {
            fs::write(folder.file(RECORD), &bytes[..length]).unwrap();
            let loaded = folder.load().unwrap();
            assert!(loaded.is_none() || loaded == Some((record.clone(), None)), "{length}");
        }
    }
}
