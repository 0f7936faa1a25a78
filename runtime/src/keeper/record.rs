//! What must outlive the keeper: one small file for each container, to which a line is added at each of its few steps.
//! A line that is torn off (the keeper was killed in the middle of it) did not happen.
//!
//! Not synced to disk: the files tell about processes of this boot, and end with it as those do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::spec::{ContainerId, ContainerSpec, LogSpec};
use crate::state::{ContainerState, ContainerStatus, ExitStatus, Timestamp};
use crate::sys::WaitStatus;

/// What is known of one container. Everything else is found from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: ContainerId,
    pub(super) boot_id: String,
    pub(super) pid: u32,
    /// When the kernel started that process, in ticks since boot: with the pid it names one process for ever. Absent
    /// until the container is made.
    pub(super) start_ticks: Option<u64>,
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

/// One line of a container's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<S> {
    /// The first: a child begins to build this.
    Begun { record: Box<Record>, spec: S },
    /// The child has built it.
    Made { start_ticks: u64 },
    /// Its command may be executed from now on.
    Started { at: Timestamp },
    /// It ended.
    Ended { status: ExitStatus },
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

    /// Begins a container's file.
    pub(super) fn begin(&self, record: &Record, spec: &ContainerSpec) -> io::Result<()> {
        let path = self.path(&record.id, STATE);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        add(file, &Line::Begun { record: Box::new(record.clone()), spec })
    }

    /// Notes that the container is made, and when its command was allowed to be executed, if it was.
    pub(super) fn made(&self, id: &ContainerId, start_ticks: u64) -> io::Result<()> {
        add(self.reopen(id)?, &Line::<()>::Made { start_ticks })
    }

    /// Notes that the command may be executed.
    pub(super) fn started(&self, id: &ContainerId, at: Timestamp) -> io::Result<()> {
        add(self.reopen(id)?, &Line::<()>::Started { at })
    }

    /// Notes how it ended.
    pub(super) fn ended(&self, id: &ContainerId, status: &ExitStatus) -> io::Result<()> {
        add(self.reopen(id)?, &Line::<()>::Ended { status: status.clone() })
    }

    fn reopen(&self, id: &ContainerId) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.path(id, STATE))
    }

    /// Reads the description.
    pub(super) fn read_spec(&self, id: &ContainerId) -> io::Result<ContainerSpec> {
        let text = fs::read_to_string(self.path(id, STATE))?;
        match serde_json::from_str(text.lines().next().unwrap_or_default())? {
            Line::Begun { spec, .. } => Ok(spec),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Every record; those that cannot be read are named.
    pub(super) fn read_all(&self) -> io::Result<(Vec<Record>, Vec<String>)> {
        let (mut records, mut broken) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == STATE) {
                match fs::read_to_string(&path).and_then(|text| fold(&text)) {
                    Ok(record) => records.push(record),
                    Err(error) => broken.push(format!("{}: {error}", path.display())),
                }
            }
        }
        Ok((records, broken))
    }

    /// Removes pipes of containers that are not on record: their keeper was killed before it could begin a file.
    pub(super) fn remove_strays(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            if PIPES.contains(&kind) && !path.with_extension(STATE).exists() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes everything that is kept of a container.
    pub(super) fn remove(&self, id: &ContainerId) {
        // The record last: as long as it is there, a successor knows of the rest.
        for kind in PIPES.iter().chain(&[STATE]) {
            match fs::remove_file(self.path(id, kind)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    eprintln!("remove {}: {error}", self.path(id, kind).display());
                }
                _ => {}
            }
        }
    }
}

fn add<S: Serialize>(mut file: File, line: &Line<S>) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)
}

/// The record that the lines of a file tell.
fn fold(text: &str) -> io::Result<Record> {
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let first = lines.next().ok_or_else(|| io::Error::other("nothing was written"))?;
    let Line::Begun { mut record, .. } = serde_json::from_str::<Line<IgnoredAny>>(first)? else {
        return Err(io::Error::other("the first line does not begin a container"));
    };
    for line in lines {
        match serde_json::from_str::<Line<IgnoredAny>>(line)? {
            Line::Begun { .. } => return Err(io::Error::other("a container begins twice")),
            Line::Made { start_ticks } => record.start_ticks = Some(start_ticks),
            Line::Started { at } => record.started_at = Some(at),
            Line::Ended { status } => {
                record.started_at = status.started_at;
                record.exit = Some(status);
            }
        }
    }
    Ok(*record)
}

/// The kernel's start time of a process, in ticks since boot; `None` when there is no such process.
pub(super) fn start_ticks(pid: u32) -> Option<u64> {
    stat_field(&stat(pid)?, START_TIME_FIELD)
}

/// How a process ended that its parent did not reap yet; `None` when there is none, or it is not the one that was
/// started then.
pub(super) fn unreaped_exit(pid: u32, start_ticks: u64) -> Option<WaitStatus> {
    let stat = stat(pid)?;
    if !stat.starts_with('Z') || stat_field(&stat, START_TIME_FIELD) != Some(start_ticks) {
        return None;
    }
    let status: u32 = stat_field(&stat, EXIT_CODE_FIELD)?;
    Some(WaitStatus::from_raw(status.cast_signed()))
}

/// What proc_pid_stat(5) describes, from the third field on.
fn stat(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything; the last ')' ends it.
    Some(stat.get(stat.rfind(')')? + 2..)?.trim_end().to_owned())
}

fn stat_field<T: FromStr>(stat: &str, field: usize) -> Option<T> {
    stat.split(' ').nth(field - 3)?.parse().ok()
}

/// Numbers of fields in proc_pid_stat(5).
const START_TIME_FIELD: usize = 22;
const EXIT_CODE_FIELD: usize = 52;
const STATE: &str = "state";
const PIPES: [&str; 3] = ["stdin", "stdout", "stderr"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Layers, ProcessSpec, RootFs};
    use crate::state::Ending;
    use rustix::process::{WaitId, WaitIdOptions};
    use std::process::Stdio;

    fn record(id: &str) -> Record {
        Record {
            id: ContainerId::new(id).unwrap(),
            boot_id: "b".into(),
            pid: 7,
            start_ticks: None,
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

    fn spec(id: &str) -> ContainerSpec {
        let rootfs = RootFs { layers: Layers::Directory("/r".into()), mountpoint: "/m".into(), read_only: false };
        ContainerSpec::new(ContainerId::new(id).unwrap(), rootfs, ProcessSpec::new(vec!["x".into()]))
    }

    #[test]
    fn lines_add_up_and_torn_ones_did_not_happen() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::new(directory.path());
        let mut first = record("a");
        records.begin(&first, &spec("a")).unwrap();
        records.begin(&record("a.state"), &spec("a.state")).unwrap();
        records.made(&first.id, 9).unwrap();
        records.started(&first.id, Timestamp(5)).unwrap();
        fs::write(directory.path().join("torn.state"), b"{\"begun\":{\"record").unwrap();
        let mut file = OpenOptions::new().append(true).open(directory.path().join("a.state")).unwrap();
        file.write_all(b"{\"ended\":{\"sta").unwrap();
        (first.start_ticks, first.started_at) = (Some(9), Some(Timestamp(5)));
        let (mut found, broken) = records.read_all().unwrap();
        found.sort_by_key(|record| record.id.clone());
        assert_eq!(found, [first.clone(), record("a.state")]);
        assert_eq!(broken.len(), 1);
        assert_eq!(records.read_spec(&first.id).unwrap(), spec("a"));
        records.remove(&first.id);
        assert_eq!(records.read_all().unwrap().0, [record("a.state")]);
    }

    #[test]
    fn an_end_is_the_last_word() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::new(directory.path());
        let mut one = record("a");
        let status =
            ExitStatus { ending: Ending::Code(3), oom_killed: false, started_at: None, finished_at: Timestamp(7) };
        records.begin(&one, &spec("a")).unwrap();
        records.started(&one.id, Timestamp(5)).unwrap();
        records.ended(&one.id, &status).unwrap();
        one.exit = Some(status);
        assert_eq!(records.read_all().unwrap().0, [one]);
    }

    #[test]
    fn a_process_has_one_start() {
        let own = std::process::id();
        assert_eq!(start_ticks(own), start_ticks(own));
        assert!(start_ticks(own).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_ticks(u32::MAX), None);
    }

    #[test]
    fn an_end_can_be_read_before_it_is_reaped() {
        let mut child =
            std::process::Command::new("/bin/sh").args(["-c", "read x; exit 5"]).stdin(Stdio::piped()).spawn().unwrap();
        let ticks = start_ticks(child.id()).unwrap();
        assert_eq!(unreaped_exit(child.id(), ticks), None);
        let pid = rustix::process::Pid::from_child(&child);
        drop(child.stdin.take());
        // Ended, and left as it is.
        rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        assert_eq!(unreaped_exit(child.id(), ticks), Some(WaitStatus::Exited(5)));
        assert_eq!(unreaped_exit(child.id(), ticks + 1), None);
        assert_eq!(child.wait().unwrap().code(), Some(5));
        assert_eq!(unreaped_exit(pid.as_raw_nonzero().get().cast_unsigned(), ticks), None);
    }
}
