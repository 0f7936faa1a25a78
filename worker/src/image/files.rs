//! Durable small files and folders of the store.
//!
//! Owns the order "write beside, sync, rename, sync the folder", so that a crash at any moment leaves the old or the
//! new content, and the names of unfinished work. Blocking: callers are on blocking threads.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::fd::AsFd as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{digest::Digest, error::ImageError};

/// Where everything of the store lies.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// `<data root>/image`.
    pub(super) root: PathBuf,
    /// `<data root>/container`.
    pub(super) containers: PathBuf,
}

impl Paths {
    /// Makes the folders that are missing, all for root only.
    pub(super) fn create(data_root: &Path) -> Result<Self, ImageError> {
        let paths = Self { root: data_root.join("image"), containers: data_root.join("container") };
        make_private(data_root, false)?;
        for folder in [&paths.root, &paths.containers] {
            make_private(folder, true)?;
        }
        for folder in [
            paths.empty_layer(),
            paths.content().join("sha256"),
            paths.content().join("sha512"),
            paths.layers(),
            paths.images(),
            paths.ingest(),
        ] {
            make_private(&folder, true)?;
        }
        Ok(paths)
    }

    pub(super) fn content(&self) -> PathBuf {
        self.root.join("content")
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = digest.as_str().split_once(':').unwrap_or(("sha256", digest.as_str()));
        self.content().join(algorithm).join(hex)
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// What an image without layers is made of.
    pub(super) fn empty_layer(&self) -> PathBuf {
        self.root.join("empty")
    }

    pub(super) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    pub(super) fn repositories(&self) -> PathBuf {
        self.root.join("repositories.json")
    }

    pub(super) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }

    /// A name for unfinished work that nothing else of this process uses; the folder is emptied when the store opens.
    pub(super) fn unfinished(&self, kind: &str) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.ingest().join(format!("{kind}-{}-{number}", std::process::id()))
    }
}

/// Unfinished work on disk; removed when dropped, unless it was put in its place.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    placed: bool,
}

impl Unfinished {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, placed: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames it to `target`, and syncs the folder that now holds it.
    pub(super) fn place(self, target: &Path) -> Result<(), ImageError> {
        self.place_unsynced(target)?;
        sync_folder_of(target)
    }

    /// Renames it to `target`; a crash of the whole host may undo it or leave it incomplete.
    pub(super) fn place_unsynced(mut self, target: &Path) -> Result<(), ImageError> {
        fs::rename(&self.path, target).map_err(|e| ImageError::storage("create", target, e))?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.placed {
            discard(&self.path);
        }
    }
}

/// Removes a file or tree that must not stay; what cannot be removed now is removed when the store opens again.
pub(super) fn discard(path: &Path) {
    let outcome = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "unfinished image data stays until the next start");
        }
        _ => {}
    }
}

/// Replaces `path` by `bytes`, whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8], unfinished: PathBuf) -> Result<(), ImageError> {
    let temporary = Unfinished::new(unfinished);
    let write = || {
        let mut file = create_private(temporary.path())?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| ImageError::storage("write", path, e))?;
    temporary.place(path)
}

pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn sync_folder_of(path: &Path) -> Result<(), ImageError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| ImageError::storage("sync", folder, e))
}

/// Brings all that was written on this disk to it.
pub(super) fn sync_disk_of(folder: &Path) -> Result<(), ImageError> {
    let sync = || rustix::fs::syncfs(File::open(folder)?.as_fd()).map_err(io::Error::from);
    sync().map_err(|e| ImageError::storage("sync", folder, e))
}

/// Removes a file whose absence is as good.
pub(super) fn remove_file(path: &Path) -> Result<(), ImageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ImageError::storage("remove", path, error)),
        _ => Ok(()),
    }
}

/// Names in a folder.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, ImageError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    let names = read().map_err(|e| ImageError::storage("list", folder, e))?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

fn make_private(folder: &Path, ours: bool) -> Result<(), ImageError> {
    let failed = |e| ImageError::storage("create", folder, e);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    // A data root that someone made beforehand keeps its mode; what is ours within it does not.
    if ours { fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_private_and_files_are_replaced_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = Paths::create(&scratch.path().join("data")).unwrap();
        for folder in [&paths.root, &paths.containers, &paths.layers(), &scratch.path().join("data")] {
            assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        }
        let file = paths.repositories();
        for text in ["one", "two"] {
            replace(&file, text.as_bytes(), paths.unfinished("file")).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert!(names_in(&paths.ingest()).unwrap().is_empty());
    }

    #[test]
    fn unfinished_work_vanishes_when_dropped() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("tree");
        fs::create_dir_all(path.join("a/b")).unwrap();
        drop(Unfinished::new(path.clone()));
        assert!(!path.exists());
    }
}
