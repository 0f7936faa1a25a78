//! Why something could not be done with a container, by cause.

use std::io;
use std::path::PathBuf;

use shoal_runtime::client::KeeperError;
use shoal_runtime::failure::Failure as Refusal;
use shoal_worker_core::{Failure, FailureKind};

use crate::image::ImageError;
use crate::volumes::VolumeError;

/// Why something could not be done with a container.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// No container has this id or name, or more than one begins so.
    #[error("No such container: {0}")]
    NotFound(String),
    /// Several containers have ids that begin so.
    #[error("multiple containers have ids that begin with {0}: give more characters")]
    Ambiguous(String),
    /// The container does not run.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// No exec has this id.
    #[error("No such exec instance: {0}")]
    ExecNotFound(String),
    /// An exec can be started once.
    #[error("exec {0} has been started already: create another")]
    ExecStarted(String),
    /// Its output was not kept.
    #[error("configured logging driver does not support reading")]
    NoLog,
    /// A field can't be honoured.
    #[error("invalid {field} '{value}': {remedy}")]
    Invalid {
        /// Which.
        field: String,
        /// What it says.
        value: String,
        /// What would be right.
        remedy: String,
    },
    /// Neither the spec nor the image says what to run.
    #[error("no command specified: image {0} has none, give one")]
    NoCommand(String),
    /// A bind mount's source is not there.
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {}", .0.display())]
    BindSourceMissing(PathBuf),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A volume.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The keeper.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// A file of the container.
    #[error("failed to {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The worker is stopping.
    #[error("the worker has stopped")]
    Stopped,
}

impl ContainerError {
    pub(super) fn invalid(field: impl Into<String>, value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), value: value.into(), remedy: remedy.into() }
    }

    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { action, path: path.into(), source }
    }

    /// As the core takes it: a wish that can't be honoured stays so, a disk or a keeper may change.
    pub(super) fn failure(&self) -> Failure {
        let kind = match self {
            Self::Invalid { .. } | Self::NoCommand(_) | Self::BindSourceMissing(_) => FailureKind::Fatal,
            Self::Keeper(KeeperError::Refused(Refusal::Invalid { .. } | Refusal::Start(_))) => FailureKind::Fatal,
            Self::Volume(error) if !error.is_temporary() => FailureKind::Fatal,
            _ => FailureKind::Temporary,
        };
        Failure { message: crate::executor::chain(self), kind }
    }
}
