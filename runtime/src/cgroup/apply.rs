//! Carries plans out: the only writer under the cgroup mounts. It decides nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cgroup::devices::{DEVICE_RULES, program};
use crate::cgroup::usage::member_pids;
use crate::cgroup::{Location, Step};
use crate::signal::Signal;
use crate::sys;

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct CgroupError {
    pub(crate) what: String,
    #[source]
    pub(crate) source: io::Error,
}

/// Does the steps in order.
///
/// # Errors
/// With the first step that fails, unless it is optional.
pub(crate) fn apply<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Result<(), CgroupError> {
    // Lists of rules go into one file, one write each.
    let mut last: Option<(&Path, File)> = None;
    for step in steps {
        let outcome = match (step, &mut last) {
            (Step::Write { file, value, .. }, Some((open, handle))) if open == file => {
                handle.write_all(value.as_bytes())
            }
            (Step::Write { file, value, .. }, last) => OpenOptions::new().write(true).open(file).and_then(|handle| {
                let (_, handle) = last.insert((file, handle));
                handle.write_all(value.as_bytes())
            }),
            (other, _) => do_step(other),
        };
        match (outcome, step) {
            (Ok(()), _) | (Err(_), Step::Write { optional: true, .. }) => {}
            (Err(source), _) => return Err(CgroupError { what: step.to_string(), source }),
        }
    }
    Ok(())
}

fn do_step(step: &Step) -> io::Result<()> {
    match step {
        Step::MakeDirectory(path) => match fs::create_dir(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome,
        },
        Step::InheritCpuset(path) => inherit_cpuset(path),
        Step::Write { file, value, .. } => write(file, value),
        Step::DeviceProgram(path) => {
            let directory = File::open(path)?;
            sys::attach_device_program(directory, sys::load_device_program(&program(DEVICE_RULES))?)
        }
    }
}

fn inherit_cpuset(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(path);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if fs::read_to_string(path.join(name))?.trim().is_empty() {
            write(&path.join(name), fs::read_to_string(parent.join(name))?.trim())?;
        }
    }
    Ok(())
}

fn write(file: &Path, value: &str) -> io::Result<()> {
    // Kernel files take a value in one write, and are never created.
    OpenOptions::new().write(true).open(file)?.write_all(value.as_bytes())
}

/// Moves this process into the cgroup.
///
/// # Errors
/// With the first tree that refuses.
pub(crate) fn enter(location: &Location) -> Result<(), CgroupError> {
    for (directory, _) in &location.directories {
        write(&directory.join("cgroup.procs"), "0")
            .map_err(|source| CgroupError { what: format!("enter {}", directory.display()), source })?;
    }
    Ok(())
}

/// Gives a v1 cgroup its final name, with whoever is in it.
///
/// # Errors
/// With the first tree that refuses; those before it are renamed.
pub(crate) fn rename(from: &Location, to: &Location) -> Result<(), CgroupError> {
    for ((old, _), (new, _)) in from.directories.iter().zip(&to.directories) {
        fs::rename(old, new)
            .map_err(|source| CgroupError { what: format!("rename {} to {}", old.display(), new.display()), source })?;
    }
    Ok(())
}

/// Removes the cgroup and whatever cgroups the container made below it. What is not there is no error.
///
/// # Errors
/// When something is still in it (EBUSY): try again once that ended.
pub(crate) fn remove(location: &Location) -> Result<(), CgroupError> {
    for (directory, _) in &location.directories {
        remove_tree(directory)
            .map_err(|source| CgroupError { what: format!("rmdir {}", directory.display()), source })?;
    }
    Ok(())
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound);
    match fs::remove_dir(directory) {
        Err(error) if gone(&error) => return Ok(()),
        Ok(()) => return Ok(()),
        Err(_) => {}
    }
    // Depth is bounded by the kernel's path length; children first.
    for child in child_directories(directory)? {
        remove_tree(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if !gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn child_directories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            children.push(entry.path());
        }
    }
    Ok(children)
}

/// Removes a cgroup if nothing is in it or below it; leaves it otherwise.
pub(crate) fn remove_empty(location: &Location) {
    for (directory, _) in &location.directories {
        // In use, gone, or the root: all are fine.
        let _left = fs::remove_dir(directory);
    }
}

/// Kills every process in the cgroup. On v1 one after the other: who forks meanwhile is caught by the next call.
///
/// # Errors
/// When the kernel's own kill is there and fails.
pub(crate) fn kill(location: &Location) -> io::Result<()> {
    let Some((directory, _)) = location.directories.first() else { return Ok(()) };
    if location.v2 {
        return match write(&directory.join("cgroup.kill"), "1") {
            // The cgroup is gone, and its processes with it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        };
    }
    for pid in member_pids(location) {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
        // Between reading the list and opening the pidfd it may have ended, and its number be another's: what the
        // pidfd names must still be in the cgroup.
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if member_pids(location).contains(&pid.as_raw_nonzero().get().cast_unsigned()) {
            let _gone = sys::send_signal(&pidfd, Signal::KILL);
        }
    }
    Ok(())
}
