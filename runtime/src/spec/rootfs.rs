//! Where a container's files come from. The mount is made inside the container's own mount namespace, so that it
//! leaves nothing on the host and ends with the container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// What it is made of.
    pub layers: Layers,
    /// An existing directory of the host on which the root is mounted, seen only by the container's namespace.
    pub mountpoint: PathBuf,
    /// The container may not write to its root (`--read-only`). Mounts and mountpoints are still made.
    #[serde(default)]
    pub read_only: bool,
}

/// What a root file system is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layers {
    /// An overlay: read-only directories under one that takes the changes.
    Overlay {
        /// Unpacked layers, the topmost first; at least one.
        lower: Vec<PathBuf>,
        /// Takes the changes.
        upper: PathBuf,
        /// Overlayfs' own scratch directory: empty, on the file system of `upper`.
        work: PathBuf,
    },
    /// One directory, used as it is and written to.
    Directory(PathBuf),
}
