//! The image store's handle: opening and repairing it, and every question that memory answers.
//!
//! Longer operations live beside: pulling in `pull`, loading in `load`, removing in `removal`, root filesystems in
//! `rootfs`.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    config::{RegistryPolicy, StoreConfig},
    digest::{Digest, ImageId},
    error::ImageError,
    files::{self, Paths},
    index::{Index, Snapshot},
    layers,
    leases::Leases,
    pull::Pulls,
    record::ImageRecord,
    reference::Reference,
    registry::Transport,
    rootfs::Uses,
};

/// The image store; clones are handles to the same store.
#[derive(Debug, Clone)]
pub struct ImageStore {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) paths: Paths,
    pub(super) index: Index,
    pub(super) leases: Leases,
    pub(super) uses: Uses,
    pub(super) turns: layers::Turns,
    pub(super) pulls: Pulls,
    pub(super) transport: Arc<Transport>,
    /// Running pulls and loads, and the end of them all.
    pub(super) jobs: TaskTracker,
    pub(super) stop: CancellationToken,
    policy: RwLock<Arc<RegistryPolicy>>,
}

impl ImageStore {
    /// Opens the store below the data root, making it if it is not there, and repairs what a crash left: unfinished
    /// work is removed, a damaged image dropped with a warning. Reads and may write the disk: call before serving.
    ///
    /// # Errors
    /// When an option is malformed, or the disk refuses.
    pub fn open(config: &StoreConfig) -> Result<Self, ImageError> {
        let policy = RegistryPolicy::parse(&config.insecure_registries, &config.mirrors)?;
        let paths = Paths::create(&config.root)?;
        for name in files::names_in(&paths.ingest())? {
            files::discard(&paths.ingest().join(name));
        }
        let index = Index::open(&paths)?;
        let uses = Uses::open(&paths)?;
        let inner = Inner {
            paths,
            index,
            leases: Leases::default(),
            uses,
            turns: layers::Turns::default(),
            pulls: Pulls::default(),
            transport: Arc::default(),
            jobs: TaskTracker::new(),
            stop: CancellationToken::new(),
            policy: RwLock::new(Arc::new(policy)),
        };
        inner.sweep()?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes new registry options (SIGHUP); running pulls keep the old ones.
    ///
    /// # Errors
    /// When an option is malformed; then the old ones stay.
    pub fn reconfigure(&self, insecure_registries: &[String], mirrors: &[String]) -> Result<(), ImageError> {
        let policy = Arc::new(RegistryPolicy::parse(insecure_registries, mirrors)?);
        *self.inner.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
        Ok(())
    }

    /// Stops all pulls and loads, and waits until they have removed what they left. Later ones are refused.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.jobs.close();
        self.inner.jobs.wait().await;
    }

    /// The image of this name, id, or beginning of an id.
    ///
    /// # Errors
    /// When there is none, or several ids begin so, or the name is malformed.
    pub fn inspect(&self, name: &str) -> Result<ImageRecord, ImageError> {
        let snapshot = self.snapshot();
        let (id, _) = snapshot.resolve(name)?;
        snapshot.record(&id).ok_or_else(|| ImageError::NoSuchImage(name.into()))
    }

    /// The image that is here under this name, without asking any registry.
    #[must_use]
    pub fn resolve_local(&self, reference: &Reference) -> Option<ImageRecord> {
        let snapshot = self.snapshot();
        snapshot.record(snapshot.named(reference)?)
    }

    /// The unpacked layers of an image, top first, as overlayfs takes them.
    ///
    /// # Errors
    /// When the image is not here.
    pub fn layers(&self, id: &ImageId) -> Result<Vec<PathBuf>, ImageError> {
        let snapshot = self.snapshot();
        let image = snapshot.images.get(id).ok_or_else(|| ImageError::NoSuchImage(id.to_string()))?;
        Ok(image.stored.layers.iter().rev().map(|layer| layers::diff(&self.inner.paths, &layer.chain_id)).collect())
    }

    /// Gives an image (name, id, or beginning of an id) another name.
    ///
    /// # Errors
    /// When the image is not here, the name has a digest, or the disk refuses.
    pub async fn tag(&self, image: &str, name: &Reference) -> Result<(), ImageError> {
        if name.digest().is_some() {
            return Err(ImageError::TagIsDigest);
        }
        let (image, name) = (image.to_owned(), name.clone());
        self.blocking(move |inner| {
            let mut writer = inner.index.write();
            let (id, _) = writer.snapshot().resolve(&image)?;
            writer.name(&id, &[name])
        })
        .await
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.index.snapshot()
    }

    pub(super) fn policy(&self) -> Arc<RegistryPolicy> {
        Arc::clone(&self.inner.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs disk work on a blocking thread.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImageError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ImageError::Cancelled),
        }
    }
}

impl Inner {
    /// Removes every layer and blob that no image needs and no operation leases.
    pub(super) fn sweep(&self) -> Result<(), ImageError> {
        let writer = self.index.write();
        let needed = writer.snapshot().needed();
        let mut trash = Vec::new();
        {
            // Held while things are moved away, so that no operation can come to rely on them meanwhile.
            let leased = self.leases.lock();
            let keep: Vec<&Digest> = needed.iter().chain(leased.keys()).collect();
            let layers: std::collections::BTreeSet<String> = keep.iter().map(|id| layers::short_name(id)).collect();
            for name in files::names_in(&self.paths.layers())? {
                if !layers.contains(&name) {
                    trash.push(self.throw_away(self.paths.layers().join(name))?);
                }
            }
            for algorithm in ["sha256", "sha512"] {
                let folder = self.paths.content().join(algorithm);
                for name in files::names_in(&folder)? {
                    if !keep.iter().any(|id| id.as_str().strip_prefix(algorithm).is_some_and(|rest| rest[1..] == name))
                    {
                        trash.push(self.throw_away(folder.join(name))?);
                    }
                }
            }
        }
        drop(writer);
        drop(trash);
        Ok(())
    }

    fn throw_away(&self, path: PathBuf) -> Result<files::Unfinished, ImageError> {
        let aside = self.paths.unfinished("trash");
        std::fs::rename(&path, &aside).map_err(|e| ImageError::storage("remove", path, e))?;
        Ok(files::Unfinished::new(aside))
    }
}
