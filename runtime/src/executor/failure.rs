//! How a step's error becomes the failure that the keeper tells.

use std::io;

use crate::cgroup::CgroupError;
use crate::failure::{Stage, StartFailure};

/// Gives an error its step and its object.
pub(super) trait AtStage<T> {
    /// The value, or a failure that says at which step, on what.
    fn at(self, stage: Stage, detail: impl FnOnce() -> String) -> Result<T, StartFailure>;
}

impl<T> AtStage<T> for io::Result<T> {
    fn at(self, stage: Stage, detail: impl FnOnce() -> String) -> Result<T, StartFailure> {
        self.map_err(|error| StartFailure {
            stage,
            errno: error.raw_os_error().unwrap_or(0),
            detail: describe(&error, detail()),
        })
    }
}

impl<T> AtStage<T> for rustix::io::Result<T> {
    fn at(self, stage: Stage, detail: impl FnOnce() -> String) -> Result<T, StartFailure> {
        self.map_err(|errno| StartFailure { stage, errno: errno.raw_os_error(), detail: detail() })
    }
}

/// An error that is no system call's says itself what is wrong.
fn describe(error: &io::Error, detail: String) -> String {
    if error.raw_os_error().is_some() { detail } else { format!("{detail}: {error}") }
}

/// A failure that no system call reported.
pub(super) fn refuse(stage: Stage, detail: impl Into<String>) -> StartFailure {
    StartFailure { stage, errno: 0, detail: detail.into() }
}

/// A cgroup step that failed.
pub(super) fn cgroup_failure(error: &CgroupError) -> StartFailure {
    StartFailure { stage: Stage::Cgroup, errno: error.source.raw_os_error().unwrap_or(0), detail: error.what.clone() }
}
