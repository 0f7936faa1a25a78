//! Making layers and images of the store out of content on disk: what pulling and loading have in common.
//!
//! Owns the life of one such job: its disk work runs on blocking threads that stop when the job is cancelled, and when a
//! job fails or is dropped nothing of it stays. Leaves where the content came from to its callers.

use std::{
    fs::{self, File},
    io::{self, Read, Seek as _, SeekFrom},
    path::PathBuf,
    sync::Arc,
};

use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    digest::{Digest, ImageId},
    error::ImageError,
    files::{self, Unfinished},
    index::{Image, StoredImage, StoredLayer, VERSION},
    layers::{self, LayerFile},
    limits,
    record::{ConfigDocument, Descriptor},
    reference::Reference,
    store::{ImageStore, Inner},
    unpack::{self, Unpacked},
};

/// A compressed layer on disk: a file of its own, or a stretch of an archive.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) file: Arc<Unfinished>,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// A layer unpacked and verified, but not in its place.
#[derive(Debug)]
pub(super) struct Tree {
    folder: Unfinished,
    unpacked: Unpacked,
}

/// An image whose layers are in their places.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) config: Vec<u8>,
    pub(super) document: ConfigDocument,
    pub(super) layers: Vec<StoredLayer>,
    /// The manifest, for images that have one.
    pub(super) manifest: Option<(Descriptor, Vec<u8>)>,
    pub(super) names: Vec<Reference>,
}

/// One job's way to the disk.
#[derive(Debug, Clone)]
pub(super) struct Installer {
    pub(super) store: ImageStore,
    threads: TaskTracker,
    cancel: CancellationToken,
}

/// How far unpacking a layer is, in compressed bytes.
pub(super) type Report = Arc<dyn Fn(u64) + Send + Sync>;

impl Installer {
    /// Runs a job to its end, or until it is cancelled; what it leaves when it fails is removed before this returns.
    pub(super) async fn run<T, F: Future<Output = Result<T, ImageError>>>(
        store: ImageStore,
        cancel: CancellationToken,
        job: impl FnOnce(Self) -> F,
    ) -> Result<T, ImageError> {
        let threads = TaskTracker::new();
        let installer = Self { store: store.clone(), threads: threads.clone(), cancel: cancel.clone() };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(ImageError::Cancelled),
            outcome = job(installer) => outcome,
        };
        cancel.cancel();
        threads.close();
        threads.wait().await;
        if outcome.is_err()
            && let Err(error) = store.blocking(|inner| inner.sweep()).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what a failed image operation left stays until the next start"
            );
        }
        outcome
    }

    /// Disk work on a thread that this job waits for.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImageError> {
        let inner = Arc::clone(&self.store.inner);
        let (reply, answer) = oneshot::channel();
        // What nobody waits for any more goes on the thread itself, files and all, before it counts as ended.
        let thread = self.threads.spawn_blocking(move || drop(reply.send(work(&inner))));
        match thread.await {
            Ok(()) => answer.await.unwrap_or(Err(ImageError::Cancelled)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ImageError::Cancelled),
        }
    }

    /// Unpacks a layer and compares it with its diff id.
    pub(super) async fn unpack(&self, blob: Blob, diff_id: Digest, report: Report) -> Result<Tree, ImageError> {
        let cancel = self.cancel.clone();
        self.blocking(move |inner| {
            let folder = Unfinished::new(inner.paths.unfinished("layer"));
            let target = folder.path().join("diff");
            fs::create_dir_all(&target).map_err(|e| ImageError::storage("create", &target, e))?;
            let source = Source { stream: open(&blob)?, read: 0, reported: 0, report, cancel: cancel.clone() };
            let unpack = || -> Result<Unpacked, ImageError> {
                let stream = unpack::decoder(source).map_err(unreadable)?;
                unpack::unpack(stream, &target, diff_id.algorithm())
            };
            let unpacked =
                unpack().map_err(|error| if cancel.is_cancelled() { ImageError::Cancelled } else { error })?;
            if unpacked.diff_id != diff_id {
                let (expected, actual) = (diff_id.to_string(), unpacked.diff_id.to_string());
                return Err(ImageError::DigestMismatch { what: "unpacked layer", expected, actual });
            }
            Ok(Tree { folder, unpacked })
        })
        .await
    }

    /// Puts a layer in its place. `chain` are the chain ids up to and with its own, bottom first; those below are in
    /// their places already.
    pub(super) async fn place(&self, tree: Tree, chain: &[Digest]) -> Result<StoredLayer, ImageError> {
        let chain = chain.to_vec();
        self.blocking(move |inner| {
            let Some((chain_id, below)) = chain.split_last() else { return Err(ImageError::Cancelled) };
            let below: Vec<PathBuf> = below.iter().rev().map(|id| layers::diff(&inner.paths, id)).collect();
            unpack::adopt(&tree.folder.path().join("diff"), &tree.unpacked.implied, &below)?;
            let Unpacked { diff_id, size, .. } = tree.unpacked;
            let file = LayerFile { chain_id: chain_id.clone(), diff_id, size };
            layers::place(&inner.paths, tree.folder, &file)?;
            Ok(StoredLayer { chain_id: file.chain_id, diff_id: file.diff_id, size })
        })
        .await
    }

    /// The layer, if the store has it.
    pub(super) async fn find(&self, chain_id: &Digest) -> Result<Option<StoredLayer>, ImageError> {
        let chain_id = chain_id.clone();
        self.blocking(move |inner| {
            let found = layers::find(&inner.paths, &chain_id)?;
            Ok(found.map(|file| StoredLayer { chain_id: file.chain_id, diff_id: file.diff_id, size: file.size }))
        })
        .await
    }

    /// Enters an image whose layers are in their places into the index, under its names.
    pub(super) async fn finish(&self, image: Finished) -> Result<ImageId, ImageError> {
        self.blocking(move |inner| {
            let id = ImageId(Digest::sha256(&image.config));
            let keep = |digest: &Digest, bytes: &[u8]| {
                let path = inner.paths.blob(digest);
                if path.exists() { Ok(()) } else { files::replace(&path, bytes, inner.paths.unfinished("blob")) }
            };
            keep(&id.0, &image.config)?;
            let mut manifest = None;
            if let Some((descriptor, bytes)) = image.manifest {
                keep(&descriptor.digest, &bytes)?;
                manifest = Some(descriptor);
            }
            // Layers that an image names are on the disk already; one call for all files of the others.
            let known = inner.index.snapshot().needed();
            if image.layers.iter().any(|layer| !known.contains(&layer.chain_id)) {
                files::sync_disk_of(&inner.paths.layers())?;
            }
            let now = time::OffsetDateTime::now_utc().unix_timestamp();
            let stored =
                StoredImage { version: VERSION, id: id.clone(), manifest, layers: image.layers, last_tag_time: now };
            inner.index.write().add(Image::new(stored, image.document), &image.names)?;
            Ok(id)
        })
        .await
    }
}

impl Blob {
    /// A file of its own.
    pub(super) fn whole(file: Unfinished, length: u64) -> Self {
        Self { file: Arc::new(file), offset: 0, length }
    }
}

pub(super) fn open(blob: &Blob) -> Result<impl Read + Send + use<>, ImageError> {
    let path = blob.file.path();
    let open = || -> io::Result<File> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(blob.offset))?;
        Ok(file)
    };
    Ok(open().map_err(|e| ImageError::storage("open", path, e))?.take(blob.length))
}

fn unreadable(error: io::Error) -> ImageError {
    ImageError::malformed("layer", error.to_string())
}

/// Compressed bytes on their way to the decoder: counted, and cut off when the job is cancelled.
struct Source<R> {
    stream: R,
    read: u64,
    reported: u64,
    report: Report,
    cancel: CancellationToken,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.stream.read(buffer)?;
        self.read += count as u64;
        let at_end = count == 0 && self.read > self.reported;
        if at_end || self.read - self.reported >= limits::PROGRESS_STEP_BYTES {
            self.reported = self.read;
            (self.report)(self.read);
        }
        Ok(count)
    }
}
