//! The index of the store: which images are here, by which names, made of which layers.
//!
//! Owns `images/*.json` and `repositories.json`, and a snapshot of both in memory that readers take without waiting on
//! the disk. Writers are serialised by [`Index::write`]. Order on disk: content before an image's file, the file before
//! its names, and the reverse when removing; so whatever moment a crash picks, what is named is whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};

use super::{
    digest::{Digest, ImageId},
    error::ImageError,
    files::{self, Paths},
    layers,
    record::{ConfigDocument, Descriptor, ImageRecord},
    reference::Reference,
};

/// One image as its file holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredImage {
    pub(super) version: u32,
    pub(super) id: ImageId,
    /// The manifest it was pulled by; kept as a blob when present.
    pub(super) manifest: Option<Descriptor>,
    /// Bottom first.
    pub(super) layers: Vec<StoredLayer>,
    pub(super) last_tag_time: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredLayer {
    pub(super) chain_id: Digest,
    pub(super) diff_id: Digest,
    /// Bytes unpacked.
    pub(super) size: u64,
}

/// The form of `images/*.json` and `repositories.json` that this code writes.
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct RepositoriesFile {
    version: u32,
    names: BTreeMap<String, ImageId>,
}

/// One image in memory.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) stored: StoredImage,
    document: ConfigDocument,
}

/// All that is known of the images, at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) images: BTreeMap<ImageId, Arc<Image>>,
    pub(super) names: BTreeMap<Reference, ImageId>,
}

impl Snapshot {
    /// The image that a name stands for.
    pub(super) fn named(&self, reference: &Reference) -> Option<&ImageId> {
        match reference.digest() {
            Some(digest) => self
                .names
                .get(&reference.at_digest(digest.clone()))
                // An image may be asked for by its id in place of a registry digest, as Docker allows.
                .or_else(|| self.images.get_key_value(&ImageId(digest.clone())).map(|(id, _)| id)),
            None => self.names.get(reference),
        }
    }

    /// The image that a person means: a name, an id, or the beginning of an id.
    pub(super) fn resolve(&self, text: &str) -> Result<(ImageId, Option<Reference>), ImageError> {
        let missing = || ImageError::NoSuchImage(text.into());
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if let Ok(id) = format!("sha256:{hex}").parse::<ImageId>() {
            return self.images.contains_key(&id).then_some((id, None)).ok_or_else(missing);
        }
        if let Ok(reference) = Reference::parse(text)
            && let Some(id) = self.named(&reference)
        {
            return Ok((id.clone(), Some(reference)));
        }
        let is_prefix = !hex.is_empty() && hex.len() < 64 && hex.bytes().all(super::digest::is_lower_hex);
        if !is_prefix {
            // Tell a malformed name apart from one that is merely absent.
            return Err(Reference::parse(text).err().map_or_else(missing, ImageError::from));
        }
        let mut found = self.images.keys().filter(|id| id.0.hex().starts_with(hex));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok((id.clone(), None)),
            (Some(_), Some(_)) => Err(ImageError::AmbiguousId(text.into())),
            (None, _) => Err(missing()),
        }
    }

    pub(super) fn names_of<'a>(&'a self, id: &'a ImageId) -> impl Iterator<Item = &'a Reference> {
        self.names.iter().filter(move |(_, named)| *named == id).map(|(reference, _)| reference)
    }

    pub(super) fn record(&self, id: &ImageId) -> Option<ImageRecord> {
        let image = self.images.get(id)?;
        let (tagged, digested): (Vec<_>, Vec<_>) = self.names_of(id).partition(|name| name.digest().is_none());
        let mut record = image.record();
        record.repo_tags = tagged.into_iter().map(Reference::familiar).collect();
        record.repo_digests = digested.into_iter().map(Reference::familiar).collect();
        record.repo_tags.sort();
        record.repo_digests.sort();
        Some(record)
    }

    /// Every blob and layer (by chain id) that some image needs.
    pub(super) fn needed(&self) -> BTreeSet<Digest> {
        let of_image = |image: &Arc<Image>| {
            let stored = &image.stored;
            let manifest = stored.manifest.iter().map(|manifest| manifest.digest.clone());
            let layers = stored.layers.iter().map(|layer| layer.chain_id.clone());
            manifest.chain([stored.id.0.clone()]).chain(layers).collect::<Vec<_>>()
        };
        self.images.values().flat_map(of_image).collect()
    }
}

impl Image {
    pub(super) fn new(stored: StoredImage, document: ConfigDocument) -> Self {
        Self { stored, document }
    }

    /// The record but for its names.
    fn record(&self) -> ImageRecord {
        let document = self.document.clone();
        ImageRecord {
            id: self.stored.id.clone(),
            repo_tags: Vec::new(),
            repo_digests: Vec::new(),
            manifest: self.stored.manifest.clone(),
            created: document.created,
            size: self.stored.layers.iter().map(|layer| layer.size).sum(),
            platform: document.platform,
            author: document.author,
            comment: document.comment,
            config: document.config,
            diff_ids: document.rootfs.diff_ids,
            history: document.history,
            last_tag_time: self.stored.last_tag_time,
        }
    }
}

/// The index: a snapshot for readers, one writer at a time.
#[derive(Debug)]
pub(super) struct Index {
    paths: Paths,
    snapshot: RwLock<Arc<Snapshot>>,
    writer: Mutex<()>,
}

impl Index {
    /// Reads the index. An image whose file or content is damaged is dropped with a warning: it can be pulled again.
    pub(super) fn open(paths: &Paths) -> Result<Self, ImageError> {
        let mut snapshot = Snapshot::default();
        for name in files::names_in(&paths.images())? {
            let path = paths.images().join(&name);
            match read_image(paths, &path) {
                Ok(image) => {
                    snapshot.images.insert(image.stored.id.clone(), Arc::new(image));
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), error = &error as &dyn std::error::Error, "dropping a damaged image");
                    files::remove_file(&path)?;
                }
            }
        }
        for (name, id) in read_names(&paths.repositories())? {
            match Reference::parse(&name) {
                Ok(reference) if snapshot.images.contains_key(&id) => {
                    snapshot.names.insert(reference, id);
                }
                _ => tracing::warn!(name, image = %id, "dropping the name of an image that is not here"),
            }
        }
        Ok(Self { paths: paths.clone(), snapshot: RwLock::new(Arc::new(snapshot)), writer: Mutex::new(()) })
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Becomes the one writer. Blocks; call on blocking threads only.
    pub(super) fn write(&self) -> Writer<'_> {
        let turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Writer { index: self, next: Snapshot::clone(&self.snapshot()), _turn: turn }
    }
}

/// The right to change the index; each method is durable when it returns.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    index: &'a Index,
    next: Snapshot,
    _turn: MutexGuard<'a, ()>,
}

impl Writer<'_> {
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.next
    }

    /// Adds or replaces an image and gives it names.
    pub(super) fn add(&mut self, image: Image, names: &[Reference]) -> Result<(), ImageError> {
        let id = image.stored.id.clone();
        let known = self.next.images.get(&id);
        let is_new = known.is_none();
        if known.is_none_or(|known| known.stored != image.stored) {
            self.write_image(&image.stored)?;
            self.next.images.insert(id.clone(), Arc::new(image));
        }
        let named = self.name(&id, names);
        if named.is_err() && is_new {
            // Nobody would find it, and what it needs is about to be removed.
            files::discard(&self.image_path(&id));
        }
        named
    }

    /// Points names at an image that is here.
    pub(super) fn name(&mut self, id: &ImageId, names: &[Reference]) -> Result<(), ImageError> {
        let mut changed = false;
        for name in names {
            changed |= self.next.names.insert(name.clone(), id.clone()).as_ref() != Some(id);
        }
        if changed {
            self.write_names()?;
        }
        self.publish();
        Ok(())
    }

    /// Takes names away.
    pub(super) fn forget(&mut self, names: &[Reference]) -> Result<(), ImageError> {
        self.next.names.retain(|name, _| !names.contains(name));
        self.write_names()?;
        self.publish();
        Ok(())
    }

    /// Removes an image without names.
    pub(super) fn remove(&mut self, id: &ImageId) -> Result<(), ImageError> {
        let path = self.image_path(id);
        files::remove_file(&path)?;
        files::sync_folder_of(&path)?;
        self.next.images.remove(id);
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        *self.index.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.next.clone());
    }

    fn image_path(&self, id: &ImageId) -> std::path::PathBuf {
        self.index.paths.images().join(format!("{}.json", id.0.hex()))
    }

    fn write_image(&self, stored: &StoredImage) -> Result<(), ImageError> {
        let bytes = to_json(stored)?;
        files::replace(&self.image_path(&stored.id), &bytes, self.index.paths.unfinished("index"))
    }

    fn write_names(&self) -> Result<(), ImageError> {
        let names = self.next.names.iter().map(|(name, id)| (name.to_string(), id.clone())).collect();
        let bytes = to_json(&RepositoriesFile { version: VERSION, names })?;
        files::replace(&self.index.paths.repositories(), &bytes, self.index.paths.unfinished("index"))
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec_pretty(value).map_err(|e| ImageError::malformed("index entry", e.to_string()))
}

fn read_image(paths: &Paths, path: &Path) -> Result<Image, ImageError> {
    let damaged = |reason: String| ImageError::Damaged { path: path.into(), reason };
    let bytes = fs::read(path).map_err(|e| ImageError::storage("read", path, e))?;
    let stored: StoredImage = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if stored.version != VERSION {
        return Err(damaged(format!("version {} is not {VERSION}", stored.version)));
    }
    if let Some(manifest) = &stored.manifest {
        let path = paths.blob(&manifest.digest);
        fs::metadata(&path).map_err(|e| ImageError::storage("read", path, e))?;
    }
    let config_path = paths.blob(&stored.id.0);
    let config = fs::read(&config_path).map_err(|e| ImageError::storage("read", &config_path, e))?;
    if !stored.id.0.verifies(&config) {
        return Err(damaged("its configuration does not have the digest that is its id".into()));
    }
    let document = ConfigDocument::parse(&config)?;
    if !document.rootfs.diff_ids.iter().eq(stored.layers.iter().map(|layer| &layer.diff_id)) {
        return Err(damaged("its layers are not those of its configuration".into()));
    }
    for layer in &stored.layers {
        layers::check(paths, &layer.chain_id)?;
    }
    Ok(Image::new(stored, document))
}

fn read_names(path: &Path) -> Result<BTreeMap<String, ImageId>, ImageError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(ImageError::storage("read", path, error)),
    };
    match serde_json::from_slice::<RepositoriesFile>(&bytes) {
        Ok(file) if file.version == VERSION => Ok(file.names),
        outcome => {
            // Names can be given again and images found by id: a damaged file must not keep the daemon down.
            let reason = outcome.err().map_or_else(|| "unknown version".into(), |error| error.to_string());
            let aside = path.with_extension("damaged");
            tracing::warn!(path = %path.display(), reason, aside = %aside.display(), "image names are damaged and were put aside");
            fs::rename(path, &aside).map_err(|e| ImageError::storage("put aside", path, e))?;
            Ok(BTreeMap::new())
        }
    }
}
