//! Why something could not be done with a volume.

use std::io;
use std::path::PathBuf;

/// Why something could not be done with a volume.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The name can't be a folder's.
    #[error("invalid volume name '{0}': use letters, digits, '_', '.' and '-', beginning with a letter or digit")]
    Name(String),
    /// Only the local driver is here.
    #[error("volume driver '{0}' is not available: use 'local'")]
    Driver(String),
    /// An option of the local driver that is not built.
    #[error("volume driver option '{0}' is not supported: make the volume without it, or bind-mount a path")]
    DriverOption(String),
    /// The subpath leads nowhere, or out of the volume.
    #[error("volume subpath '{0}' is no directory inside the volume: make it first, and leave out '..'")]
    Subpath(String),
    /// No volume has this name.
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// Folders nest too deep to be copied.
    #[error("failed to copy {0} from the image: folders nest too deep")]
    TooDeep(PathBuf),
    /// The file system.
    #[error("failed to {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl VolumeError {
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { action, path: path.into(), source }
    }

    /// Whether trying again may help.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}
