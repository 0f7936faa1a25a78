//! The folders of containers' root filesystems, and with them which images are in use.
//!
//! Makes and removes `upper`, `work` and `merged` below `container/<id>`; the runtime mounts. Which image a container
//! uses is the target of the symbolic link `image` beside them, so that it outlives the daemon. Other files in a
//! container's folder belong to others and are left alone.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    digest::ImageId,
    error::ImageError,
    files::{self, Paths},
    store::ImageStore,
};

/// The folders that overlayfs joins into a container's root filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// Unpacked layers, top first.
    pub lower: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// Overlayfs' own.
    pub work: PathBuf,
    /// Where to mount it.
    pub merged: PathBuf,
}

/// Which container uses which image.
#[derive(Debug, Default)]
pub(super) struct Uses {
    by_container: Mutex<HashMap<String, ImageId>>,
}

impl Uses {
    pub(super) fn open(paths: &Paths) -> Result<Self, ImageError> {
        let mut by_container = HashMap::new();
        for name in files::names_in(&paths.containers)? {
            let link = fs::read_link(paths.containers.join(&name).join(IMAGE_LINK));
            if let Some(id) = link.ok().and_then(|target| target.to_str()?.parse().ok()) {
                by_container.insert(name, id);
            }
        }
        Ok(Self { by_container: Mutex::new(by_container) })
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, ImageId>> {
        self.by_container.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ImageStore {
    /// Makes the folders of a container's root filesystem, and counts the container as a user of the image. Folders
    /// that are there already (the daemon restarted) are kept with what is in them. A few system calls; blocks briefly.
    ///
    /// # Errors
    /// When the image is not here, the id cannot be a folder's name, or the disk refuses; then nothing is left.
    pub fn prepare_rootfs(&self, container: &str, image: &ImageId) -> Result<Rootfs, ImageError> {
        check_container_id(container)?;
        let mut uses = self.inner.uses.lock();
        // Looked up while uses are locked: a removal that holds this lock either sees the use or is seen here.
        let mut lower = self.layers(image)?;
        if lower.is_empty() {
            // Overlayfs wants one.
            lower.push(self.inner.paths.empty_layer());
        }
        let folder = self.inner.paths.containers.join(container);
        let existed = folder.exists();
        let make = || make_folders(&folder, image, lower.first().map(PathBuf::as_path));
        if let Err(error) = make() {
            if !existed {
                files::discard(&folder);
            }
            return Err(ImageError::storage("create", folder, error));
        }
        uses.insert(container.into(), image.clone());
        let [upper, work, merged] = FOLDERS.map(|name| folder.join(name));
        Ok(Rootfs { lower, upper, work, merged })
    }

    /// Removes the folders of a container's root filesystem, and the container from the image's users. Removing what
    /// is not there is no error. Blocks for as long as it takes to remove what the container wrote.
    ///
    /// # Errors
    /// When it is still mounted, the id cannot be a folder's name, or the disk refuses.
    pub fn remove_rootfs(&self, container: &str) -> Result<(), ImageError> {
        check_container_id(container)?;
        let folder = self.inner.paths.containers.join(container);
        let [upper, work, merged] = FOLDERS.map(|name| folder.join(name));
        // First, and not recursively: were it mounted, removing would reach into the image through the mount.
        match fs::remove_dir(&merged) {
            Err(error) if matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::DirectoryNotEmpty) => {
                return Err(ImageError::StillMounted(container.into()));
            }
            outcome => absent_is_fine(outcome).map_err(|e| ImageError::storage("remove", &merged, e))?,
        }
        for tree in [&upper, &work] {
            absent_is_fine(fs::remove_dir_all(tree)).map_err(|e| ImageError::storage("remove", tree, e))?;
        }
        files::remove_file(&folder.join(IMAGE_LINK))?;
        self.inner.uses.lock().remove(container);
        match fs::remove_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            outcome => absent_is_fine(outcome).map_err(|e| ImageError::storage("remove", &folder, e)),
        }
    }
}

fn make_folders(folder: &Path, image: &ImageId, top: Option<&Path>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for name in FOLDERS {
        let path = folder.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    // The mount's root has the owner and mode of `upper`: those that the image gives its root.
    let upper = folder.join(FOLDERS[0]);
    let (mode, owner) = match top {
        Some(top) => {
            let metadata = fs::metadata(top)?;
            (metadata.mode() & 0o7777, (metadata.uid(), metadata.gid()))
        }
        None => (0o755, (0, 0)),
    };
    chown(&upper, Some(owner.0), Some(owner.1))?;
    fs::set_permissions(&upper, fs::Permissions::from_mode(mode))?;
    let link = folder.join(IMAGE_LINK);
    match symlink(image.as_str(), &link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&link)?;
            symlink(image.as_str(), &link)
        }
        outcome => outcome,
    }
}

fn absent_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn check_container_id(id: &str) -> Result<(), ImageError> {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > 128 || id.starts_with('.') || !id.bytes().all(sound) {
        return Err(ImageError::ContainerId(id.chars().take(160).collect()));
    }
    Ok(())
}

const FOLDERS: [&str; 3] = ["upper", "work", "merged"];
const IMAGE_LINK: &str = "image";
