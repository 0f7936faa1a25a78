//! The plan of one start.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cgroup::{CgroupPlan, Hierarchy};
use crate::failure::Failure;
use crate::plan::mounts::{plan_mounts, target};
use crate::plan::process::{ProcessPlan, plan_process};
use crate::plan::sysctl::check_sysctl;
use crate::plan::{PlannedMount, Target};
use crate::seccomp::{Arch, KernelVersion};
use crate::spec::{ContainerSpec, Layers, Namespace, NetworkNamespace, RootFs};

/// What plans depend on beside the description.
#[derive(Debug, Clone)]
pub(crate) struct HostFacts {
    pub(crate) cgroups: Hierarchy,
    /// Where cgroups go when the description says nothing.
    pub(crate) cgroup_parent: String,
    pub(crate) kernel: KernelVersion,
    /// `None` on an architecture whose system calls are not known: only unconfined containers run there.
    pub(crate) arch: Option<Arch>,
}

/// Everything that the executor does, in its order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StartPlan {
    pub(crate) cgroup: CgroupPlan,
    /// The process is born into new ones of these.
    pub(crate) new_pid: bool,
    pub(crate) new_ipc: bool,
    pub(crate) new_uts: bool,
    pub(crate) new_cgroup: bool,
    /// Joined; the host's own when absent.
    pub(crate) network: Option<PathBuf>,
    pub(crate) rootfs: RootFs,
    pub(crate) mounts: Vec<PlannedMount>,
    pub(crate) masked: Vec<PathBuf>,
    pub(crate) readonly: Vec<PathBuf>,
    /// Path below `/proc/sys`, and value.
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) process: ProcessPlan,
    /// A small init is pid 1.
    pub(crate) init: bool,
}

impl StartPlan {
    /// Plans a start with a compiled filter (`Filters::compile`).
    ///
    /// # Errors
    /// With the first field that cannot be.
    pub(crate) fn new(spec: &ContainerSpec, host: &HostFacts, filter: Option<Vec<u64>>) -> Result<Self, Failure> {
        let parent = spec.cgroup_parent.as_deref().unwrap_or(&host.cgroup_parent);
        let cgroup = CgroupPlan::new(&host.cgroups, parent, spec.id.as_str(), &spec.resources)?;
        let namespaces = &spec.namespaces;
        let is_new = |namespace: Namespace| namespace == Namespace::New;
        let network = match &namespaces.network {
            NetworkNamespace::Host => None,
            NetworkNamespace::Path(path) => Some(absolute("namespaces.network", path)?),
        };
        let mut sysctls = Vec::new();
        for (name, value) in &spec.sysctls {
            sysctls.push((check_sysctl(name, value, network.is_some(), namespaces)?, value.clone()));
        }
        let masked = spec.masked_paths.iter().map(|path| absolute("masked_paths", path)).collect::<Result<_, _>>()?;
        let readonly =
            spec.readonly_paths.iter().map(|path| absolute("readonly_paths", path)).collect::<Result<_, _>>()?;
        Ok(Self {
            cgroup,
            new_pid: is_new(namespaces.pid),
            new_ipc: is_new(namespaces.ipc),
            new_uts: is_new(namespaces.uts),
            new_cgroup: is_new(namespaces.cgroup),
            network,
            rootfs: check_rootfs(&spec.rootfs)?,
            mounts: plan_mounts(spec)?,
            masked,
            readonly,
            sysctls,
            hostname: host_name("hostname", spec.hostname.as_deref(), namespaces.uts)?,
            domainname: host_name("domainname", spec.domainname.as_deref(), namespaces.uts)?,
            process: plan_process(&spec.process, filter)?,
            init: spec.init,
        })
    }
}

fn check_rootfs(rootfs: &RootFs) -> Result<RootFs, Failure> {
    let layers = match &rootfs.layers {
        Layers::Directory(path) => Layers::Directory(absolute("rootfs.layers.directory", path)?),
        Layers::Overlay { lower, upper, work } => {
            if lower.is_empty() {
                return Err(Failure::Invalid {
                    field: "rootfs.layers.overlay.lower".to_owned(),
                    value: "[]".to_owned(),
                    remedy: "give at least one layer".to_owned(),
                });
            }
            Layers::Overlay {
                lower: lower
                    .iter()
                    .map(|path| absolute("rootfs.layers.overlay.lower", path))
                    .collect::<Result<_, _>>()?,
                upper: absolute("rootfs.layers.overlay.upper", upper)?,
                work: absolute("rootfs.layers.overlay.work", work)?,
            }
        }
    };
    let mountpoint = absolute("rootfs.mountpoint", &rootfs.mountpoint)?;
    Ok(RootFs { layers, mountpoint, read_only: rootfs.read_only })
}

/// A path that begins at the root, without anything that C strings or mount options cannot hold.
pub(super) fn absolute(field: &str, path: &Path) -> Result<PathBuf, Failure> {
    let sound = path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0);
    if sound {
        return Ok(path.to_owned());
    }
    Err(Failure::Invalid {
        field: field.to_owned(),
        value: path.display().to_string(),
        remedy: "give an absolute path".to_owned(),
    })
}

fn host_name(field: &str, name: Option<&str>, uts: Namespace) -> Result<Option<String>, Failure> {
    let refuse = |value: &str, remedy: &str| {
        Err(Failure::Invalid { field: field.to_owned(), value: value.to_owned(), remedy: remedy.to_owned() })
    };
    match name {
        None | Some("") => Ok(None),
        Some(name) if uts == Namespace::Host => {
            refuse(name, "it would be the host's own: leave it out with the host's UTS namespace")
        }
        Some(name) if name.len() > HOST_NAME_BYTES_MAX || name.contains('\0') => refuse(name, "give at most 64 bytes"),
        Some(name) => Ok(Some(name.to_owned())),
    }
}

impl fmt::Display for StartPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cgroup)?;
        let flags = [("pid", self.new_pid), ("ipc", self.new_ipc), ("uts", self.new_uts), ("cgroup", self.new_cgroup)];
        for (name, new) in flags {
            writeln!(f, "namespace {name} {}", if new { "new" } else { "host" })?;
        }
        match &self.network {
            Some(path) => writeln!(f, "namespace network {}", path.display())?,
            None => writeln!(f, "namespace network host")?,
        }
        writeln!(f, "root {:?} on {}", self.rootfs.layers, self.rootfs.mountpoint.display())?;
        for mount in &self.mounts {
            writeln!(f, "mount {}: {:?}", mount.target.display(), mount.kind)?;
        }
        for (name, value) in &self.sysctls {
            writeln!(f, "sysctl {name} = {value:?}")?;
        }
        for path in &self.readonly {
            writeln!(f, "read-only {}", path.display())?;
        }
        for path in &self.masked {
            writeln!(f, "mask {}", path.display())?;
        }
        if self.rootfs.read_only {
            writeln!(f, "read-only /")?;
        }
        for (what, name) in [("hostname", &self.hostname), ("domainname", &self.domainname)] {
            if let Some(name) = name {
                writeln!(f, "{what} {name}")?;
            }
        }
        if self.init {
            writeln!(f, "init")?;
        }
        write!(f, "{}", self.process)
    }
}

/// Whether a target is inside another, or the same.
pub(super) fn is_below(path: &Target, above: &str) -> bool {
    target(above).is_some_and(|above| path.starts_with(&above))
}

/// The kernel's limit (__NEW_UTS_LEN).
const HOST_NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests;
