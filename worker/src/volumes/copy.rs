//! Copies a folder of an image into an empty volume: content, owners, modes, times, links and extended attributes.
//!
//! The image is read through a detached overlay mount that no other process sees and that ends with its descriptor; paths
//! are resolved inside of it, so that no link of the image leads out.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, mknodat, openat, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use rustix::io::Errno;

use super::VolumeError;
use crate::limits::COPY_DEPTH_MAX;

/// Fills `data` with what the image has at `target`; with nothing when it has no folder there.
pub(super) fn fill(data: &Path, layers: &[PathBuf], target: &str) -> Result<(), VolumeError> {
    let root = open_image(layers, &data.with_extension("image"))
        .map_err(|error| VolumeError::file("read the image for", data, error))?;
    let inside = Path::new(target).strip_prefix("/").unwrap_or(Path::new(target));
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = openat2(root.as_fd(), inside_or_root(inside), flags, Mode::empty(), ResolveFlags::IN_ROOT);
    let Ok(folder) = opened else { return Ok(()) };
    // Through the descriptor: the mount has no place in the file tree.
    let source = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let metadata = fs::metadata(&source).map_err(|error| VolumeError::file("read", &source, error))?;
    copy_folder(&source, data, 0)?;
    dress(&source, data, &metadata).map_err(|error| VolumeError::file("write", data, error))
}

fn inside_or_root(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// The image's root, read-only. `aside` is a place for a folder that goes again at once.
fn open_image(layers: &[PathBuf], aside: &Path) -> io::Result<OwnedFd> {
    if let [only] = layers {
        return Ok(openat(CWD, only, FOLDER, Mode::empty())?);
    }
    match open_layers(layers) {
        // Before Linux 6.5 there is no lowerdir+, only the old call.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => open_layers_aside(layers, aside),
        outcome => outcome,
    }
}

fn open_layers(layers: &[PathBuf]) -> io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for layer in layers {
        fsconfig_set_string(context.as_fd(), "lowerdir+", layer)?;
    }
    fsconfig_set_flag(context.as_fd(), "ro")?;
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?)
}

/// Mounted on a folder and let go of there: the mount lives as long as its descriptor. One page holds all options, so the
/// layers are named by descriptors.
fn open_layers_aside(layers: &[PathBuf], aside: &Path) -> io::Result<OwnedFd> {
    let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let held = layers.iter().map(|layer| openat(CWD, layer, path, Mode::empty()));
    let held: Vec<OwnedFd> = held.collect::<Result<_, _>>()?;
    let names: Vec<String> = held.iter().map(|layer| format!("/proc/self/fd/{}", layer.as_raw_fd())).collect();
    let options = format!("lowerdir={}", names.join(":"));
    fs::create_dir_all(aside)?;
    let mounted = mount(Some("overlay"), aside, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str()));
    let opened = mounted.map_err(io::Error::from).and_then(|()| {
        let opened = openat(CWD, aside, FOLDER, Mode::empty());
        umount2(aside, MntFlags::MNT_DETACH)?;
        Ok(opened?)
    });
    fs::remove_dir(aside)?;
    opened
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

fn copy_folder(source: &Path, target: &Path, depth: usize) -> Result<(), VolumeError> {
    if depth > COPY_DEPTH_MAX {
        return Err(VolumeError::TooDeep(target.to_owned()));
    }
    let entries = fs::read_dir(source).map_err(|error| VolumeError::file("read", source, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| VolumeError::file("read", source, error))?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let metadata = entry.metadata().map_err(|error| VolumeError::file("read", &from, error))?;
        if metadata.is_dir() {
            fs::create_dir(&to).map_err(|error| VolumeError::file("create", &to, error))?;
            copy_folder(&from, &to, depth + 1)?;
        } else {
            copy_file(&from, &to, &metadata).map_err(|error| VolumeError::file("copy", &from, error))?;
        }
        dress(&from, &to, &metadata).map_err(|error| VolumeError::file("write", &to, error))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else if kind.is_file() {
        fs::copy(from, to).map(|_bytes| ())
    } else if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
        let mode = Mode::from_raw_mode(metadata.mode() & 0o7777);
        mknodat(CWD, to, FileType::from_raw_mode(metadata.mode()), mode, metadata.rdev())?;
        Ok(())
    } else {
        Ok(())
    }
}

/// Owner first: changing it clears the set-id bits of the mode.
fn dress(from: &Path, to: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.file_type().is_symlink() {
        return lchown(to, Some(metadata.uid()), Some(metadata.gid()));
    }
    chown(to, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    for name in xattr::list(from)?.filter(|name| !name.as_encoded_bytes().starts_with(b"trusted.overlay.")) {
        if let Some(value) = xattr::get(from, &name)? {
            match xattr::set(to, &name, &value) {
                // A file system without them keeps the file all the same.
                Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {}
                outcome => outcome?,
            }
        }
    }
    if metadata.is_file() {
        let times = fs::FileTimes::new().set_modified(metadata.modified()?).set_accessed(metadata.accessed()?);
        fs::File::open(to)?.set_times(times)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_read_an_image_show_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let layers = ["upper", "middle", "lower"].map(|name| folder.path().join(name));
        for (number, layer) in layers.iter().enumerate() {
            fs::create_dir_all(layer.join("data")).unwrap();
            fs::write(layer.join("data/shared"), format!("{number}")).unwrap();
            fs::write(layer.join(format!("data/own{number}")), "").unwrap();
        }
        let aside = folder.path().join("aside");
        for root in [open_layers(&layers), open_layers_aside(&layers, &aside)].into_iter().flatten() {
            let inside = PathBuf::from(format!("/proc/self/fd/{}/data", root.as_raw_fd()));
            assert_eq!(fs::read_to_string(inside.join("shared")).unwrap(), "0");
            assert_eq!(fs::read_dir(&inside).unwrap().count(), 4);
            assert!(!aside.exists());
        }
        open_layers_aside(&layers, &aside).unwrap();
    }
}
