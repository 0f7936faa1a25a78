//! Pulling images: one pull at a time of one name, whoever asks for it, and all its layers at once.
//!
//! Owns the order of a pull and what it tells its listeners. A pull runs in a task of its own that ends when its last
//! caller has gone; [`Installer`] then removes what it left. Leaves the protocol to `registry` and the disk to
//! `install`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use futures_util::future::try_join_all;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::DropGuard;

use super::{
    config::{PullOptions, RegistryAuth},
    digest::{Digest, ImageId},
    error::ImageError,
    files::Unfinished,
    index::StoredLayer,
    install::{Blob, Finished, Installer},
    layers, limits,
    manifest::{self, Document, Manifest},
    platform::Platform,
    progress::{Announcer, Counter, Listener, Progress, Status},
    record::{ConfigDocument, Descriptor},
    reference::Reference,
    registry::{Content, Session, Step},
    store::ImageStore,
};

/// A pull's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// The image.
    pub id: ImageId,
    /// What the name stands for in the registry: the digest of its manifest or index.
    pub digest: Digest,
    /// The familiar name that was pulled.
    pub name: String,
    /// The store had it already.
    pub up_to_date: bool,
}

/// What a registry holds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// What it runs on; one for a manifest, all entries of an index.
    pub platforms: Vec<Platform>,
}

/// The pulls that are running.
#[derive(Debug)]
pub(super) struct Pulls {
    running: Mutex<HashMap<Wanted, Weak<Running>>>,
    places: Arc<Semaphore>,
}

impl Default for Pulls {
    fn default() -> Self {
        Self { running: Mutex::default(), places: Arc::new(Semaphore::new(limits::PULLS_AT_ONCE)) }
    }
}

/// What makes two pulls the same. Credentials are part of it: nobody gets an image by another's right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    reference: Reference,
    options: PullOptions,
}

type Outcome = Option<Result<PulledImage, ImageError>>;

/// A running pull, as its callers hold it; the last one to let go of it cancels it.
#[derive(Debug)]
struct Running {
    announcer: Announcer,
    outcome: watch::Receiver<Outcome>,
    _cancel: DropGuard,
}

impl ImageStore {
    /// Pulls an image, or joins the pull of it that is running; when every caller has gone, the pull stops and leaves
    /// nothing. A name with a digest that is here already is not asked for again. Progress is offered to `progress`
    /// until it is closed.
    ///
    /// # Errors
    /// See [`ImageError`]; [`ImageError::is_unreachable`] tells when a local image may serve instead.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: PullOptions,
        progress: Option<mpsc::Sender<Progress>>,
    ) -> Result<PulledImage, ImageError> {
        let running = self.join(Wanted { reference: reference.clone(), options });
        let mut outcome = running.outcome.clone();
        if let Some(progress) = progress {
            relay(running.announcer.listen(), &mut outcome, &progress).await;
        }
        let outcome = outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        // The task cannot end without an outcome while its callers hold it, unless the runtime stops.
        outcome.ok().flatten().unwrap_or(Err(ImageError::Cancelled))
    }

    /// What a registry holds under a name, without pulling it.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub async fn distribution(
        &self,
        reference: &Reference,
        auth: Option<RegistryAuth>,
    ) -> Result<Distribution, ImageError> {
        let session = self.session(reference, auth).await;
        let content = session.manifest(reference).await?;
        let size = content.bytes.len() as u64;
        let platforms = match Document::parse(&content.bytes, &content.media_type)? {
            Document::Index(entries) => entries.into_iter().filter_map(|entry| entry.platform).collect(),
            Document::Manifest(manifest) => {
                let config =
                    session.small_blob("image configuration", &manifest.config.digest, manifest.config.size).await?;
                vec![ConfigDocument::parse(&config)?.platform]
            }
        };
        Ok(Distribution {
            descriptor: Descriptor { media_type: content.media_type, digest: content.digest, size },
            platforms,
        })
    }

    async fn session(&self, reference: &Reference, auth: Option<RegistryAuth>) -> Session {
        let auth = auth.filter(|auth| !auth.is_empty());
        Session::new(Arc::clone(&self.inner.transport), self.policy(), reference, auth).await
    }

    /// The running pull of this, or a new one.
    fn join(&self, wanted: Wanted) -> Arc<Running> {
        let mut pulls = self.inner.pulls.lock();
        // One that has ended is not joined: whoever asks from now on shall learn what the registry says now.
        if let Some(running) = pulls.get(&wanted).and_then(Weak::upgrade)
            && running.outcome.borrow().is_none()
        {
            return running;
        }
        pulls.retain(|_, running| running.strong_count() > 0);
        let running = self.spawn(wanted.clone());
        pulls.insert(wanted, Arc::downgrade(&running));
        running
    }

    fn spawn(&self, wanted: Wanted) -> Arc<Running> {
        let (announcer, cancel) = (Announcer::default(), self.inner.stop.child_token());
        let (sender, outcome) = watch::channel(None);
        let running = Arc::new(Running { announcer: announcer.clone(), outcome, _cancel: cancel.clone().drop_guard() });
        let store = self.clone();
        self.inner.jobs.spawn(async move {
            let job = Installer::run(store, cancel, |installer| Pull { installer, announcer, wanted }.run());
            let result = job.await;
            sender.send_replace(Some(result));
        });
        running
    }
}

impl Pulls {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Wanted, Weak<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes messages on until the pull has ended and all were passed, or nobody listens any more.
async fn relay(listener: Listener, outcome: &mut watch::Receiver<Outcome>, progress: &mpsc::Sender<Progress>) {
    loop {
        let message = tokio::select! {
            biased;
            message = listener.next() => message,
            ended = outcome.wait_for(Option::is_some) => {
                drop(ended);
                match listener.next_ready() {
                    Some(message) => message,
                    None => return,
                }
            }
        };
        if progress.send(message).await.is_err() {
            return;
        }
    }
}

/// One pull.
struct Pull {
    installer: Installer,
    announcer: Announcer,
    wanted: Wanted,
}

/// An image as the registry describes it.
struct Described {
    /// Of the manifest or index that the name stands for.
    top: Digest,
    manifest: Content,
    layers: Vec<Descriptor>,
    config: bytes::Bytes,
    document: ConfigDocument,
}

impl Pull {
    async fn run(self) -> Result<PulledImage, ImageError> {
        if let Some(known) = self.known_by_digest() {
            return Ok(known);
        }
        let store = &self.installer.store;
        let _place = store.inner.pulls.places.acquire().await.map_err(|_| ImageError::Cancelled)?;
        let reference = &self.wanted.reference;
        let session = store.session(reference, self.wanted.options.auth.clone()).await;
        let content = session.manifest(reference).await?;
        // Not before: an error without a message before it is the request's own.
        let id = reference.tag().or(reference.digest().map(Digest::as_str)).map(str::to_owned);
        self.announcer.send(Progress { id, status: Status::PullingFrom(reference.repository().into()) });
        if let Some(known) = self.known_by_content(&content.digest) {
            return Ok(known);
        }
        let described = self.describe(&session, content).await?;
        self.install(&session, described).await
    }

    /// The image, if the name has a digest and the store has it: content does not change under a digest.
    fn known_by_digest(&self) -> Option<PulledImage> {
        let reference = &self.wanted.reference;
        let digest = reference.digest()?.clone();
        let record = self.installer.store.resolve_local(reference)?;
        self.serves(&record.platform).then(|| self.done(record.id, digest, true))
    }

    /// The image, if its name stands here for what it stands for in the registry.
    fn known_by_content(&self, top: &Digest) -> Option<PulledImage> {
        let snapshot = self.installer.store.snapshot();
        let id = snapshot.names.get(&self.wanted.reference.at_digest(top.clone()))?;
        let is_named =
            self.wanted.reference.digest().is_some() || snapshot.names.get(&self.wanted.reference) == Some(id);
        let record = snapshot.record(id)?;
        (is_named && self.serves(&record.platform)).then(|| self.done(record.id, top.clone(), true))
    }

    fn serves(&self, platform: &Platform) -> bool {
        self.wanted.options.platform.as_ref().is_none_or(|wanted| wanted.rank(platform).is_some())
    }

    fn done(&self, id: ImageId, digest: Digest, up_to_date: bool) -> PulledImage {
        let name = self.wanted.reference.familiar();
        self.announcer.plain(Status::Digest(digest.clone()));
        self.announcer.plain(if up_to_date {
            Status::UpToDate(name.clone())
        } else {
            Status::Downloaded(name.clone())
        });
        PulledImage { id, digest, name, up_to_date }
    }

    /// What the image is made of; `content` is the manifest or index that the name stands for.
    async fn describe(&self, session: &Session, content: Content) -> Result<Described, ImageError> {
        let reference = &self.wanted.reference;
        let wanted = self.wanted.options.platform.clone();
        let top = content.digest.clone();
        let (content, manifest) = match Document::parse(&content.bytes, &content.media_type)? {
            Document::Manifest(manifest) => (content, manifest),
            Document::Index(entries) => {
                let host = Platform::host();
                let entry = manifest::choose(&entries, wanted.as_ref().unwrap_or(&host))?;
                let content = session.manifest(&reference.at_digest(entry.descriptor.digest.clone())).await?;
                match Document::parse(&content.bytes, &content.media_type)? {
                    Document::Manifest(manifest) => (content, manifest),
                    Document::Index(_) => {
                        return Err(ImageError::malformed("manifest list", "its entry is a manifest list again"));
                    }
                }
            }
        };
        let Manifest { config, layers } = manifest;
        let bytes = session.small_blob("image configuration", &config.digest, config.size).await?;
        let document = ConfigDocument::parse(&bytes)?;
        if document.rootfs.diff_ids.len() != layers.len() {
            let reason =
                format!("it has {} layers, its configuration {}", layers.len(), document.rootfs.diff_ids.len());
            return Err(ImageError::malformed("manifest", reason));
        }
        if let Some(wanted) = wanted.filter(|wanted| wanted.rank(&document.platform).is_none()) {
            let (wanted, actual) = (Box::new(wanted), Box::new(document.platform));
            return Err(ImageError::PlatformMismatch { reference: reference.familiar(), wanted, actual });
        }
        Ok(Described { top, manifest: content, layers, config: bytes, document })
    }

    async fn install(&self, session: &Session, described: Described) -> Result<PulledImage, ImageError> {
        let store = &self.installer.store;
        let reference = &self.wanted.reference;
        let chain = layers::chain_ids(&described.document.rootfs.diff_ids);
        let id = ImageId(Digest::sha256(&described.config));
        let leased = chain.iter().cloned().chain([id.0.clone(), described.manifest.digest.clone()]);
        // Taken before anything is looked for: from here on nothing of it is removed.
        let _lease = store.inner.leases.take(leased);
        let mut names = vec![reference.at_digest(described.top.clone())];
        if reference.digest().is_none() {
            names.push(reference.clone());
        }
        let layers = self.layers(session, &described, &chain).await?;
        let manifest = described.manifest;
        let descriptor =
            Descriptor { media_type: manifest.media_type, digest: manifest.digest, size: manifest.bytes.len() as u64 };
        let finished = Finished {
            config: described.config.to_vec(),
            document: described.document,
            layers,
            manifest: Some((descriptor, manifest.bytes.to_vec())),
            names,
        };
        let id = self.installer.finish(finished).await?;
        Ok(self.done(id, described.top, false))
    }

    /// Brings all layers into the store: fetched and unpacked side by side, put in their places from the bottom up.
    async fn layers(
        &self,
        session: &Session,
        described: &Described,
        chain: &[Digest],
    ) -> Result<Vec<StoredLayer>, ImageError> {
        let places = Semaphore::new(limits::LAYERS_AT_ONCE);
        let mut below = None;
        let mut jobs = Vec::with_capacity(chain.len());
        for (at, descriptor) in described.layers.iter().enumerate() {
            let (done, next) = oneshot::channel();
            let diff_id = &described.document.rootfs.diff_ids[at];
            let job = Layer { pull: self, session, descriptor, diff_id, chain: &chain[..=at], places: &places };
            self.announcer.layer(descriptor.digest.short(), Status::PullingFsLayer);
            jobs.push(job.install(below.replace(next), done));
        }
        try_join_all(jobs).await
    }
}

/// One layer of a pull.
struct Layer<'a> {
    pull: &'a Pull,
    session: &'a Session,
    descriptor: &'a Descriptor,
    diff_id: &'a Digest,
    /// Chain ids up to and with its own, bottom first.
    chain: &'a [Digest],
    places: &'a Semaphore,
}

impl Layer<'_> {
    async fn install(
        self,
        below: Option<oneshot::Receiver<()>>,
        done: oneshot::Sender<()>,
    ) -> Result<StoredLayer, ImageError> {
        let installer = &self.pull.installer;
        let Some(chain_id) = self.chain.last() else { return Err(ImageError::Cancelled) };
        let _turn = installer.store.inner.turns.take(chain_id).await;
        let found = installer.find(chain_id).await?;
        let tree = match &found {
            Some(_) => None,
            None => Some(self.fetch().await?),
        };
        if let Some(below) = below {
            below.await.map_err(|_| ImageError::Cancelled)?;
        }
        let (stored, status) = match (found, tree) {
            (Some(stored), _) => (stored, Status::AlreadyExists),
            (None, Some(tree)) => (installer.place(tree, self.chain).await?, Status::PullComplete),
            (None, None) => return Err(ImageError::Cancelled),
        };
        self.announce(status);
        // Nobody waits for the topmost.
        let _ = done.send(());
        Ok(stored)
    }

    async fn fetch(&self) -> Result<super::install::Tree, ImageError> {
        let _place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                self.announce(Status::Waiting);
                self.places.acquire().await.map_err(|_| ImageError::Cancelled)?
            }
        };
        let installer = &self.pull.installer;
        let total = self.descriptor.size;
        let file = Unfinished::new(installer.store.inner.paths.unfinished("blob"));
        let report = |step: Step| {
            self.announce(match step {
                Step::Bytes(current) => Status::Downloading(Counter { current, total }),
                Step::Retrying(seconds) => Status::Retrying { seconds },
                Step::Verifying => Status::VerifyingChecksum,
            });
        };
        self.session.fetch(self.descriptor, file.path(), &report).await?;
        self.announce(Status::DownloadComplete);
        let (announcer, id) = (self.pull.announcer.clone(), self.descriptor.digest.short().to_owned());
        let report = Arc::new(move |current| announcer.layer(&id, Status::Extracting(Counter { current, total })));
        installer.unpack(Blob::whole(file, total), self.diff_id.clone(), report).await
    }

    fn announce(&self, status: Status) {
        self.pull.announcer.layer(self.descriptor.digest.short(), status);
    }
}
