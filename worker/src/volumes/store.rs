//! The volumes on disk: one folder each, with `volume.json` beside the data.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use shoal_proto::model::{Labels, Timestamp};

use super::{VolumeError, copy};
use crate::events::now;

/// The volumes of this host. Clones share them. Methods touch the disk and block.
#[derive(Debug, Clone)]
pub struct Volumes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    /// Held while a volume is made and filled: two containers may ask for the same one at once.
    making: Mutex<()>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its data on the host.
    pub mountpoint: PathBuf,
    /// Its labels.
    pub labels: Labels,
    /// When it was made.
    pub created_at: Timestamp,
    /// It was made for one container and goes with it.
    pub anonymous: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Description {
    labels: Labels,
    created_at: Timestamp,
    anonymous: bool,
}

/// Where an empty volume gets its first content from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    /// Unpacked layers of the image, top first.
    pub(crate) layers: &'a [PathBuf],
    /// The path in the image.
    pub(crate) target: &'a str,
}

/// A volume that should be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Labels,
    pub(crate) anonymous: bool,
    pub(crate) content: Option<Content<'a>>,
}

impl Volumes {
    /// The volumes below the data-root.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(data_root: &Path) -> Result<Self, VolumeError> {
        let root = data_root.join("volumes");
        let made = DirBuilder::new().recursive(true).mode(0o701).create(&root);
        made.map_err(|error| VolumeError::file("create", &root, error))?;
        Ok(Self { shared: Arc::new(Shared { root, making: Mutex::new(()) }) })
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn list(&self) -> Result<Vec<Volume>, VolumeError> {
        let root = &self.shared.root;
        let entries = fs::read_dir(root).map_err(|error| VolumeError::file("list", root, error))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut volumes: Vec<Volume> = names.filter_map(|name| self.inspect(&name).ok()).collect();
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    /// One volume.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn inspect(&self, name: &str) -> Result<Volume, VolumeError> {
        let folder = self.folder(name)?;
        let mountpoint = folder.join(DATA);
        if !mountpoint.is_dir() {
            return Err(VolumeError::NotFound(name.to_owned()));
        }
        let description = fs::read(folder.join(DESCRIPTION)).ok();
        let description: Description =
            description.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let Description { labels, created_at, anonymous } = description;
        Ok(Volume { name: name.to_owned(), mountpoint, labels, created_at, anonymous })
    }

    /// Has the volume there; one that is made or still empty is filled. Its data on the host.
    pub(crate) fn ensure(&self, wanted: Wanted<'_>) -> Result<PathBuf, VolumeError> {
        let folder = self.folder(wanted.name)?;
        let data = folder.join(DATA);
        let _making = self.shared.making.lock().unwrap_or_else(PoisonError::into_inner);
        if !data.is_dir() {
            let description =
                Description { labels: wanted.labels.clone(), created_at: now(), anonymous: wanted.anonymous };
            make(&folder, &description).map_err(|error| VolumeError::file("create volume", &folder, error))?;
        }
        if let Some(content) = wanted.content
            && is_empty(&data).map_err(|error| VolumeError::file("read", &data, error))?
        {
            fill(&folder, &data, content)?;
        }
        Ok(data)
    }

    /// Removes a volume and what is in it; no error when there is none.
    pub(crate) fn remove(&self, name: &str) -> Result<(), VolumeError> {
        let folder = self.folder(name)?;
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(VolumeError::file("remove", folder, error)),
            _ => Ok(()),
        }
    }

    fn folder(&self, name: &str) -> Result<PathBuf, VolumeError> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins || name.len() > 255 || !name.bytes().all(sound) {
            return Err(VolumeError::Name(name.to_owned()));
        }
        Ok(self.shared.root.join(name))
    }
}

/// A folder inside a volume.
pub(crate) fn subpath(volume: &Path, subpath: &str) -> Result<PathBuf, VolumeError> {
    let refused = || VolumeError::Subpath(subpath.to_owned());
    if Path::new(subpath).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused());
    }
    // What a container left there may be a link to anywhere.
    let inside = volume.join(subpath).canonicalize().map_err(|_| refused())?;
    let root = volume.canonicalize().map_err(|_| refused())?;
    if inside.starts_with(root) { Ok(inside) } else { Err(refused()) }
}

fn make(folder: &Path, description: &Description) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o701).create(folder)?;
    fs::write(folder.join(DESCRIPTION), serde_json::to_vec(description)?)?;
    DirBuilder::new().mode(0o755).create(folder.join(DATA))
}

/// Beside the data first and then in its place, so that a crash leaves it empty or whole.
fn fill(folder: &Path, data: &Path, content: Content<'_>) -> Result<(), VolumeError> {
    let fresh = folder.join(FRESH);
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(VolumeError::file("remove", fresh, error)),
        _ => {}
    }
    fs::create_dir(&fresh).map_err(|error| VolumeError::file("create", &fresh, error))?;
    copy::fill(&fresh, content.layers, content.target)?;
    fs::rename(&fresh, data).map_err(|error| VolumeError::file("fill", data, error))
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}

const DATA: &str = "_data";
const FRESH: &str = "_data.new";
const DESCRIPTION: &str = "volume.json";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    fn wanted<'a>(name: &'a str, labels: &'a Labels, content: Option<Content<'a>>) -> Wanted<'a> {
        Wanted { name, labels, anonymous: false, content }
    }

    #[test]
    fn a_volume_is_made_filled_listed_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        let layer = root.path().join("layer");
        fs::create_dir_all(layer.join("srv/www/deep")).unwrap();
        fs::write(layer.join("srv/www/index"), "hello").unwrap();
        fs::set_permissions(layer.join("srv/www/index"), fs::Permissions::from_mode(0o640)).unwrap();
        chown(layer.join("srv/www"), Some(7), Some(8)).unwrap();
        symlink("index", layer.join("srv/www/deep/link")).unwrap();
        symlink("/srv", layer.join("alias")).unwrap();
        let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
        let layers = [layer];
        let content = Content { layers: &layers, target: "/alias/www" };
        let data = volumes.ensure(wanted("web", &labels, Some(content))).unwrap();
        assert_eq!(fs::read_to_string(data.join("index")).unwrap(), "hello");
        assert_eq!(fs::metadata(data.join("index")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_link(data.join("deep/link")).unwrap(), Path::new("index"));
        assert_eq!((fs::metadata(&data).unwrap().uid(), fs::metadata(&data).unwrap().gid()), (7, 8));
        fs::write(data.join("index"), "changed").unwrap();
        volumes.ensure(wanted("web", &labels, Some(content))).unwrap();
        assert_eq!(fs::read_to_string(data.join("index")).unwrap(), "changed");
        assert_eq!(volumes.list().unwrap()[0].labels, labels);
        volumes.remove("web").unwrap();
        volumes.remove("web").unwrap();
        assert!(matches!(volumes.inspect("web"), Err(VolumeError::NotFound(_))));
    }

    #[test]
    fn layers_are_seen_as_one_and_links_do_not_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        let layers: Vec<PathBuf> = ["top", "bottom"].iter().map(|name| root.path().join(name)).collect();
        for layer in &layers {
            fs::create_dir_all(layer.join("data")).unwrap();
        }
        fs::write(layers[0].join("data/one"), "top").unwrap();
        fs::write(layers[1].join("data/one"), "bottom").unwrap();
        fs::write(layers[1].join("data/two"), "bottom").unwrap();
        fs::create_dir(root.path().join("secret")).unwrap();
        fs::write(root.path().join("secret/file"), "host").unwrap();
        symlink(root.path().join("secret"), layers[0].join("escape")).unwrap();
        let labels = Labels::new();
        let fill =
            |name, target| volumes.ensure(wanted(name, &labels, Some(Content { layers: &layers, target }))).unwrap();
        let data = fill("both", "/data");
        assert_eq!(fs::read_to_string(data.join("one")).unwrap(), "top");
        assert_eq!(fs::read_to_string(data.join("two")).unwrap(), "bottom");
        assert!(is_empty(&fill("escaped", "/escape")).unwrap());
        assert!(is_empty(&fill("absent", "/no/such")).unwrap());
    }

    #[test]
    fn names_and_subpaths_stay_inside() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(root.path()).unwrap();
        for name in ["", ".", "..", "a/b", "-a", "a b"] {
            assert!(matches!(volumes.inspect(name), Err(VolumeError::Name(_))), "{name}");
        }
        let data = volumes.ensure(wanted("web", &Labels::new(), None)).unwrap();
        fs::create_dir(data.join("inner")).unwrap();
        symlink("/etc", data.join("etc")).unwrap();
        assert!(subpath(&data, "inner").unwrap().ends_with("inner"));
        for path in ["../web", "/etc", "etc", "none"] {
            assert!(matches!(subpath(&data, path), Err(VolumeError::Subpath(_))), "{path}");
        }
    }
}
