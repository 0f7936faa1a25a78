//! The first process of a container: from the host's namespaces to standing in its own root.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{fchdir, getcwd, pivot_root};

use crate::cgroup;
use crate::executor::channel::CgroupEntry;
use crate::executor::child::Standing;
use crate::executor::console::Terminal;
use crate::executor::failure::{AtStage, cgroup_failure, refuse};
use crate::executor::mounts::Devices;
use crate::executor::root::Root;
use crate::executor::sources::Sources;
use crate::executor::{accounts, credentials, hide, mounts, rootfs};
use crate::failure::{Stage, StartFailure};
use crate::plan::{ProcessPlan, StartPlan};
use crate::sys::{self, SingleThread};

/// Builds the container around this process.
pub(super) fn start(single: &SingleThread, plan: StartPlan, entry: CgroupEntry) -> Result<Standing, StartFailure> {
    enter_cgroup(&plan, entry)?;
    credentials::oom_score(&plan.process)?;
    // Sources are opened while this is still the host's mount namespace: mounts below them keep their peers there.
    let sources = Sources::open(&plan)?;
    enter_namespaces(single, &plan)?;
    let root = rootfs::mount(&plan.rootfs)?;
    let devices = mounts::mount_all(&root, &plan, sources)?;
    name(&plan)?;
    sysctls(&root, &plan)?;
    let identity = accounts::resolve(&root, &plan.process)?;
    let terminal = terminal(&root, &plan.process, devices.as_ref())?;
    let cwd = root.directory(Path::new(&plan.process.cwd)).at(Stage::WorkingDirectory, || plan.process.cwd.clone())?;
    hide::read_only(&root, &plan.readonly)?;
    hide::mask(&root, &plan.masked)?;
    if plan.rootfs.read_only {
        rootfs::make_read_only(&root)?;
    }
    change_root(&root)?;
    enter_directory(&cwd, &plan.process)?;
    Ok(Standing { process: plan.process, identity, terminal, init: plan.init })
}

fn enter_cgroup(plan: &StartPlan, entry: CgroupEntry) -> Result<(), StartFailure> {
    let cgroup = &plan.cgroup;
    match entry {
        CgroupEntry::Inside => Ok(()),
        CgroupEntry::Rename(parked) => {
            cgroup::rename(&parked, &cgroup.location).and_then(|()| cgroup::apply(&cgroup.limits))
        }
        CgroupEntry::Move => cgroup::apply(cgroup.steps()).and_then(|()| cgroup::enter(&cgroup.location)),
    }
    .map_err(|error| cgroup_failure(&error))
}

/// The process, IPC and UTS namespaces are there since birth. The cgroup namespace is made here, because its root is
/// the cgroup in which its maker is.
fn enter_namespaces(single: &SingleThread, plan: &StartPlan) -> Result<(), StartFailure> {
    if let Some(path) = &plan.network {
        let file = std::fs::File::open(path).at(Stage::Namespace, || format!("network {}", path.display()))?;
        sys::join_namespaces(single, &file, libc::CLONE_NEWNET)
            .at(Stage::Namespace, || format!("network {}", path.display()))?;
    }
    let cgroup = if plan.new_cgroup { libc::CLONE_NEWCGROUP } else { 0 };
    sys::unshare_namespaces(single, libc::CLONE_NEWNS | cgroup)
        .at(Stage::Namespace, || "mount and cgroup".to_owned())?;
    // Before the first mount: nothing that is mounted here may show on the host.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .at(Stage::Namespace, || "making the mounts slaves of the host's".to_owned())
}

fn name(plan: &StartPlan) -> Result<(), StartFailure> {
    if let Some(name) = &plan.hostname {
        sys::set_host_name(name).at(Stage::Hostname, || name.clone())?;
    }
    if let Some(name) = &plan.domainname {
        sys::set_domain_name(name).at(Stage::Hostname, || name.clone())?;
    }
    Ok(())
}

fn sysctls(root: &Root, plan: &StartPlan) -> Result<(), StartFailure> {
    for (name, value) in &plan.sysctls {
        let path = format!("/proc/sys/{name}");
        let file = root.open_strictly(Path::new(&path), OFlags::WRONLY).at(Stage::Sysctl, || name.clone())?;
        hide::expect_proc(&file).at(Stage::Sysctl, || name.clone())?;
        rustix::io::write(&file, value.as_bytes()).at(Stage::Sysctl, || format!("{name} = {value}"))?;
    }
    Ok(())
}

fn terminal(root: &Root, process: &ProcessPlan, devices: Option<&Devices>) -> Result<Option<Terminal>, StartFailure> {
    if !process.terminal {
        return Ok(None);
    }
    let terminal = Terminal::open(root, process)?;
    if let Some(devices) = devices {
        terminal.bind_console(devices)?;
    }
    Ok(Some(terminal))
}

/// Makes the container's root this process's root, and lets go of the host's.
fn change_root(root: &Root) -> Result<(), StartFailure> {
    fchdir(root).at(Stage::Rootfs, || "entering the root".to_owned())?;
    // Both arguments the same: the old root ends up mounted over the new one, and is taken off from there.
    pivot_root(".", ".").at(Stage::Rootfs, || "pivot_root".to_owned())?;
    unmount(".", UnmountFlags::DETACH).at(Stage::Rootfs, || "letting go of the host's root".to_owned())?;
    rustix::process::chdir("/").at(Stage::Rootfs, || "entering the new root".to_owned())
}

/// Enters the working directory, and makes sure that it is inside: a descriptor of the host's that leaked would give a
/// path that the kernel cannot name.
pub(super) fn enter_directory(cwd: impl AsFd, process: &ProcessPlan) -> Result<(), StartFailure> {
    let detail = || process.cwd.clone();
    fchdir(cwd).at(Stage::WorkingDirectory, detail)?;
    let seen = getcwd(Vec::new()).at(Stage::WorkingDirectory, detail)?;
    if !seen.as_bytes().starts_with(b"/") {
        return Err(refuse(Stage::WorkingDirectory, format!("{} is not inside the container", process.cwd)));
    }
    Ok(())
}

/// Mode of directories that are made on the way.
pub(super) const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
