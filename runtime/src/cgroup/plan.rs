//! What a container's limits become on this host: an ordered list of directories and writes. Pure: the host is an
//! argument. Every limit is in place before the process enters, and so before it runs.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cgroup::devices::DEVICE_RULES;
use crate::cgroup::{Controllers, Hierarchy};
use crate::failure::Failure;
use crate::spec::Resources;

/// Everything to do for one cgroup, in order: the ancestors, its own directories, its limits, then entering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CgroupPlan {
    /// Makes the directories above, and hands controllers down on v2.
    pub(crate) ancestors: Vec<Step>,
    /// Makes the cgroup itself, with what all containers have in common.
    pub(crate) own: Vec<Step>,
    /// Sets the limits.
    pub(crate) limits: Vec<Step>,
    /// Where it is.
    pub(crate) location: Location,
}

/// The directories of one cgroup, one for each tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Location {
    /// Its path below every tree's root, `/shoal/abc`.
    pub(crate) path: String,
    /// Its directories, and for v1 the controllers of each.
    pub(crate) directories: Vec<(PathBuf, Vec<String>)>,
    /// One tree for all controllers.
    pub(crate) v2: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Make a directory; it may be there.
    MakeDirectory(PathBuf),
    /// v1 cpuset: a new directory has no CPUs and memory nodes, and nothing may enter before it has.
    InheritCpuset(PathBuf),
    /// Write a value. An optional one may be impossible on this kernel (swap accounting, a controller not handed down).
    Write { file: PathBuf, value: String, optional: bool },
    /// v2: attach the program that decides about devices.
    DeviceProgram(PathBuf),
}

impl CgroupPlan {
    /// Plans the cgroup `<parent>/<name>`.
    ///
    /// # Errors
    /// When a limit cannot be, or the host has no controller for it.
    pub(crate) fn new(host: &Hierarchy, parent: &str, name: &str, resources: &Resources) -> Result<Self, Failure> {
        check(host, resources)?;
        let parent = checked_parent(parent)?;
        let path = format!("{}/{name}", if parent == "/" { "" } else { parent });
        Ok(match host {
            Hierarchy::V1(trees) => v1(trees, parent, path, resources),
            Hierarchy::V2 { mount, controllers } => {
                let known = |name: &&str| controllers.contains(*name);
                v2(mount, &V2_CONTROLLERS.iter().copied().filter(known).collect::<Vec<_>>(), path, resources)
            }
        })
    }

    /// The steps in order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.ancestors.iter().chain(&self.own).chain(&self.limits)
    }
}

impl Location {
    /// The directories of a cgroup by its path below every tree's root.
    pub(crate) fn new(host: &Hierarchy, path: &str) -> Self {
        let below = |mount: &Path| mount.join(path.trim_start_matches('/'));
        let (directories, v2) = match host {
            Hierarchy::V1(trees) => {
                (trees.iter().map(|tree| (below(&tree.mount), tree.names.clone())).collect(), false)
            }
            Hierarchy::V2 { mount, .. } => (vec![(below(mount), Vec::new())], true),
        };
        Self { path: path.to_owned(), directories, v2 }
    }

    /// The directory in which a v1 controller's files are, or the one directory of v2.
    pub(crate) fn directory(&self, controller: &str) -> Option<&Path> {
        let found = |names: &Vec<String>| self.v2 || names.iter().any(|name| name == controller);
        self.directories.iter().find(|(_, names)| found(names)).map(|(path, _)| path.as_path())
    }
}

fn v1(trees: &[Controllers], parent: &str, path: String, resources: &Resources) -> CgroupPlan {
    let below = |tree: &Controllers, path: &str| tree.mount.join(path.trim_start_matches('/'));
    let make = |tree: &Controllers, path: &str| {
        let directory = below(tree, path);
        let cpuset = tree.names.iter().any(|name| name == "cpuset");
        let inherit = cpuset.then(|| Step::InheritCpuset(directory.clone()));
        [Some(Step::MakeDirectory(directory)), inherit].into_iter().flatten()
    };
    let mut ancestors = Vec::new();
    for tree in trees {
        for ancestor in prefixes(parent) {
            ancestors.extend(make(tree, &ancestor));
        }
    }
    let mut own: Vec<Step> = trees.iter().flat_map(|tree| make(tree, &path)).collect();
    for tree in trees.iter().filter(|tree| tree.names.iter().any(|name| name == "devices")) {
        own.extend(v1_devices(&below(tree, &path)));
    }
    let mut limits = Vec::new();
    for tree in trees {
        for name in &tree.names {
            limits.extend(v1_limits(name, &below(tree, &path), resources));
        }
    }
    let location = Location::new(&Hierarchy::V1(trees.to_vec()), &path);
    CgroupPlan { ancestors, own, limits, location }
}

fn v1_limits(controller: &str, directory: &Path, resources: &Resources) -> Vec<Step> {
    let write = |file: &str, value: String| Step::Write { file: directory.join(file), value, optional: false };
    let mut steps = Vec::new();
    let mut add = |file: &str, value: Option<String>| steps.extend(value.map(|value| write(file, value)));
    match controller {
        "memory" => {
            // A fresh cgroup has no limit of memory and swap together, so the smaller one comes first.
            add("memory.limit_in_bytes", resources.memory.map(text));
            add("memory.soft_limit_in_bytes", resources.memory_reservation.map(text));
            if let Some(value) = memory_and_swap(resources) {
                let file = directory.join("memory.memsw.limit_in_bytes");
                let optional = resources.memory_swap.is_none();
                steps.push(Step::Write { file, value: text(value), optional });
            }
        }
        "cpu" => {
            let quota = cpu_quota(resources);
            add("cpu.shares", resources.cpu_shares.map(text));
            add("cpu.cfs_period_us", quota.map(|(_, period)| text(period)));
            add("cpu.cfs_quota_us", quota.map(|(quota, _)| text(quota)));
        }
        "cpuset" => {
            add("cpuset.cpus", resources.cpuset_cpus.clone());
            add("cpuset.mems", resources.cpuset_mems.clone());
        }
        "pids" => add("pids.max", pids(resources)),
        _ => {}
    }
    steps
}

/// The same for all containers, so that it can be done before one is asked for.
fn v1_devices(directory: &Path) -> impl Iterator<Item = Step> {
    let write = |file: &str, value: String| Step::Write { file: directory.join(file), value, optional: false };
    let deny = write("devices.deny", "a".to_owned());
    let allow: Vec<Step> = DEVICE_RULES.iter().map(|rule| write("devices.allow", rule.to_string())).collect();
    std::iter::once(deny).chain(allow)
}

fn v2(mount: &Path, controllers: &[&str], path: String, resources: &Resources) -> CgroupPlan {
    let below = |path: &str| mount.join(path.trim_start_matches('/'));
    let directory = below(&path);
    let hand_down = |at: &Path| {
        let file = at.join("cgroup.subtree_control");
        controllers.iter().map(move |name| Step::Write {
            file: file.clone(),
            value: format!("+{name}"),
            optional: true,
        })
    };
    let mut ancestors: Vec<Step> = hand_down(mount).collect();
    for ancestor in prefixes(Path::new(&path).parent().and_then(Path::to_str).unwrap_or("/")) {
        let ancestor = below(&ancestor);
        ancestors.push(Step::MakeDirectory(ancestor.clone()));
        ancestors.extend(hand_down(&ancestor));
    }
    let mut limits = Vec::new();
    let mut add = |file: &str, value: Option<String>| {
        limits.extend(value.map(|value| Step::Write { file: directory.join(file), value, optional: false }));
    };
    add("memory.max", resources.memory.map(text));
    add("memory.low", resources.memory_reservation.map(text));
    add("cpu.weight", resources.cpu_shares.map(|shares| text(weight(shares))));
    add(
        "cpu.max",
        cpu_quota(resources).map(
            |(quota, period)| {
                if quota < 0 { format!("max {period}") } else { format!("{quota} {period}") }
            },
        ),
    );
    add("cpuset.cpus", resources.cpuset_cpus.clone());
    add("cpuset.mems", resources.cpuset_mems.clone());
    add("pids.max", pids(resources));
    if let (Some(both), Some(memory)) = (memory_and_swap(resources), resources.memory) {
        let value = u64::try_from(both).map_or_else(|_| "max".to_owned(), |both| text(both.saturating_sub(memory)));
        let optional = resources.memory_swap.is_none();
        limits.push(Step::Write { file: directory.join("memory.swap.max"), value, optional });
    }
    let own = vec![Step::MakeDirectory(directory.clone()), Step::DeviceProgram(directory.clone())];
    CgroupPlan {
        ancestors,
        own,
        limits,
        location: Location { path, directories: vec![(directory, Vec::new())], v2: true },
    }
}

/// `/a/b` gives `/a`, `/a/b`.
fn prefixes(path: &str) -> Vec<String> {
    let mut prefix = String::new();
    path.split('/')
        .filter(|part| !part.is_empty())
        .map(|part| {
            prefix.push('/');
            prefix.push_str(part);
            prefix.clone()
        })
        .collect()
}

/// Memory and swap together, as Docker counts: as much swap as memory unless told otherwise; -1 is no limit.
fn memory_and_swap(resources: &Resources) -> Option<i64> {
    let memory = i64::try_from(resources.memory?).ok()?;
    match resources.memory_swap {
        Some(swap) if swap != 0 => Some(swap),
        _ => Some(memory.saturating_mul(2)),
    }
}

/// Microseconds of CPU time a period, and the period.
fn cpu_quota(resources: &Resources) -> Option<(i64, u64)> {
    let period = resources.cpu_period.filter(|period| *period != 0).unwrap_or(CPU_PERIOD_US);
    if let Some(quota) = resources.cpu_quota.filter(|quota| *quota != 0) {
        return Some((quota, period));
    }
    match resources.nano_cpus.filter(|cpus| *cpus != 0) {
        // The kernel takes no quota under a millisecond.
        Some(cpus) => {
            let quota = u128::from(cpus) * u128::from(period) / 1_000_000_000;
            Some((i64::try_from(quota).unwrap_or(i64::MAX).max(1000), period))
        }
        None => resources.cpu_period.filter(|period| *period != 0).map(|period| (-1, period)),
    }
}

fn pids(resources: &Resources) -> Option<String> {
    resources.pids.map(|pids| if pids > 0 { text(pids) } else { "max".to_owned() })
}

/// v1 shares (2 to 262144, 1024 neutral) as v2 weight (1 to 10000, 100 neutral), in the linear way that runc and
/// systemd long had, so that a host moved to v2 keeps its proportions.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn text(value: impl fmt::Display) -> String {
    value.to_string()
}

fn checked_parent(parent: &str) -> Result<&str, Failure> {
    let sound =
        parent.starts_with('/') && !parent.contains('\0') && !parent.split('/').any(|part| part == ".." || part == ".");
    if sound {
        return Ok(parent.trim_end_matches('/')).map(|trimmed| if trimmed.is_empty() { "/" } else { trimmed });
    }
    Err(invalid("cgroup_parent", parent, "give an absolute path without . and .."))
}

fn check(host: &Hierarchy, resources: &Resources) -> Result<(), Failure> {
    let wanted = [
        ("memory", "resources.memory", resources.memory.map(text)),
        ("memory", "resources.memory_reservation", resources.memory_reservation.map(text)),
        ("cpu", "resources.nano_cpus", resources.nano_cpus.map(text)),
        ("cpu", "resources.cpu_quota", resources.cpu_quota.map(text)),
        ("cpu", "resources.cpu_shares", resources.cpu_shares.map(text)),
        ("cpuset", "resources.cpuset_cpus", resources.cpuset_cpus.clone()),
        ("cpuset", "resources.cpuset_mems", resources.cpuset_mems.clone()),
        ("pids", "resources.pids", resources.pids.filter(|pids| *pids > 0).map(text)),
    ];
    for (controller, field, value) in wanted {
        if let Some(value) = value.filter(|_| !host.has(controller)) {
            let remedy =
                format!("this host's kernel offers no {controller} controller; leave the limit out or enable it");
            return Err(invalid(field, &value, &remedy));
        }
    }
    if let Some(memory) = resources.memory.filter(|memory| *memory < MEMORY_MIN) {
        return Err(invalid("resources.memory", &text(memory), "give at least 6 MiB (6291456)"));
    }
    match (resources.memory, resources.memory_swap) {
        (None, Some(swap)) if swap != 0 => {
            return Err(invalid("resources.memory_swap", &text(swap), "set resources.memory too"));
        }
        (Some(memory), Some(swap)) if swap > 0 && u64::try_from(swap).is_ok_and(|swap| swap < memory) => {
            return Err(invalid(
                "resources.memory_swap",
                &text(swap),
                "it counts memory too: give at least resources.memory",
            ));
        }
        (_, Some(swap)) if swap < -1 => {
            return Err(invalid("resources.memory_swap", &text(swap), "give bytes, or -1 for no limit"));
        }
        _ => {}
    }
    if let Some(shares) = resources.cpu_shares.filter(|shares| !(2..=262_144).contains(shares)) {
        return Err(invalid("resources.cpu_shares", &text(shares), "give 2 to 262144"));
    }
    if let Some(period) = resources.cpu_period.filter(|period| *period != 0 && !(1000..=1_000_000).contains(period)) {
        return Err(invalid("resources.cpu_period", &text(period), "give 1000 to 1000000 microseconds"));
    }
    Ok(())
}

fn invalid(field: &str, value: &str, remedy: &str) -> Failure {
    Failure::Invalid { field: field.to_owned(), value: value.to_owned(), remedy: remedy.to_owned() }
}

impl fmt::Display for CgroupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDirectory(path) => write!(f, "mkdir {}", path.display()),
            Self::InheritCpuset(path) => write!(f, "inherit cpuset {}", path.display()),
            Self::Write { file, value, optional } => {
                write!(f, "write {value:?} {}{}", file.display(), if *optional { " (optional)" } else { "" })
            }
            Self::DeviceProgram(path) => write!(f, "attach devices {}", path.display()),
        }
    }
}

/// The kernel's own default period.
const CPU_PERIOD_US: u64 = 100_000;
/// Docker's least limit: less does not hold a process at all.
const MEMORY_MIN: u64 = 6 << 20;
const V2_CONTROLLERS: &[&str] = &["cpu", "cpuset", "io", "memory", "pids"];

#[cfg(test)]
mod tests;
