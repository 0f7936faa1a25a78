//! A process that joins a running container.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::cgroup;
use crate::executor::child::Standing;
use crate::executor::console::Terminal;
use crate::executor::failure::{AtStage, cgroup_failure};
use crate::executor::root::Root;
use crate::executor::start::enter_directory;
use crate::executor::{accounts, credentials};
use crate::failure::{Stage, StartFailure};
use crate::plan::ExecPlan;
use crate::sys::{self, SingleThread};

/// Joins the container whose first process the pidfd is. The process namespace is joined since birth.
pub(super) fn join(single: &SingleThread, plan: ExecPlan, pidfd: &OwnedFd) -> Result<Standing, StartFailure> {
    credentials::oom_score(&plan.process)?;
    cgroup::enter(&plan.cgroup).map_err(|error| cgroup_failure(&error))?;
    // One call joins all, by a descriptor that cannot be another process's.
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    sys::join_namespaces(single, pidfd, namespaces).at(Stage::Namespace, || "the container's".to_owned())?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = Root::new(openat(CWD, "/", flags, Mode::empty()).at(Stage::Rootfs, || "/".to_owned())?);
    let process = plan.process;
    let identity = accounts::resolve(&root, &process)?;
    let terminal = if process.terminal { Some(Terminal::open(&root, &process)?) } else { None };
    let cwd = root
        .open(Path::new(&process.cwd), OFlags::PATH | OFlags::DIRECTORY)
        .at(Stage::WorkingDirectory, || process.cwd.clone())?;
    enter_directory(cwd, &process)?;
    Ok(Standing { process, identity, terminal, init: false })
}
