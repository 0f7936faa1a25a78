//! The whole description of one container, its id and its namespaces. The parts are in the sibling modules.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::defaults;
use crate::seccomp::SeccompProfile;
use crate::signal::Signal;
use crate::spec::{LogSpec, Mount, ProcessSpec, Resources, RootFs};

/// One container, ready to be made: no field refers to anything that only `shoald` knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Names the container, its cgroup and its state file. Unique on the host, across daemons.
    pub id: ContainerId,
    /// Where the files come from.
    pub rootfs: RootFs,
    /// What runs.
    pub process: ProcessSpec,
    /// Name seen by `gethostname`; the host's own when absent and the UTS namespace is shared.
    #[serde(default)]
    pub hostname: Option<String>,
    /// NIS domain name.
    #[serde(default)]
    pub domainname: Option<String>,
    /// Mounts beside the ones every container has (`/proc`, `/dev`, `/sys` and below). A mount on one of those
    /// targets replaces it. `resolv.conf`, `hosts` and `hostname` are plain file binds.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Size of `/dev/shm` in bytes.
    #[serde(default = "defaults::shm_size")]
    pub shm_size: u64,
    /// Kernel settings, `net.core.somaxconn` to value. Only those of a namespace that the container owns are accepted.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// Paths hidden from the container.
    #[serde(default = "defaults::masked_paths")]
    pub masked_paths: Vec<PathBuf>,
    /// Paths that the container may read but not change.
    #[serde(default = "defaults::readonly_paths")]
    pub readonly_paths: Vec<PathBuf>,
    /// Which system calls the processes may make.
    #[serde(default)]
    pub seccomp: SeccompProfile,
    /// Which namespaces are new and which are shared or joined.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Limits and weights.
    #[serde(default)]
    pub resources: Resources,
    /// Absolute cgroup path, seen from the hierarchy's root, under which the container's own cgroup is made:
    /// `<cgroup_parent>/<id>`. The keeper's own choice (`/shoal` unless told) when absent.
    #[serde(default)]
    pub cgroup_parent: Option<String>,
    /// Run a small init as pid 1, which forwards signals and reaps, and the process as its child.
    #[serde(default)]
    pub init: bool,
    /// Where stdout and stderr are written; discarded when absent (attach still sees them).
    #[serde(default)]
    pub log: Option<LogSpec>,
    /// The signal that asks the process to end; used by `stop` when the caller names none.
    #[serde(default = "defaults::stop_signal")]
    pub stop_signal: Signal,
}

impl ContainerSpec {
    /// A container with Docker's defaults everywhere else.
    pub fn new(id: ContainerId, rootfs: RootFs, process: ProcessSpec) -> Self {
        Self {
            id,
            rootfs,
            process,
            hostname: None,
            domainname: None,
            mounts: Vec::new(),
            shm_size: defaults::shm_size(),
            sysctls: BTreeMap::new(),
            masked_paths: defaults::masked_paths(),
            readonly_paths: defaults::readonly_paths(),
            seccomp: SeccompProfile::default(),
            namespaces: Namespaces::default(),
            resources: Resources::default(),
            cgroup_parent: None,
            init: false,
            log: None,
            stop_signal: defaults::stop_signal(),
        }
    }
}

/// Which namespaces the container gets. By default every one is new, and the network is the host's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Namespaces {
    /// The network namespace. The runtime never makes one: whoever owns the network does.
    #[serde(default)]
    pub network: NetworkNamespace,
    /// Process ids.
    #[serde(default)]
    pub pid: Namespace,
    /// System V IPC and POSIX message queues.
    #[serde(default)]
    pub ipc: Namespace,
    /// Host and domain name.
    #[serde(default)]
    pub uts: Namespace,
    /// The view of the cgroup tree.
    #[serde(default)]
    pub cgroup: Namespace,
}

/// A namespace that is the container's own, or the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// Made for this container.
    #[default]
    New,
    /// Shared with the host.
    Host,
}

/// The container's network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkNamespace {
    /// The host's own network (`--network host`).
    #[default]
    Host,
    /// A network namespace that somebody bind-mounted at this path on the host.
    Path(PathBuf),
}

/// The id of a container: 1 to 128 of `[a-zA-Z0-9_.-]`, the first alphanumeric.
///
/// It becomes a file name and a cgroup name, which is why nothing else may pass.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

/// A string that cannot be a container id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container id {value:?} is not 1 to 128 of [a-zA-Z0-9_.-] beginning with a letter or digit")]
pub struct ContainerIdError {
    /// What was given, shortened to 64 characters.
    pub value: String,
}

impl ContainerId {
    /// Checks and takes an id.
    ///
    /// # Errors
    /// When the text is empty, too long or holds another character.
    pub fn new(value: impl Into<String>) -> Result<Self, ContainerIdError> {
        let value = value.into();
        let ok = (1..=128).contains(&value.len())
            && value.as_bytes()[0].is_ascii_alphanumeric()
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if ok { Ok(Self(value)) } else { Err(ContainerIdError { value: value.chars().take(64).collect() }) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContainerId {
    type Error = ContainerIdError;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::new(value)
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_safe_file_name() {
        for good in ["a", "0f", "web.1.abc", "a_b-c", &"a".repeat(128)] {
            assert_eq!(ContainerId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".a", "-a", "a/b", "a\0", "a b", "ä", &"a".repeat(129)] {
            assert!(ContainerId::new(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
