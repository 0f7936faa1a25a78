//! What is mounted, where and in which order: the mounts that every container has, replaced or joined by its own.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::plan::start::{absolute, is_below};
use crate::spec::{BindMount, ContainerSpec, Mount, MountKind, Namespace, Propagation, TmpfsMount};
use crate::sys;

/// An absolute path in the container without `.`, `..` or double slashes.
pub(crate) type Target = PathBuf;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedMount {
    pub(crate) target: Target,
    pub(crate) kind: PlannedKind,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PlannedKind {
    Proc,
    Sysfs,
    /// A small tmpfs with the device nodes and links that programs expect.
    Devices,
    /// A pseudo-terminal instance of its own.
    Terminals,
    MessageQueues,
    /// The container's own cgroup directories, read-only.
    Cgroups,
    Tmpfs(PlannedTmpfs),
    Bind(PlannedBind),
}

/// A tmpfs: mount attributes (`sys::ATTR_*`) and the file system's own options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedTmpfs {
    pub(crate) attributes: u64,
    pub(crate) options: Vec<(String, Option<String>)>,
}

/// A bind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedBind {
    pub(crate) source: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) recursive: bool,
    pub(crate) propagation: Propagation,
}

/// All mounts in the order in which they are made: a parent before what is mounted below it.
pub(super) fn plan_mounts(spec: &ContainerSpec) -> Result<Vec<PlannedMount>, Failure> {
    let mut own = Vec::new();
    for mount in &spec.mounts {
        let planned = plan_mount(mount)?;
        if own.iter().any(|known: &PlannedMount| known.target == planned.target) {
            return Err(invalid("mounts.target", &planned.target, "mount each target once"));
        }
        own.push(planned);
    }
    own.sort_by_key(|mount| mount.target.components().count());
    let replaced = |target: &Path| own.iter().any(|mount| target.starts_with(&mount.target));
    let mut all: Vec<PlannedMount> = standard(spec).into_iter().filter(|mount| !replaced(&mount.target)).collect();
    all.extend(own);
    Ok(all)
}

/// What every container has.
fn standard(spec: &ContainerSpec) -> Vec<PlannedMount> {
    let mount = |target: &str, kind| PlannedMount { target: PathBuf::from(target), kind };
    let host_ipc = spec.namespaces.ipc == Namespace::Host;
    let shared = |source: &str| {
        PlannedKind::Bind(PlannedBind {
            source: PathBuf::from(source),
            read_only: false,
            recursive: true,
            propagation: Propagation::Rprivate,
        })
    };
    let shm = PlannedKind::Tmpfs(PlannedTmpfs {
        attributes: sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC,
        options: vec![
            ("mode".to_owned(), Some("1777".to_owned())),
            ("size".to_owned(), Some(spec.shm_size.to_string())),
        ],
    });
    vec![
        mount("/proc", PlannedKind::Proc),
        mount("/dev", PlannedKind::Devices),
        mount("/dev/pts", PlannedKind::Terminals),
        mount("/sys", PlannedKind::Sysfs),
        mount("/sys/fs/cgroup", PlannedKind::Cgroups),
        mount("/dev/mqueue", if host_ipc { shared("/dev/mqueue") } else { PlannedKind::MessageQueues }),
        mount("/dev/shm", if host_ipc { shared("/dev/shm") } else { shm }),
    ]
}

fn plan_mount(mount: &Mount) -> Result<PlannedMount, Failure> {
    let clean = target(&mount.target).ok_or_else(|| {
        invalid("mounts.target", &mount.target, "give an absolute path in the container, other than /")
    })?;
    check_proc(&clean)?;
    let kind = match &mount.kind {
        MountKind::Bind(BindMount { source, read_only, recursive, propagation }) => PlannedKind::Bind(PlannedBind {
            source: absolute("mounts.source", source)?,
            read_only: *read_only,
            recursive: *recursive,
            propagation: *propagation,
        }),
        MountKind::Tmpfs(tmpfs) => PlannedKind::Tmpfs(plan_tmpfs(tmpfs)?),
    };
    Ok(PlannedMount { target: clean, kind })
}

/// The path without `.`, `..` and double slashes; `None` when it is not absolute or is the root itself.
pub(super) fn target(path: impl AsRef<Path>) -> Option<Target> {
    let path = path.as_ref();
    if !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0) {
        return None;
    }
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    (clean != Path::new("/")).then_some(clean)
}

/// What lies below /proc tells the runtime and the container the truth: only harmless files may be covered.
fn check_proc(target: &Target) -> Result<(), Failure> {
    if !is_below(target, "/proc") || PROC_FILES.iter().any(|file| target == Path::new(file)) {
        return Ok(());
    }
    Err(invalid(
        "mounts.target",
        target,
        "nothing may be mounted there; below /proc only on files such as /proc/uptime",
    ))
}

fn plan_tmpfs(tmpfs: &TmpfsMount) -> Result<PlannedTmpfs, Failure> {
    let mut attributes = sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC;
    let mut options = vec![("mode".to_owned(), Some(format!("{:o}", tmpfs.mode.unwrap_or(0o1777) & 0o7777)))];
    options.extend(tmpfs.size.map(|size| ("size".to_owned(), Some(size.to_string()))));
    for word in tmpfs.options.iter().flat_map(|words| words.split(',')).filter(|word| !word.is_empty()) {
        match word {
            "ro" => attributes |= sys::ATTR_RDONLY,
            "rw" => attributes &= !sys::ATTR_RDONLY,
            "exec" => attributes &= !sys::ATTR_NOEXEC,
            "noexec" => attributes |= sys::ATTR_NOEXEC,
            "suid" => attributes &= !sys::ATTR_NOSUID,
            "nosuid" => attributes |= sys::ATTR_NOSUID,
            "dev" => attributes &= !sys::ATTR_NODEV,
            "nodev" => attributes |= sys::ATTR_NODEV,
            "async" | "atime" | "relatime" | "defaults" => {}
            "noswap" => options.push((word.to_owned(), None)),
            _ => match word.split_once('=') {
                Some((name, value)) if TMPFS_OPTIONS.contains(&name) => {
                    options.retain(|(known, _)| known != name);
                    options.push((name.to_owned(), Some(value.to_owned())));
                }
                _ => return Err(invalid("mounts.options", Path::new(word), "tmpfs has no such option")),
            },
        }
    }
    Ok(PlannedTmpfs { attributes, options })
}

fn invalid(field: &str, value: &Path, remedy: &str) -> Failure {
    Failure::Invalid { field: field.to_owned(), value: value.display().to_string(), remedy: remedy.to_owned() }
}

const TMPFS_OPTIONS: &[&str] = &["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge", "inode64"];

/// Files below /proc that tools such as lxcfs cover, as runc has them.
const PROC_FILES: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];
