//! Loading images from archives: `docker save` (manifest.json) and OCI layouts, plain or compressed.
//!
//! The archive is written to disk whole, then read in place: layers may come before or after what names them, and are
//! unpacked straight from it. Nothing in an archive names a file on this host; members are looked up by exact path.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read},
    sync::Arc,
};

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWriteExt as _, BufWriter};
use tokio_util::sync::CancellationToken;

use super::{
    digest::{Digest, ImageId},
    error::ImageError,
    files::{self, Unfinished},
    index::StoredLayer,
    install::{self, Blob, Finished, Installer},
    layers, limits,
    manifest::{self, Document, IndexEntry},
    platform::Platform,
    record::{ConfigDocument, Descriptor},
    reference::Reference,
    store::ImageStore,
    unpack::{self, Compression, Kind, TarError, TarReader},
};

/// An image that an archive held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub id: ImageId,
    /// Its names from the archive; empty when it had none.
    pub names: Vec<Reference>,
}

impl ImageStore {
    /// Loads the images of an archive (`docker save` or OCI layout; plain, gzip or zstd). When the caller goes, loading
    /// stops; when it fails, no image of the archive that was not complete stays.
    ///
    /// # Errors
    /// When the archive is malformed, or the disk refuses.
    pub async fn load(&self, archive: impl AsyncRead + Send + Unpin + 'static) -> Result<Vec<Loaded>, ImageError> {
        let cancel = self.inner.stop.child_token();
        let _guard = cancel.clone().drop_guard();
        match self.spawn_load(archive, cancel).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ImageError::Cancelled),
        }
    }

    fn spawn_load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        cancel: CancellationToken,
    ) -> tokio::task::JoinHandle<Result<Vec<Loaded>, ImageError>> {
        let store = self.clone();
        self.inner.jobs.spawn(Installer::run(store, cancel, |installer| Load { installer }.run(archive)))
    }
}

struct Load {
    installer: Installer,
}

/// An archive on disk, and where its members lie in it.
struct Archive {
    file: Arc<Unfinished>,
    members: HashMap<String, Member>,
}

#[derive(Debug, Clone)]
enum Member {
    File {
        offset: u64,
        length: u64,
    },
    /// Older `docker save` links equal layers.
    Link(String),
}

/// An image of an archive.
struct Found {
    config: Vec<u8>,
    /// Compressed or not, bottom first.
    layers: Vec<Blob>,
    manifest: Option<(Descriptor, Vec<u8>)>,
    names: Vec<Reference>,
}

impl Load {
    async fn run(self, archive: impl AsyncRead + Unpin) -> Result<Vec<Loaded>, ImageError> {
        let file = self.receive(archive).await?;
        let found = self.installer.blocking(move |inner| images_of(plain(file, &inner.paths)?)).await?;
        let mut loaded = Vec::new();
        for image in found {
            loaded.push(self.install(image).await?);
        }
        Ok(loaded)
    }

    async fn receive(&self, mut archive: impl AsyncRead + Unpin) -> Result<Unfinished, ImageError> {
        let unfinished = Unfinished::new(self.installer.store.inner.paths.unfinished("archive"));
        let path = unfinished.path();
        let failed = |e| ImageError::storage("write", path, e);
        let file =
            tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await.map_err(failed)?;
        let mut file = BufWriter::with_capacity(limits::WRITE_BUFFER_BYTES, file);
        let mut buffer = vec![0; limits::WRITE_BUFFER_BYTES];
        loop {
            let count = tokio::io::AsyncReadExt::read(&mut archive, &mut buffer).await;
            let count = count.map_err(|e| ImageError::Archive(format!("it broke off while it was received: {e}")))?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(unfinished)
    }

    async fn install(&self, image: Found) -> Result<Loaded, ImageError> {
        let document = ConfigDocument::parse(&image.config)?;
        let diff_ids = document.rootfs.diff_ids.clone();
        if diff_ids.len() != image.layers.len() {
            let reason = format!("an image has {} layers, its configuration {}", image.layers.len(), diff_ids.len());
            return Err(ImageError::Archive(reason));
        }
        let chain = layers::chain_ids(&diff_ids);
        let manifest = image.manifest.iter().map(|(descriptor, _)| descriptor.digest.clone());
        let leased = chain.iter().cloned().chain([Digest::sha256(&image.config)]).chain(manifest);
        let _lease = self.installer.store.inner.leases.take(leased);
        let mut stored = Vec::with_capacity(chain.len());
        for (at, (blob, diff_id)) in image.layers.into_iter().zip(diff_ids).enumerate() {
            stored.push(self.layer(blob, diff_id, &chain[..=at]).await?);
        }
        let names = image.names.clone();
        let (config, manifest) = (image.config, image.manifest);
        let id =
            self.installer.finish(Finished { config, document, layers: stored, manifest, names: image.names }).await?;
        Ok(Loaded { id, names })
    }

    async fn layer(&self, blob: Blob, diff_id: Digest, chain: &[Digest]) -> Result<StoredLayer, ImageError> {
        let Some(chain_id) = chain.last() else { return Err(ImageError::Cancelled) };
        let _turn = self.installer.store.inner.turns.take(chain_id).await;
        if let Some(stored) = self.installer.find(chain_id).await? {
            return Ok(stored);
        }
        let tree = self.installer.unpack(blob, diff_id, Arc::new(|_| ())).await?;
        self.installer.place(tree, chain).await
    }
}

/// The archive without its outer compression.
fn plain(file: Unfinished, paths: &files::Paths) -> Result<Unfinished, ImageError> {
    let length = std::fs::metadata(file.path()).map_err(|e| ImageError::storage("read", file.path(), e))?.len();
    let blob = Blob::whole(file, length);
    let mut head = Vec::new();
    install::open(&blob)?
        .take(6)
        .read_to_end(&mut head)
        .map_err(|e| ImageError::storage("read", blob.file.path(), e))?;
    if Compression::detect(&head) == Compression::Plain {
        return Arc::into_inner(blob.file).ok_or(ImageError::Cancelled);
    }
    let unfinished = Unfinished::new(paths.unfinished("archive"));
    let mut stream = unpack::decoder(install::open(&blob)?).map_err(|e| ImageError::Archive(e.to_string()))?;
    let mut out =
        files::create_private(unfinished.path()).map_err(|e| ImageError::storage("create", unfinished.path(), e))?;
    let mut buffer = vec![0; limits::WRITE_BUFFER_BYTES];
    let mut total: u64 = 0;
    loop {
        let count =
            stream.read(&mut buffer).map_err(|e| ImageError::Archive(format!("it cannot be decompressed: {e}")))?;
        if count == 0 {
            return Ok(unfinished);
        }
        total += count as u64;
        if total > limits::LAYER_BYTES_MAX {
            return Err(ImageError::TooLarge { what: "archive", limit: format!("{} bytes", limits::LAYER_BYTES_MAX) });
        }
        io::Write::write_all(&mut out, &buffer[..count])
            .map_err(|e| ImageError::storage("write", unfinished.path(), e))?;
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images that an archive holds.
fn images_of(file: Unfinished) -> Result<Vec<Found>, ImageError> {
    let archive = Archive::scan(file)?;
    if archive.members.contains_key("manifest.json") {
        return docker_images(&archive);
    }
    if archive.members.contains_key("index.json") {
        return oci_images(&archive);
    }
    Err(ImageError::Archive("it holds neither manifest.json (docker save) nor index.json (OCI layout)".into()))
}

fn docker_images(archive: &Archive) -> Result<Vec<Found>, ImageError> {
    let bytes = archive.read("manifest.json", limits::MANIFEST_BYTES_MAX)?;
    let entries: Vec<DockerEntry> =
        serde_json::from_slice(&bytes).map_err(|error| ImageError::Archive(format!("manifest.json: {error}")))?;
    let image = |entry: DockerEntry| {
        let layers = entry.layers.unwrap_or_default();
        let names = entry.repo_tags.unwrap_or_default();
        Ok(Found {
            config: archive.read(&entry.config, limits::CONFIG_BYTES_MAX)?,
            layers: layers.iter().map(|path| archive.blob(path)).collect::<Result<_, _>>()?,
            manifest: None,
            names: names.iter().map(|name| tagged(name)).collect::<Result<_, ImageError>>()?,
        })
    };
    entries.into_iter().map(image).collect()
}

fn oci_images(archive: &Archive) -> Result<Vec<Found>, ImageError> {
    let bytes = archive.read("index.json", limits::MANIFEST_BYTES_MAX)?;
    let Document::Index(entries) = Document::parse(&bytes, "")? else {
        return Err(ImageError::Archive("index.json is not an index".into()));
    };
    let mut found: Vec<Found> = Vec::new();
    let images: Vec<&IndexEntry> = entries.iter().filter(|entry| entry.is_image()).collect();
    // Entries without a name of their own are one image for several platforms.
    let (named, nameless): (Vec<_>, Vec<_>) =
        images.into_iter().partition(|entry| !names_of(&entry.annotations).is_empty());
    let mut chosen: Vec<&IndexEntry> = named;
    if chosen.is_empty() {
        let nameless: Vec<IndexEntry> = nameless.into_iter().cloned().collect();
        let pick = manifest::choose(&nameless, &Platform::host())?.descriptor.digest.clone();
        chosen.extend(entries.iter().find(|entry| entry.descriptor.digest == pick));
    }
    for entry in chosen {
        let image = oci_image(archive, entry)?;
        match found.iter_mut().find(|known| known.config == image.config) {
            Some(known) => known.names.extend(image.names),
            None => found.push(image),
        }
    }
    Ok(found)
}

fn oci_image(archive: &Archive, entry: &IndexEntry) -> Result<Found, ImageError> {
    let mut descriptor = entry.descriptor.clone();
    let mut bytes = archive.verified(&descriptor, "manifest", limits::MANIFEST_BYTES_MAX)?;
    let mut document = Document::parse(&bytes, &descriptor.media_type)?;
    if let Document::Index(entries) = &document {
        descriptor = manifest::choose(entries, &Platform::host())?.descriptor.clone();
        bytes = archive.verified(&descriptor, "manifest", limits::MANIFEST_BYTES_MAX)?;
        document = Document::parse(&bytes, &descriptor.media_type)?;
    }
    let Document::Manifest(manifest) = document else {
        return Err(ImageError::Archive("an index holds an index of indexes".into()));
    };
    let layers = manifest.layers.iter().map(|layer| archive.blob(&path_of(&layer.digest)));
    Ok(Found {
        config: archive.verified(&manifest.config, "image configuration", limits::CONFIG_BYTES_MAX)?,
        // Their bytes are not hashed here: what they unpack to is compared with the configuration.
        layers: layers.collect::<Result<_, _>>()?,
        manifest: Some((descriptor, bytes)),
        names: names_of(&entry.annotations),
    })
}

/// A name of an archive. One with a digest is refused: an archive must not say what a registry holds.
fn tagged(name: &str) -> Result<Reference, ImageError> {
    let reference = Reference::parse(name)?;
    if reference.digest().is_some() {
        return Err(ImageError::Archive(format!("its name {name:?} has a digest where a tag belongs")));
    }
    Ok(reference)
}

/// The names that annotations give an image: containerd's whole one, else OCI's if it is more than a tag.
fn names_of(annotations: &BTreeMap<String, String>) -> Vec<Reference> {
    let whole = annotations.get("io.containerd.image.name").and_then(|name| tagged(name).ok());
    let plain = || {
        let name = annotations.get("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/']));
        name.and_then(|name| tagged(name).ok())
    };
    whole.or_else(plain).into_iter().collect()
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}", digest.as_str().replacen(':', "/", 1))
}

impl Archive {
    fn scan(file: Unfinished) -> Result<Self, ImageError> {
        let file = Arc::new(file);
        let length = std::fs::metadata(file.path()).map_err(|e| ImageError::storage("read", file.path(), e))?.len();
        let blob = Blob { file: Arc::clone(&file), offset: 0, length };
        let mut reader =
            TarReader::new(io::BufReader::with_capacity(limits::WRITE_BUFFER_BYTES, install::open(&blob)?));
        let mut members = HashMap::new();
        let broken = |error: TarError| {
            let source = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            ImageError::Archive(format!("{error}{source}"))
        };
        while let Some(entry) = reader.next().map_err(broken)? {
            let Ok(path) = std::str::from_utf8(&entry.path) else { continue };
            let member = match entry.kind {
                Kind::File => Member::File { offset: reader.position(), length: entry.size },
                Kind::Symlink | Kind::HardLink => {
                    let Ok(target) = std::str::from_utf8(&entry.link) else { continue };
                    let base = if entry.kind == Kind::Symlink { path } else { "" };
                    Member::Link(join(base, target))
                }
                _ => continue,
            };
            members.insert(join("", path), member);
            if members.len() > limits::ARCHIVE_ENTRIES_MAX {
                return Err(ImageError::TooLarge {
                    what: "archive",
                    limit: format!("{} entries", limits::ARCHIVE_ENTRIES_MAX),
                });
            }
        }
        Ok(Self { file, members })
    }

    fn blob(&self, path: &str) -> Result<Blob, ImageError> {
        let mut path = join("", path);
        for _ in 0..LINKS_MAX {
            match self.members.get(&path) {
                Some(&Member::File { offset, length }) => {
                    return Ok(Blob { file: Arc::clone(&self.file), offset, length });
                }
                Some(Member::Link(target)) => path.clone_from(target),
                None => break,
            }
        }
        Err(ImageError::Archive(format!("its member {path:?} is missing")))
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
        let blob = self.blob(path)?;
        if blob.length > limit {
            return Err(ImageError::TooLarge { what: "archive member", limit: format!("{limit} bytes") });
        }
        let mut bytes = Vec::new();
        install::open(&blob)?.read_to_end(&mut bytes).map_err(|e| ImageError::storage("read", self.file.path(), e))?;
        Ok(bytes)
    }

    fn verified(&self, descriptor: &Descriptor, what: &'static str, limit: u64) -> Result<Vec<u8>, ImageError> {
        let bytes = self.read(&path_of(&descriptor.digest), limit)?;
        if descriptor.digest.verifies(&bytes) {
            return Ok(bytes);
        }
        let (expected, actual) = (descriptor.digest.to_string(), Digest::sha256(&bytes).to_string());
        Err(ImageError::DigestMismatch { what, expected, actual })
    }
}

/// A member's path, in the one form that members are known by; `base` is the path of a link.
fn join(base: &str, path: &str) -> String {
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    let start = if path.starts_with('/') { "" } else { folder };
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Links followed to a member.
const LINKS_MAX: usize = 8;
