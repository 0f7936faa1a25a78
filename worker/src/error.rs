//! Why the worker as a whole could not do what the node asked.

use std::io;
use std::path::PathBuf;

use shoal_proto::codec::CodecError;
use shoal_runtime::client::KeeperError;

use crate::container::ContainerError;
use crate::image::ImageError;
use crate::network::NetworkError;

/// Why the worker as a whole could not do what the node asked.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A file or folder of the data-root or exec-root.
    #[error("failed to {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The saved assignments could not be written in our encoding.
    #[error("failed to encode the assignments")]
    Encode(#[source] CodecError),
    /// The image store.
    #[error("failed to open the image store")]
    Images(#[source] ImageError),
    /// The keeper of containers.
    #[error("failed to reach the keeper")]
    Keeper(#[source] KeeperError),
    /// The containers that are there.
    #[error("failed to take over the containers of this host")]
    Containers(#[source] ContainerError),
    /// The data path.
    #[error("failed to set up the networks")]
    Networks(#[source] NetworkError),
    /// Tasks or networks were not gone in time after the swarm was left.
    #[error("tasks were still ending {seconds} s after the swarm was left: try again")]
    LeaveTimeout {
        /// How long was waited.
        seconds: u64,
    },
    /// The worker is stopping.
    #[error("the worker has stopped")]
    Stopped,
}
