//! What must outlive the keeper: one small file for each container, and its description beside it. Replaced by renaming,
//! so that a reader sees the old or the new one.
//!
//! Not synced to disk: the files tell about processes of this boot, and end with it as those do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::spec::{ContainerId, ContainerSpec, LogSpec};
use crate::state::{ContainerState, ContainerStatus, ExitStatus, Timestamp};

/// All that is remembered of one container. Everything else is found from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: ContainerId,
    pub(super) boot_id: String,
    pub(super) pid: u32,
    /// When the kernel started that process, in ticks since boot: with the pid it names one process for ever.
    pub(super) start_ticks: u64,
    pub(super) created_at: Timestamp,
    /// Written before the command is executed.
    pub(super) started_at: Option<Timestamp>,
    pub(super) exit: Option<ExitStatus>,
    pub(super) terminal: bool,
    /// Shares the host's process ids, so that killing the first process kills no other.
    pub(super) host_pids: bool,
    /// Its memory is limited, so that it may be killed for it.
    pub(super) memory_limited: bool,
    /// Below every tree's root.
    pub(super) cgroup: String,
    pub(super) stop_signal: Signal,
    pub(super) log: Option<LogSpec>,
}

impl Record {
    /// As clients see it.
    pub(super) fn state(&self) -> ContainerState {
        let status = match (&self.exit, self.started_at) {
            (Some(exit), _) => ContainerStatus::Exited(exit.clone()),
            (None, Some(started_at)) => ContainerStatus::Running { started_at },
            (None, None) => ContainerStatus::Created,
        };
        ContainerState {
            id: self.id.clone(),
            pid: self.exit.is_none().then_some(self.pid),
            status,
            created_at: self.created_at,
            terminal: self.terminal,
        }
    }
}

/// The state directory.
#[derive(Debug)]
pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// A container's file of this kind.
    pub(super) fn path(&self, id: &ContainerId, kind: &str) -> PathBuf {
        self.directory.join(format!("{id}.{kind}"))
    }

    /// Writes or replaces a record.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        self.replace(&record.id, STATE, &serde_json::to_vec(record)?)
    }

    /// Writes the description.
    pub(super) fn write_spec(&self, spec: &ContainerSpec) -> io::Result<()> {
        self.replace(&spec.id, SPEC, &serde_json::to_vec(spec)?)
    }

    /// Reads the description.
    pub(super) fn read_spec(&self, id: &ContainerId) -> io::Result<ContainerSpec> {
        Ok(serde_json::from_slice(&fs::read(self.path(id, SPEC))?)?)
    }

    /// Every record; those that cannot be read are named.
    pub(super) fn read_all(&self) -> io::Result<(Vec<Record>, Vec<String>)> {
        let (mut records, mut broken) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == STATE) {
                match fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice::<Record>(&bytes)?)) {
                    Ok(record) => records.push(record),
                    Err(error) => broken.push(format!("{}: {error}", path.display())),
                }
            }
        }
        Ok((records, broken))
    }

    /// Removes everything that is kept of a container.
    pub(super) fn remove(&self, id: &ContainerId) {
        // The record last: as long as it is there, a successor knows of the rest.
        for kind in ["stdin", "stdout", "stderr", SPEC, STATE] {
            match fs::remove_file(self.path(id, kind)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    eprintln!("remove {}: {error}", self.path(id, kind).display());
                }
                _ => {}
            }
        }
    }

    fn replace(&self, id: &ContainerId, kind: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path(id, &format!("{kind}-new"));
        let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, self.path(id, kind))
    }
}

/// The kernel's start time of a process, in ticks since boot; `None` when there is no such process.
pub(super) fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything; the last ')' ends it.
    let rest = stat.get(stat.rfind(')')? + 2..)?;
    rest.split(' ').nth(START_TIME_FIELD)?.parse().ok()
}

/// Field 22 of proc_pid_stat(5), counted from the third.
const START_TIME_FIELD: usize = 19;
const STATE: &str = "state";
const SPEC: &str = "spec";

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> Record {
        Record {
            id: ContainerId::new(id).unwrap(),
            boot_id: "b".into(),
            pid: 7,
            start_ticks: 8,
            created_at: Timestamp(1),
            started_at: None,
            exit: None,
            terminal: false,
            host_pids: false,
            memory_limited: true,
            cgroup: "/shoal/x".into(),
            stop_signal: Signal::TERM,
            log: None,
        }
    }

    #[test]
    fn records_survive_and_torn_ones_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::new(directory.path());
        let mut first = record("a");
        records.write(&first).unwrap();
        records.write(&record("a.state")).unwrap();
        first.started_at = Some(Timestamp(5));
        records.write(&first).unwrap();
        fs::write(directory.path().join("torn.state"), b"{\"id\":\"to").unwrap();
        let (mut found, broken) = records.read_all().unwrap();
        found.sort_by_key(|record| record.id.clone());
        assert_eq!(found, [first.clone(), record("a.state")]);
        assert_eq!(broken.len(), 1);
        records.remove(&first.id);
        assert_eq!(records.read_all().unwrap().0, [record("a.state")]);
    }

    #[test]
    fn a_process_has_one_start() {
        let own = std::process::id();
        assert_eq!(start_ticks(own), start_ticks(own));
        assert!(start_ticks(own).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_ticks(u32::MAX), None);
    }
}
