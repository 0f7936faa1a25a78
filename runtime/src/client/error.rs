//! Why a call to the keeper failed.

use std::io;
use std::path::PathBuf;

use crate::failure::Failure;

/// Why a call to the keeper failed. `Refused` is the keeper's own answer; with every other variant the outcome of the
/// call is unknown, and `list` tells it.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The keeper refused or failed, and said why.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// Nobody answers at the socket.
    #[error("connect to the keeper at {}", socket.display())]
    Connect {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The keeper's program could not be started.
    #[error("start the keeper {}", binary.display())]
    Launch {
        /// The program.
        binary: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The keeper's program ended before it served.
    #[error("the keeper {} ended at once: {message}", binary.display())]
    Launched {
        /// The program.
        binary: PathBuf,
        /// What it said.
        message: String,
    },
    /// The connection was lost during the call.
    #[error("the connection to the keeper was lost")]
    Disconnected,
    /// No answer in time.
    #[error("the keeper did not answer within {seconds} s")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// The keeper says something this program does not understand.
    #[error("the keeper broke the protocol: {0}")]
    Protocol(String),
}
