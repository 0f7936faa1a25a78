//! Why an image operation failed, by cause.
//!
//! The one error of this module's boundary. Where Docker's clients and scripts match a message, the wording is
//! Docker's. Errors are cheap to clone because all callers that joined one pull receive the same one.

use std::{io, path::PathBuf, sync::Arc};

use super::{digest::DigestError, platform::Platform, reference::ReferenceError};

/// A source error that several callers share.
pub type SharedSource = Arc<dyn std::error::Error + Send + Sync>;

/// Why an image operation failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The name breaks the grammar.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A digest breaks the grammar.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A container's id cannot be a folder's name.
    #[error("invalid container id {0:?}: it may hold letters, digits, dots, dashes and underscores only")]
    ContainerId(String),
    /// An insecure registry or mirror in the configuration is malformed.
    #[error("invalid {field} {value:?}: {remedy}")]
    Configuration {
        /// The option.
        field: &'static str,
        /// What was given.
        value: String,
        /// What to give instead.
        remedy: &'static str,
    },
    /// No image of this name or id is here.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several images have ids that begin so.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousId(String),
    /// The target of a tag operation has a digest.
    #[error("refusing to create a tag with a digest reference")]
    TagIsDigest,
    /// The image is used by a container.
    #[error("conflict: unable to delete {image} (must be forced) - image is being used by container {container}")]
    InUse {
        /// Short id of the image.
        image: String,
        /// Short id of the container.
        container: String,
    },
    /// The last name of an image is used by a container.
    #[error(
        "conflict: unable to remove repository reference {reference:?} (must force) - container {container} is using its referenced image {image}"
    )]
    NameInUse {
        /// The name.
        reference: String,
        /// Short id of the container.
        container: String,
        /// Short id of the image.
        image: String,
    },
    /// The image has several names.
    #[error("conflict: unable to delete {0} (must be forced) - image is referenced in multiple repositories")]
    ManyNames(String),
    /// The registry has the repository, but not this tag or digest.
    #[error("manifest for {0} not found: manifest unknown: manifest unknown")]
    ManifestUnknown(String),
    /// The registry does not show the repository to us.
    #[error("pull access denied for {name}, repository does not exist or may require 'docker login': {detail}")]
    AccessDenied {
        /// The familiar name of the repository.
        name: String,
        /// The registry's words.
        detail: String,
    },
    /// The registry refused the credentials.
    #[error("unauthorized: registry {registry} refused the credentials: {detail}")]
    Unauthorized {
        /// The registry's host.
        registry: String,
        /// The registry's words.
        detail: String,
    },
    /// The registry asks for fewer requests.
    #[error("toomanyrequests: registry {registry} limits the rate of requests: {detail}; log in or try again later")]
    RateLimited {
        /// The registry's host.
        registry: String,
        /// The registry's words.
        detail: String,
    },
    /// The registry answered with an unexpected status.
    #[error("registry {registry} answered {status} to {request}: {detail}")]
    Refused {
        /// The registry's host.
        registry: String,
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        detail: String,
    },
    /// The registry could not be reached, or the connection broke.
    #[error("Get \"{url}\": registry {registry} cannot be reached{hint}")]
    Unreachable {
        /// The registry's host.
        registry: String,
        /// What was asked.
        url: String,
        /// A remedy, when the cause suggests one.
        hint: &'static str,
        /// What broke.
        #[source]
        source: SharedSource,
    },
    /// The registry stopped sending.
    #[error("registry {registry} sent nothing for {seconds} s while {action}")]
    Stalled {
        /// The registry's host.
        registry: String,
        /// What was going on.
        action: &'static str,
        /// How long we waited.
        seconds: u64,
    },
    /// The registry's answer breaks the protocol.
    #[error("registry {registry} broke the protocol: {reason}")]
    Protocol {
        /// The registry's host.
        registry: String,
        /// What was wrong.
        reason: String,
    },
    /// Content is not what its digest says.
    #[error("{what} is corrupt: expected {expected}, got {actual}")]
    DigestMismatch {
        /// What was read.
        what: &'static str,
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        actual: String,
    },
    /// Content is longer or shorter than announced.
    #[error("{what} has {actual} bytes where {expected} were announced")]
    SizeMismatch {
        /// What was read.
        what: &'static str,
        /// Bytes announced.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// No entry of the index serves this platform.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(Platform),
    /// The image is made for another platform than the one asked for.
    #[error(
        "image with reference {reference} was found but does not match the specified platform: wanted {wanted}, actual: {actual}"
    )]
    PlatformMismatch {
        /// The familiar reference.
        reference: String,
        /// What was asked for.
        wanted: Box<Platform>,
        /// What the image is made for.
        actual: Box<Platform>,
    },
    /// A manifest, index or configuration is malformed.
    #[error("invalid {what}: {reason}")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An archive given to load is malformed.
    #[error("invalid image archive: {0}")]
    Archive(String),
    /// A layer is malformed or tries to leave its folder.
    #[error("invalid layer: entry {entry:?}: {reason}")]
    Layer {
        /// The entry's path.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer or document is larger than this store takes.
    #[error("{what} exceeds the limit of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit, with its unit.
        limit: String,
    },
    /// The disk is full.
    #[error("no space left on the disk that holds {}: free some space (remove unused images) and try again", path.display())]
    DiskFull {
        /// A path on the full disk.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// The disk or its filesystem failed.
    #[error("failed to {action} {}", path.display())]
    Storage {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file of the store does not hold what the store wrote.
    #[error("the image store is damaged: {}: {reason}; remove the image and pull it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A container's root filesystem is still mounted.
    #[error("root filesystem of container {0} is still mounted: stop the container first")]
    StillMounted(String),
    /// Every caller gave up, or the daemon stops.
    #[error("image operation was cancelled")]
    Cancelled,
}

/// Who is at fault, for whoever turns the error into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is malformed (400).
    InvalidArgument,
    /// The credentials were refused (401).
    Unauthorized,
    /// Something is not there (404).
    NotFound,
    /// The state forbids it (409).
    Conflict,
    /// The registry or its content is at fault, or cannot be reached (500 in Docker's API).
    Registry,
    /// The disk is at fault (500).
    Storage,
    /// The operation was cancelled.
    Cancelled,
}

impl ImageError {
    /// Who is at fault.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference(_)
            | Self::Digest(_)
            | Self::ContainerId(_)
            | Self::Configuration { .. }
            | Self::AmbiguousId(_)
            | Self::TagIsDigest
            | Self::Archive(_) => ErrorKind::InvalidArgument,
            Self::Unauthorized { .. } => ErrorKind::Unauthorized,
            Self::NoSuchImage(_)
            | Self::ManifestUnknown(_)
            | Self::AccessDenied { .. }
            | Self::NoPlatform(_)
            | Self::PlatformMismatch { .. } => ErrorKind::NotFound,
            Self::InUse { .. } | Self::NameInUse { .. } | Self::ManyNames(_) | Self::StillMounted(_) => {
                ErrorKind::Conflict
            }
            Self::RateLimited { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::Protocol { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Malformed { .. }
            | Self::Layer { .. }
            | Self::TooLarge { .. } => ErrorKind::Registry,
            Self::DiskFull { .. } | Self::Storage { .. } | Self::Damaged { .. } => ErrorKind::Storage,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }

    /// Whether the registry could not be asked at all, so that a local image may serve instead.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Stalled { .. } | Self::RateLimited { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// A failed file operation; a full disk is told apart.
    pub(super) fn storage(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source: Arc::new(source) }
            }
            _ => Self::Storage { action, path, source: Arc::new(source) },
        }
    }

    pub(super) fn malformed(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed { what, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_and_keeps_its_source() {
        let error = ImageError::storage("write", "/x", io::Error::from_raw_os_error(libc::ENOSPC));
        assert!(matches!(error, ImageError::DiskFull { .. }), "{error}");
        assert!(error.source().is_some());
        let error = ImageError::storage("write", "/x", io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(error.to_string(), "failed to write /x");
        assert_eq!(error.kind(), ErrorKind::Storage);
    }
}
