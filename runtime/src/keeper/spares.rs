//! Children parked in cgroups of their own before anybody asks for a container.
//!
//! On v1 the first move into a cgroup waits for the kernel's readers, some ten milliseconds; a parked child has waited
//! already, and its cgroup becomes the container's by a new name. Each is used once. On v2 a process is born in its
//! cgroup, and nothing needs parking.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use crate::cgroup::{self, CgroupPlan, Hierarchy, Location};
use crate::executor::{FromChild, Parking};
use crate::keeper::host::Host;
use crate::keeper::poll::{Source, Token};
use crate::keeper::run::Keeper;
use crate::keeper::spawn::{Birth, Child, abandon, spawn};
use crate::keeper::timers::Due;
use crate::plan::StartPlan;
use crate::spec::Resources;

/// The parked children.
#[derive(Debug)]
pub(super) struct Spares {
    wanted: usize,
    /// Begins the names of this keeper's parking cgroups.
    prefix: String,
    next: u64,
    children: Vec<Spare>,
    /// Cgroups that an earlier keeper of this socket left; its children there end by themselves.
    stale: Vec<Location>,
}

/// One parked child.
#[derive(Debug)]
pub(super) struct Spare {
    key: u64,
    token: Token,
    parked: bool,
    pub(super) child: Child,
    pub(super) location: Location,
}

/// The namespaces that a parked child is born with, and a container must want.
const BORN_WITH: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

impl Spares {
    pub(super) fn new(host: &Host, wanted: usize) -> Self {
        let wanted = if matches!(host.facts.cgroups, Hierarchy::V1(_)) { wanted } else { 0 };
        let family = format!("spare-{}-", host.mark);
        let prefix = format!("{family}{}-", std::process::id());
        Self { wanted, prefix, next: 0, children: Vec::new(), stale: find_stale(host, &family) }
    }
}

/// Cgroups whose names begin so, beside the ones of this process.
fn find_stale(host: &Host, family: &str) -> Vec<Location> {
    let parent = host.locate(&host.facts.cgroup_parent);
    let mut names: Vec<String> = Vec::new();
    for (directory, _) in &parent.directories {
        // A tree without the parent has nothing stale.
        let Ok(entries) = fs::read_dir(directory) else { continue };
        names.extend(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()));
    }
    names.sort_unstable();
    names.dedup();
    names.retain(|name| name.starts_with(family));
    names.iter().map(|name| host.locate(&format!("{}/{name}", host.facts.cgroup_parent))).collect()
}

impl Keeper {
    /// Parks children until there are enough; leaves the kernel to containers that are being built.
    pub(super) fn refill_spares(&mut self) {
        if !self.spares.stale.is_empty() {
            self.remove_stale();
        }
        while self.building == 0 && self.spares.children.len() < self.spares.wanted {
            if let Err(error) = self.park_one() {
                eprintln!("park a spare: {error}; going on without");
                self.spares.wanted = 0;
            }
        }
    }

    fn park_one(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.spares.next += 1;
        let key = self.spares.next;
        let name = format!("{}{key}", self.spares.prefix);
        let facts = &self.host.facts;
        let plan = CgroupPlan::new(&facts.cgroups, &facts.cgroup_parent, &name, &Resources::default())?;
        // The keeper's own cgroup is beside it, so those above are there.
        let parking = Parking { steps: plan.own, location: plan.location };
        let child = spawn(&self.single, &Birth { flags: BORN_WITH, cgroup: None, parking: Some(&parking) })?;
        let token = self.poller.watch(&child.control, Source::Spare(key))?;
        self.spares.children.push(Spare { key, token, parked: false, child, location: parking.location });
        Ok(())
    }

    /// A parked child for this plan, if there is one.
    pub(super) fn take_spare(&mut self, plan: &StartPlan) -> Option<(Child, Location)> {
        let own = &plan.cgroup.location.path;
        let beside = |spare: &Spare| Path::new(&spare.location.path).parent() == Path::new(own).parent();
        if !(plan.new_pid && plan.new_ipc && plan.new_uts) {
            return None;
        }
        let at = self.spares.children.iter().position(|spare| spare.parked && beside(spare))?;
        let spare = self.spares.children.remove(at);
        self.poller.forget(spare.child.control.as_fd(), spare.token);
        Some((spare.child, spare.location))
    }

    /// A parked child said something, or ended.
    pub(super) fn spare_ready(&mut self, key: u64) {
        let Some(at) = self.spares.children.iter().position(|spare| spare.key == key) else { return };
        let spare = &mut self.spares.children[at];
        let (messages, open) = spare.child.control.read();
        for (message, _) in messages {
            match message {
                FromChild::Parked => spare.parked = true,
                FromChild::Failed(failure) => eprintln!("park a spare: {failure}"),
                FromChild::Built | FromChild::Executing => {}
            }
        }
        if !open {
            let spare = self.spares.children.remove(at);
            if !spare.parked {
                // It cannot be parked on this host; trying for ever would help nobody.
                self.spares.wanted = 0;
            }
            self.dismiss(spare);
        }
    }

    fn dismiss(&mut self, spare: Spare) {
        self.poller.forget(spare.child.control.as_fd(), spare.token);
        abandon(spare.child);
        if cgroup::remove(&spare.location).is_err() {
            self.spares.stale.push(spare.location);
        }
    }

    /// Tries to remove what earlier keepers left.
    pub(super) fn remove_stale(&mut self) {
        let had = self.spares.stale.len();
        self.spares.stale.retain(|location| cgroup::remove(location).is_err());
        if !self.spares.stale.is_empty() && had > 0 {
            self.timers.add(STALE_PAUSE, Due::RemoveStale);
        }
    }

    /// Lets go of everything that is the keeper's own.
    pub(super) fn close(&mut self) {
        for spare in std::mem::take(&mut self.spares.children) {
            self.dismiss(spare);
        }
        let own = self.host.own_cgroup().map(|plan| plan.location);
        if let Ok(own) = own {
            let left = cgroup::enter(&self.host.locate("/")).and_then(|()| cgroup::remove(&own));
            if let Err(error) = left {
                eprintln!("leave the keeper's cgroup: {error}: {}", error.source);
            }
        }
        // The parent stays when another keeper uses it.
        cgroup::remove_empty(&self.host.locate(&self.host.facts.cgroup_parent));
    }
}

const STALE_PAUSE: Duration = Duration::from_millis(20);
