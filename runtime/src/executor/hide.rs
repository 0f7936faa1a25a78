//! Paths that a container may not see or not change.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, major, minor, openat};
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::executor::failure::{AtStage, refuse};
use crate::executor::mounts::{attach, has_magic, new_mount};
use crate::executor::root::Root;
use crate::failure::{Stage, StartFailure};
use crate::sys::{self, MountAttributes};

/// Makes paths read-only. What is not there needs nothing.
pub(super) fn read_only(root: &Root, paths: &[PathBuf]) -> Result<(), StartFailure> {
    for path in paths {
        let detail = || path.display().to_string();
        let Some(target) = present(root, path)? else { continue };
        let mount = clone_mount(&target, true).at(Stage::Mask, detail)?;
        // A clone has the flags of the mount it is taken from; this adds one to them.
        let change = MountAttributes { set: sys::ATTR_RDONLY, recursive: true, ..MountAttributes::default() };
        sys::set_attributes(&mount, change).at(Stage::Mask, detail)?;
        attach(&mount, &target).at(Stage::Mask, detail)?;
    }
    Ok(())
}

/// Hides paths: a directory under one empty read-only file system, a file under the host's own `/dev/null` (the
/// container's could be anything). What is not there needs nothing.
pub(super) fn mask(root: &Root, paths: &[PathBuf]) -> Result<(), StartFailure> {
    let mut empty: Option<OwnedFd> = None;
    let mut null: Option<OwnedFd> = None;
    for path in paths {
        let detail = || path.display().to_string();
        let Some(target) = present(root, path)? else { continue };
        let is_directory = FileType::from_raw_mode(fstat(&target).at(Stage::Mask, detail)?.st_mode).is_dir();
        let mount = if is_directory {
            match &empty {
                Some(first) => clone_mount(first, false).at(Stage::Mask, detail)?,
                None => new_mount("tmpfs", &[("nr_inodes", Some("1")), ("size", Some("0"))], EMPTY)
                    .at(Stage::Mask, detail)?,
            }
        } else {
            if null.is_none() {
                null = Some(host_null()?);
            }
            let Some(null) = &null else { continue };
            clone_mount(null, false).at(Stage::Mask, detail)?
        };
        attach(&mount, &target).at(Stage::Mask, detail)?;
        if is_directory {
            empty = Some(mount);
        }
    }
    Ok(())
}

/// The path's descriptor; `None` when there is no such path.
fn present(root: &Root, path: &Path) -> Result<Option<OwnedFd>, StartFailure> {
    match root.open(path, OFlags::PATH) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        outcome => outcome.at(Stage::Mask, || path.display().to_string()).map(Some),
    }
}

/// The host's null device. The container's root is not this process's root yet, so the path is the host's.
fn host_null() -> Result<OwnedFd, StartFailure> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = openat(CWD, "/dev/null", flags, Mode::empty()).at(Stage::Mask, || "the host's /dev/null".to_owned())?;
    let stat = fstat(&null).at(Stage::Mask, || "the host's /dev/null".to_owned())?;
    let device = FileType::from_raw_mode(stat.st_mode).is_char_device();
    if !device || (major(stat.st_rdev), minor(stat.st_rdev)) != (1, 3) {
        return Err(refuse(Stage::Mask, "the host's /dev/null is not the null device"));
    }
    Ok(null)
}

fn clone_mount(target: impl AsFd, recursive: bool) -> io::Result<OwnedFd> {
    let below = if recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(target, "", flags | below)?)
}

/// Whether a descriptor is on a procfs.
pub(super) fn is_proc(descriptor: impl AsFd) -> io::Result<bool> {
    has_magic(descriptor, PROC_SUPER_MAGIC)
}

/// Fails when a descriptor is not on a procfs.
pub(super) fn expect_proc(descriptor: impl AsFd) -> io::Result<()> {
    if is_proc(descriptor)? { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EXDEV)) }
}

const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const EMPTY: u64 = sys::ATTR_RDONLY | sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC;
