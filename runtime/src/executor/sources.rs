//! What of the host comes into a container: the sources of binds and the container's own cgroup directories, as detached
//! mounts that vanish with their descriptors.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::executor::failure::AtStage;
use crate::failure::{Stage, StartFailure};
use crate::plan::{PlannedBind, PlannedKind, StartPlan};
use crate::spec::Propagation;
use crate::sys::{self, MountAttributes, Propagate};

/// Detached mounts, ready to be put in place.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// One for each bind of the plan, in its order.
    pub(super) binds: Vec<OwnedFd>,
    /// One for each of the container's cgroup directories: the name of its tree, and the mount.
    pub(super) cgroups: Vec<(String, OwnedFd)>,
}

impl Sources {
    /// Opens everything that the plan names.
    pub(super) fn open(plan: &StartPlan) -> Result<Self, StartFailure> {
        let mut sources = Self::default();
        for mount in &plan.mounts {
            match &mount.kind {
                PlannedKind::Bind(bind) => sources.binds.push(open_bind(bind)?),
                PlannedKind::Cgroups => sources.cgroups = open_cgroups(plan)?,
                _ => {}
            }
        }
        Ok(sources)
    }
}

fn open_bind(bind: &PlannedBind) -> Result<OwnedFd, StartFailure> {
    let detail = || format!("bind source {}", bind.source.display());
    let mount = clone_tree(&bind.source, bind.recursive).at(Stage::Mount, detail)?;
    let (propagation, recursive) = match bind.propagation {
        Propagation::Private => (Propagate::Private, false),
        Propagation::Rprivate => (Propagate::Private, true),
        Propagation::Slave => (Propagate::Slave, false),
        Propagation::Rslave => (Propagate::Slave, true),
        Propagation::Shared => (Propagate::Shared, false),
        Propagation::Rshared => (Propagate::Shared, true),
    };
    let change = MountAttributes { propagation: Some(propagation), recursive, ..MountAttributes::default() };
    sys::set_attributes(&mount, change).at(Stage::Mount, detail)?;
    if bind.read_only {
        // While it is detached: there is no moment in which the container could write.
        let change = MountAttributes { set: sys::ATTR_RDONLY, recursive: true, ..MountAttributes::default() };
        sys::set_attributes(&mount, change).at(Stage::Mount, detail)?;
    }
    Ok(mount)
}

fn open_cgroups(plan: &StartPlan) -> Result<Vec<(String, OwnedFd)>, StartFailure> {
    let location = &plan.cgroup.location;
    location
        .directories
        .iter()
        .map(|(directory, names)| {
            let detail = || format!("cgroup {}", directory.display());
            let mount = clone_tree(directory, false).at(Stage::Mount, detail)?;
            let change = MountAttributes {
                set: sys::ATTR_RDONLY | sys::ATTR_NOSUID | sys::ATTR_NODEV | sys::ATTR_NOEXEC,
                ..MountAttributes::default()
            };
            sys::set_attributes(&mount, change).at(Stage::Mount, detail)?;
            let name = names.join(",");
            Ok((name.strip_prefix("name=").unwrap_or(&name).to_owned(), mount))
        })
        .collect()
}

fn clone_tree(path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let below = if recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | below)
}
