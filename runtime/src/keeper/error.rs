//! Why a keeper could not begin, or had to end.

use std::io;
use std::path::PathBuf;

/// Why a keeper could not begin, or had to end. The containers live on in either case.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The state directory cannot be used.
    #[error("use the state directory {}", path.display())]
    StateDirectory {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another keeper has the state directory.
    #[error("another keeper runs already on {}", path.display())]
    Running {
        /// Its state directory.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("listen on {}", path.display())]
    Listen {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The host lacks something.
    #[error("{what}")]
    Host {
        /// What was wanted of it.
        what: String,
        /// Why it could not be had.
        source: io::Error,
    },
    /// The loop broke.
    #[error("wait for events")]
    Poll(#[source] io::Error),
}

impl KeepError {
    pub(super) fn host(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Host { what, source }
    }
}

/// An error and its causes on one line.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
