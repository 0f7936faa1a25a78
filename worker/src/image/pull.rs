//! Pulling images from registries.

use tokio::{io::AsyncRead, sync::mpsc};

use super::{
    config::{PullOptions, RegistryAuth},
    digest::ImageId,
    error::ImageError,
    platform::Platform,
    progress::Progress,
    record::Descriptor,
    reference::Reference,
    store::{ImageStore, PulledImage},
};

/// What a registry holds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// What it runs on; one for a manifest, all entries of an index.
    pub platforms: Vec<Platform>,
}

/// An image that an archive held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub id: ImageId,
    /// Its names from the archive; empty when it had none.
    pub names: Vec<Reference>,
}

impl ImageStore {
    /// Pulls an image, or joins the pull of it that is running; when every caller has gone, the pull stops and leaves
    /// nothing. Progress is offered to `progress` until it is closed.
    ///
    /// # Errors
    /// See [`ImageError`]; [`ImageError::is_unreachable`] tells when a local image may serve instead.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: PullOptions,
        progress: Option<mpsc::Sender<Progress>>,
    ) -> Result<PulledImage, ImageError> {
        let _ = (self.policy(), options, progress);
        Err(ImageError::Protocol {
            registry: reference.registry().into(),
            reason: "pulling is not part of this build yet".into(),
        })
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
        let _ = auth;
        Err(ImageError::Protocol {
            registry: reference.registry().into(),
            reason: "pulling is not part of this build yet".into(),
        })
    }

    /// Loads the images of an archive (`docker save` or OCI layout; plain, gzip or zstd).
    ///
    /// # Errors
    /// See [`ImageError`].
    pub async fn load(&self, archive: impl AsyncRead + Send + Unpin + 'static) -> Result<Vec<Loaded>, ImageError> {
        drop(archive);
        Err(ImageError::Archive("loading is not part of this build yet".into()))
    }
}
