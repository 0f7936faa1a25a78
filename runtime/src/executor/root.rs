//! A container's root directory, and paths in it. The kernel keeps every step of a path beneath the root, follows no
//! magic link, and what comes back is a descriptor: nobody can swap what it names.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

use crate::executor::start::DIRECTORY_MODE;

/// The root of a container.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Root {
    pub(super) fn new(directory: OwnedFd) -> Self {
        Self(directory)
    }

    /// Opens a path, symlinks resolved inside.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.open_with(path, flags, ResolveFlags::empty())
    }

    /// Opens a path of which no part may be a symlink.
    pub(super) fn open_strictly(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.open_with(path, flags, ResolveFlags::NO_SYMLINKS)
    }

    fn open_with(&self, path: &Path, flags: OFlags, more: ResolveFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
        let mut attempts = 0;
        loop {
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // Something was renamed on the way just now: look again, but not for ever.
                Err(Errno::AGAIN) if attempts < ATTEMPTS_MAX => attempts += 1,
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Opens a directory, making what is missing of it.
    pub(super) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_or_make(path, OFlags::PATH | OFlags::DIRECTORY, |parent, name| {
            Ok(mkdirat(parent, name, DIRECTORY_MODE)?)
        })
    }

    /// Opens a directory of which no part may be a symlink, making what is missing of it.
    pub(super) fn real_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.open_strictly(path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.directory(path)?;
                self.open_strictly(path, OFlags::PATH | OFlags::DIRECTORY)
            }
            outcome => outcome,
        }
    }

    /// Opens whatever is at a path; makes an empty file, and the directories above, when nothing is there.
    pub(super) fn file(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_or_make(path, OFlags::PATH, |parent, name| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(parent, name, flags, Mode::from_raw_mode(0o644))?;
            Ok(())
        })
    }

    fn open_or_make(
        &self,
        path: &Path,
        flags: OFlags,
        make_last: impl Fn(BorrowedFd<'_>, &OsStr) -> io::Result<()>,
    ) -> io::Result<OwnedFd> {
        match self.open(path, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            outcome => return outcome,
        }
        let mut reached = PathBuf::from("/");
        let mut parent = self.open(&reached, OFlags::PATH | OFlags::DIRECTORY)?;
        let parts: Vec<&OsStr> = path.components().filter_map(normal).collect();
        for (n, part) in parts.iter().enumerate() {
            reached.push(part);
            let last = n + 1 == parts.len();
            let wanted = if last { flags } else { OFlags::PATH | OFlags::DIRECTORY };
            parent = match self.open(&reached, wanted) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Made beneath a descriptor, so it lands where the last step was resolved to.
                    match if last {
                        make_last(parent.as_fd(), part)
                    } else {
                        Ok(mkdirat(&parent, *part, DIRECTORY_MODE)?)
                    } {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                        outcome => outcome?,
                    }
                    self.open(&reached, wanted)?
                }
                outcome => outcome?,
            };
        }
        Ok(parent)
    }
}

fn normal<'a>(component: Component<'a>) -> Option<&'a OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}

/// How often a path that is being renamed is looked up again.
const ATTEMPTS_MAX: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root(directory: &Path) -> Root {
        Root::new(std::fs::File::open(directory).unwrap().into())
    }

    #[test]
    fn links_out_lead_back_in() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(inside.path().join("real/etc")).unwrap();
        symlink("/real", inside.path().join("link")).unwrap();
        symlink(outside.path(), inside.path().join("out")).unwrap();
        symlink("../../../../../../etc", inside.path().join("up")).unwrap();
        let root = root(inside.path());
        root.file(Path::new("/link/etc/hosts")).unwrap();
        assert!(inside.path().join("real/etc/hosts").is_file());
        // A dangling link is neither followed outside nor replaced.
        assert!(root.directory(Path::new("/out/made")).is_err());
        assert!(root.file(Path::new("/up/made")).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(root.real_directory(Path::new("/link")).is_err());
        root.real_directory(Path::new("/a/b/c")).unwrap();
        assert!(inside.path().join("a/b/c").is_dir());
        assert!(root.open(Path::new("/proc/self/fd/0"), OFlags::PATH).is_err());
    }
}
