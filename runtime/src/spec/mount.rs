//! What is mounted into a container beside its root.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container; directories (or, for a file bind, the file) are made when missing.
    pub target: PathBuf,
    /// What is mounted.
    #[serde(flatten)]
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum MountKind {
    /// A file or directory of the host. A volume is one too.
    Bind(BindMount),
    /// An empty file system in memory.
    Tmpfs(TmpfsMount),
}

/// A file or directory of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Absolute path on the host; must exist.
    pub source: PathBuf,
    /// The container may only read.
    #[serde(default)]
    pub read_only: bool,
    /// Take along what is mounted below the source. Docker does unless told otherwise.
    #[serde(default = "yes")]
    pub recursive: bool,
    /// Whether later mounts below the source or the target show on the other side.
    #[serde(default)]
    pub propagation: Propagation,
}

/// Mount propagation, in Docker's words. Whether sub-mounts take part follows from the mount's `recursive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of mount(8); an r in front is the recursive form")]
pub enum Propagation {
    Private,
    #[default]
    Rprivate,
    Slave,
    Rslave,
    Shared,
    Rshared,
}

/// An empty file system in memory. Always `nosuid` and `nodev`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TmpfsMount {
    /// Bytes; half of the host's memory when absent.
    #[serde(default)]
    pub size: Option<u64>,
    /// Permission bits of its root, `0o1777` when absent.
    #[serde(default)]
    pub mode: Option<u32>,
    /// Further options in mount(8)'s words: `ro`, `noexec`, `exec`, `suid`, `dev`, `uid=`, `gid=`, `nr_inodes=`, ...
    #[serde(default)]
    pub options: Vec<String>,
}

fn yes() -> bool {
    true
}
