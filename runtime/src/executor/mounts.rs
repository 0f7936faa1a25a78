//! Everything that is mounted below the root, each mount put on a descriptor of its target.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, mkdirat, openat, symlinkat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};

use crate::executor::failure::{AtStage, refuse};
use crate::executor::root::Root;
use crate::executor::sources::Sources;
use crate::executor::{devices, hide};
use crate::failure::{Stage, StartFailure};
use crate::plan::{PlannedKind, PlannedMount, StartPlan};
use crate::sys::{self, MountAttributes};

/// The container's own `/dev`, which nobody else can write to yet.
#[derive(Debug)]
pub(super) struct Devices(pub(super) OwnedFd);

/// Mounts everything in order; gives the `/dev` that was made, if one was.
pub(super) fn mount_all(root: &Root, plan: &StartPlan, sources: Sources) -> Result<Option<Devices>, StartFailure> {
    let mut binds = VecDeque::from(sources.binds);
    let mut cgroups = Some(sources.cgroups);
    let mut devices = None;
    for planned in &plan.mounts {
        match &planned.kind {
            PlannedKind::Bind(_) => {
                let source =
                    binds.pop_front().ok_or_else(|| refuse(Stage::Protocol, "a bind of the plan has no source"))?;
                bind(root, planned, &source)?;
            }
            PlannedKind::Cgroups => mount_cgroups(root, planned, plan, cgroups.take().unwrap_or_default())?,
            PlannedKind::Devices => {
                let mount = standard(root, planned)?;
                devices::populate(&mount)?;
                devices = Some(Devices(mount));
            }
            _ => drop(standard(root, planned)?),
        }
    }
    Ok(devices)
}

/// Puts a detached mount on a directory or file.
pub(super) fn attach(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", target, "", flags)?)
}

/// A new file system of the kernel's, detached.
pub(super) fn new_mount(kind: &str, options: &[(&str, Option<&str>)], attributes: u64) -> io::Result<OwnedFd> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        match value {
            Some(value) => fsconfig_set_string(&fs, *name, *value)?,
            None => fsconfig_set_flag(&fs, *name)?,
        }
    }
    fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
    Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn standard(root: &Root, planned: &PlannedMount) -> Result<OwnedFd, StartFailure> {
    let detail = || format!("{:?} on {}", planned.kind, planned.target.display());
    let hardened = sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC;
    let mount = match &planned.kind {
        PlannedKind::Proc => new_mount("proc", &[], hardened),
        PlannedKind::Sysfs => new_mount("sysfs", &[], hardened | sys::ATTR_RDONLY),
        PlannedKind::Devices => {
            new_mount("tmpfs", &[("mode", Some("755")), ("size", Some("65536k"))], sys::ATTR_NOSUID | STRICTATIME)
        }
        PlannedKind::Terminals => {
            let options =
                [("newinstance", None), ("ptmxmode", Some("0666")), ("mode", Some("0620")), ("gid", Some("5"))];
            new_mount("devpts", &options, sys::ATTR_NOSUID | sys::ATTR_NOEXEC)
        }
        PlannedKind::MessageQueues => new_mount("mqueue", &[], hardened),
        PlannedKind::Tmpfs(tmpfs) => {
            let options: Vec<_> = tmpfs.options.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            new_mount("tmpfs", &options, tmpfs.attributes)
        }
        PlannedKind::Cgroups | PlannedKind::Bind(_) => Err(io::ErrorKind::Unsupported.into()),
    }
    .at(Stage::Mount, detail)?;
    let target = match &planned.kind {
        // An image that makes one of these a symlink would have the kernel's own file systems mounted elsewhere.
        PlannedKind::Tmpfs(_) => root.directory(&planned.target),
        _ => root.real_directory(&planned.target),
    }
    .at(Stage::Mount, detail)?;
    check_target(&planned.target, &target)?;
    attach(&mount, &target).at(Stage::Mount, detail)?;
    Ok(mount)
}

fn bind(root: &Root, planned: &PlannedMount, source: &OwnedFd) -> Result<(), StartFailure> {
    let detail = || format!("bind on {}", planned.target.display());
    let is_directory = FileType::from_raw_mode(fstat(source).at(Stage::Mount, detail)?.st_mode).is_dir();
    let target = if is_directory { root.directory(&planned.target) } else { root.file(&planned.target) };
    let target = target.at(Stage::Mount, detail)?;
    check_target(&planned.target, &target)?;
    attach(source, &target).at(Stage::Mount, detail)
}

/// A symlink may have led into /proc, where the plan refused to go.
fn check_target(path: &Path, target: &OwnedFd) -> Result<(), StartFailure> {
    let inside_proc = hide::is_proc(target).at(Stage::Mount, || path.display().to_string())?;
    if inside_proc && !path.starts_with("/proc") {
        return Err(refuse(Stage::Mount, format!("{} leads into /proc, where nothing may be mounted", path.display())));
    }
    Ok(())
}

/// v1: a small tmpfs with a directory for each tree. v2: the one directory.
fn mount_cgroups(
    root: &Root,
    planned: &PlannedMount,
    plan: &StartPlan,
    sources: Vec<(String, OwnedFd)>,
) -> Result<(), StartFailure> {
    let detail = || format!("cgroups on {}", planned.target.display());
    let target = match root.open_strictly(&planned.target, OFlags::PATH | OFlags::DIRECTORY) {
        // A kernel or a network namespace whose sysfs has no such directory, and sysfs lets nobody make one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        outcome => outcome.at(Stage::Mount, detail)?,
    };
    if plan.cgroup.location.v2 {
        return sources.iter().try_for_each(|(_, source)| attach(source, &target).at(Stage::Mount, detail));
    }
    let attributes = sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC;
    let tmpfs = new_mount("tmpfs", &[("mode", Some("755"))], attributes).at(Stage::Mount, detail)?;
    attach(&tmpfs, &target).at(Stage::Mount, detail)?;
    for (name, source) in &sources {
        mkdirat(&tmpfs, name, Mode::from_raw_mode(0o755)).at(Stage::Mount, detail)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = openat(&tmpfs, name, flags, Mode::empty()).at(Stage::Mount, detail)?;
        attach(source, &place).at(Stage::Mount, detail)?;
        for single in name.split(',').filter(|single| single != name) {
            symlinkat(name, &tmpfs, single).at(Stage::Mount, detail)?;
        }
    }
    let read_only = MountAttributes { set: sys::ATTR_RDONLY, ..MountAttributes::default() };
    sys::set_attributes(&tmpfs, read_only).at(Stage::Mount, detail)
}

/// Whether a descriptor is on a file system of this kind.
pub(super) fn has_magic(descriptor: impl AsFd, magic: i64) -> io::Result<bool> {
    #[expect(clippy::useless_conversion, reason = "the field's type differs between architectures")]
    Ok(i64::from(fstatfs(descriptor)?.f_type) == magic)
}

/// MOUNT_ATTR_STRICTATIME.
const STRICTATIME: u64 = 0x20;
