//! The root file system: an overlay of layers, or one directory, mounted in the container's own mount namespace.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string,
    fsmount, fsopen, open_tree,
};

use crate::executor::failure::AtStage;
use crate::executor::mounts::attach;
use crate::executor::root::Root;
use crate::failure::{Stage, StartFailure};
use crate::spec::{Layers, RootFs};
use crate::sys::{self, MountAttributes, Propagate};

/// Mounts the root on its mountpoint.
pub(super) fn mount(rootfs: &RootFs) -> Result<Root, StartFailure> {
    let place = &rootfs.mountpoint;
    let detail = || format!("{} on {}", describe(&rootfs.layers), place.display());
    let target = open(place, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at(Stage::Rootfs, || format!("mountpoint {}", place.display()))?;
    let mount = match &rootfs.layers {
        Layers::Directory(path) => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
            let mount = open_tree(CWD, path, flags).at(Stage::Rootfs, || path.display().to_string())?;
            let private =
                MountAttributes { propagation: Some(Propagate::Private), recursive: true, ..Default::default() };
            sys::set_attributes(&mount, private).at(Stage::Rootfs, detail)?;
            mount
        }
        Layers::Overlay { lower, upper, work } => {
            check_directories(lower.iter().chain([upper, work]))?;
            match overlay(lower, upper, work) {
                // Before Linux 6.5 there is no lowerdir+, only the old call.
                Err(Errno::INVAL | Errno::NOSYS) => {
                    return old_overlay(lower, upper, work, place).at(Stage::Rootfs, detail).map(Root::new);
                }
                outcome => outcome.at(Stage::Rootfs, detail)?,
            }
        }
    };
    attach(&mount, &target).at(Stage::Rootfs, detail)?;
    Ok(Root::new(mount))
}

/// No more writing to the root itself; what is mounted below keeps its own rules.
pub(super) fn make_read_only(root: &Root) -> Result<(), StartFailure> {
    let change = MountAttributes { set: sys::ATTR_RDONLY, ..MountAttributes::default() };
    sys::set_attributes(root, change).at(Stage::Rootfs, || "making it read-only".to_owned())
}

/// Overlayfs names no directory in its errors.
fn check_directories<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<(), StartFailure> {
    for path in paths {
        let metadata = std::fs::metadata(path).at(Stage::Rootfs, || format!("layer {}", path.display()))?;
        if !metadata.is_dir() {
            let error = io::Error::from_raw_os_error(libc::ENOTDIR);
            return Err(error).at(Stage::Rootfs, || format!("layer {}", path.display()));
        }
    }
    Ok(())
}

fn overlay(lower: &[PathBuf], upper: &Path, work: &Path) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "source", "overlay")?;
    // Strings of more than 255 bytes are refused; a descriptor's name is always short. They live until the mount does.
    let mut held = Vec::new();
    let mut set = |key: &str, path: &Path| -> rustix::io::Result<()> {
        if path.as_os_str().len() < FSCONFIG_BYTES_MAX {
            return fsconfig_set_string(&fs, key, path);
        }
        let directory = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let name = descriptor_name(&directory);
        held.push(directory);
        fsconfig_set_string(&fs, key, name)
    };
    for layer in lower {
        set("lowerdir+", layer)?;
    }
    set("upperdir", upper)?;
    set("workdir", work)?;
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

fn old_overlay(lower: &[PathBuf], upper: &Path, work: &Path, place: &Path) -> io::Result<OwnedFd> {
    // One page holds all options: descriptors' names fit for any number of layers that overlayfs takes, and hold no
    // colon or comma.
    let mut held = Vec::new();
    let mut short = |path: &Path| -> io::Result<String> {
        held.push(open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        Ok(held.last().map(descriptor_name).unwrap_or_default())
    };
    let layers = lower.iter().map(|layer| short(layer)).collect::<io::Result<Vec<_>>>()?.join(":");
    let options = format!("lowerdir={layers},upperdir={},workdir={}\0", short(upper)?, short(work)?);
    let options = std::ffi::CString::from_vec_with_nul(options.into_bytes()).map_err(io::Error::other)?;
    rustix::mount::mount("overlay", place, "overlay", MountFlags::empty(), Some(options.as_c_str()))?;
    Ok(open(place, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn descriptor_name(descriptor: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())
}

fn describe(layers: &Layers) -> String {
    match layers {
        Layers::Directory(path) => path.display().to_string(),
        Layers::Overlay { lower, upper, .. } => format!("overlay of {} layers under {}", lower.len(), upper.display()),
    }
}

/// The kernel's limit of one fsconfig string, its end included.
const FSCONFIG_BYTES_MAX: usize = 256;
