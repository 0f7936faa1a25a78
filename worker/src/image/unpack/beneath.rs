//! System calls on a folder that never leave it.
//!
//! Every path is resolved by the kernel beneath the root descriptor, through no symbolic link and onto no other mount;
//! what is made is made relative to a descriptor got in that way, by a name of one part.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, Timestamps, XattrFlags},
    io::Errno,
};

/// A path within a layer: parts without `/`, `.`, `..` or NUL; empty for the layer's root.
pub(super) type Parts = Vec<Vec<u8>>;

/// A folder, open for making things in it.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens the root of a layer.
    pub(super) fn root(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(CWD, path, FOLDER_FLAGS, Mode::empty())?))
    }

    /// Opens a folder below this one.
    pub(super) fn open(&self, parts: &[Vec<u8>]) -> Result<Self, Errno> {
        let path = if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') };
        loop {
            match rustix::fs::openat2(&self.0, path.as_slice(), FOLDER_FLAGS, Mode::empty(), RESOLVE) {
                // Somebody renamed something meanwhile; the kernel asks to try again.
                Err(Errno::AGAIN) => {}
                outcome => return outcome.map(Self),
            }
        }
    }

    pub(super) fn make_folder(&self, name: &[u8]) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755))
    }

    /// Makes a new file; fails when the name is taken, by whatever.
    pub(super) fn make_file(&self, name: &[u8]) -> Result<File, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o600))?.into())
    }

    pub(super) fn make_symlink(&self, name: &[u8], target: &[u8]) -> Result<(), Errno> {
        rustix::fs::symlinkat(target, &self.0, name)
    }

    /// Makes a second name of a file that lies in `other`; a symbolic link is linked, not followed.
    pub(super) fn make_hard_link(&self, name: &[u8], other: &Self, target: &[u8]) -> Result<(), Errno> {
        rustix::fs::linkat(&other.0, target, &self.0, name, AtFlags::empty())
    }

    pub(super) fn make_node(&self, name: &[u8], kind: FileType, device: (u32, u32)) -> Result<(), Errno> {
        let device = rustix::fs::makedev(device.0, device.1);
        rustix::fs::mknodat(&self.0, name, kind, Mode::from_raw_mode(0o600), device)
    }

    /// What a name stands for, itself and not what it links to; `None` when nothing has the name.
    pub(super) fn look(&self, name: &[u8]) -> Result<Option<Stat>, Errno> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes whatever has the name, with all below it.
    pub(super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => fs::remove_dir_all(self.path_of(name)),
            outcome => Ok(outcome?),
        }
    }

    pub(super) fn own(&self, name: &[u8], uid: u32, gid: u32) -> Result<(), Errno> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::chownat(&self.0, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Sets the mode of a node that was just made here, which is no symbolic link.
    pub(super) fn set_node_mode(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        rustix::fs::chmodat(&self.0, name, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    pub(super) fn set_times(&self, name: &[u8], times: &Timestamps) -> Result<(), Errno> {
        rustix::fs::utimensat(&self.0, name, times, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Sets an attribute of what has the name, itself and not what it links to.
    pub(super) fn set_xattr_of(&self, name: &[u8], key: &[u8], value: &[u8]) -> Result<(), Errno> {
        rustix::fs::lsetxattr(self.path_of(name), key, value, XattrFlags::empty())
    }

    /// Says that this folder hides what the layers below hold of it.
    pub(super) fn make_opaque(&self) -> Result<(), Errno> {
        rustix::fs::fsetxattr(&self.0, OPAQUE, b"y", XattrFlags::empty())
    }

    pub(super) fn is_opaque(&self) -> bool {
        let mut value = [0u8; 1];
        rustix::fs::fgetxattr(&self.0, OPAQUE, &mut value[..]).is_ok_and(|count| count == 1 && value[0] == b'y')
    }

    /// A path by which the kernel finds the name in this very folder.
    fn path_of(&self, name: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        Path::new(&folder).join(std::ffi::OsStr::from_bytes(name))
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether it hides what the layers below hold under the name.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

pub(super) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The attribute by which overlayfs knows an opaque folder.
const OPAQUE: &[u8] = b"trusted.overlay.opaque";

// Not O_PATH: attributes are set through the descriptor.
const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
