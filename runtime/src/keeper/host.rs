//! What the keeper knows of its host, found once.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use crate::cgroup::{CgroupPlan, Hierarchy, Location};
use crate::failure::Failure;
use crate::keeper::{KeepError, KeepOptions};
use crate::plan::HostFacts;
use crate::seccomp::{Arch, KernelVersion};
use crate::spec::Resources;

/// The host, and what is this keeper's own on it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) facts: HostFacts,
    /// Changes with every boot: process ids of another boot mean nothing.
    pub(super) boot_id: String,
    /// Tells this keeper's cgroups from another's.
    pub(super) mark: String,
}

impl Host {
    pub(super) fn detect(options: &KeepOptions) -> Result<Self, KeepError> {
        let read = |path: &str| fs::read_to_string(path).map_err(KeepError::host(format!("read {path}")));
        let mountinfo = read("/proc/self/mountinfo")?;
        let cgroups = Hierarchy::detect(&mountinfo, |mount| {
            fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()
        })
        .map_err(|error| KeepError::Host { what: error.to_string(), source: io::ErrorKind::NotFound.into() })?;
        let kernel = KernelVersion::parse(&read("/proc/sys/kernel/osrelease")?).unwrap_or(KernelVersion(0, 0));
        let mut hasher = DefaultHasher::new();
        options.socket.hash(&mut hasher);
        Ok(Self {
            facts: HostFacts { cgroups, cgroup_parent: options.cgroup_parent.clone(), kernel, arch: Arch::host() },
            boot_id: read("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            mark: format!("{:016x}", hasher.finish()),
        })
    }

    /// The keeper's own cgroup.
    pub(super) fn own_cgroup(&self) -> Result<CgroupPlan, Failure> {
        let name = format!("keeper-{}", self.mark);
        CgroupPlan::new(&self.facts.cgroups, &self.facts.cgroup_parent, &name, &Resources::default())
    }

    /// A cgroup by its path below every tree's root.
    pub(super) fn locate(&self, path: &str) -> Location {
        Location::new(&self.facts.cgroups, path)
    }
}
