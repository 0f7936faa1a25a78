//! Which cgroup hierarchies the host has. A hybrid host (v1 controllers, an empty v2 beside them) counts as v1.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The host's hierarchies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hierarchy {
    /// One tree for each controller, or group of them.
    V1(Vec<Controllers>),
    /// One tree for all, and the controllers it offers at its root.
    V2 { mount: PathBuf, controllers: BTreeSet<String> },
}

/// One tree of v1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Controllers {
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// `memory`, or several; `name=systemd` for one without controllers.
    pub(crate) names: Vec<String>,
}

/// A host on which no container can be confined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cgroup hierarchy is mounted: mount one at /sys/fs/cgroup")]
pub(crate) struct NoHierarchy;

impl Hierarchy {
    /// Finds them in the text of `/proc/self/mountinfo`; `read_controllers` gives the text of a v2 tree's
    /// `cgroup.controllers`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn detect(mountinfo: &str, read_controllers: impl Fn(&Path) -> String) -> Result<Self, NoHierarchy> {
        let mut v1: Vec<Controllers> = Vec::new();
        let mut v2 = None;
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let mut left = left.split(' ');
            let (Some(root), Some(mount)) = (left.nth(3), left.next()) else { continue };
            let mut right = right.split(' ');
            let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup") if root == "/" => {
                    let names: Vec<String> =
                        options.split(',').filter(|option| is_controller(option)).map(str::to_owned).collect();
                    if !names.is_empty() && !v1.iter().any(|known| known.names == names) {
                        v1.push(Controllers { mount: PathBuf::from(mount), names });
                    }
                }
                Some("cgroup2") if v2.is_none() => v2 = Some(PathBuf::from(mount)),
                _ => {}
            }
        }
        v1.sort_by(|a, b| a.names.cmp(&b.names));
        if v1.iter().any(|tree| tree.names.iter().any(|name| name == "memory" || name == "pids" || name == "cpu")) {
            return Ok(Self::V1(v1));
        }
        let mount = v2.ok_or(NoHierarchy)?;
        let controllers = read_controllers(&mount).split_whitespace().map(str::to_owned).collect();
        Ok(Self::V2 { mount, controllers })
    }

    /// Whether limits of this controller can be set.
    pub(crate) fn has(&self, controller: &str) -> bool {
        match self {
            Self::V1(trees) => trees.iter().any(|tree| tree.names.iter().any(|name| name == controller)),
            Self::V2 { controllers, .. } => controllers.contains(controller),
        }
    }
}

/// Mount options that are no controllers.
fn is_controller(option: &str) -> bool {
    const OTHERS: &[&str] =
        &["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode", "relatime", "favordynmods"];
    !OTHERS.contains(&option) && !option.starts_with("release_agent=") && !option.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
35 31 0:32 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup systemd rw,xattr,release_agent=/x,name=systemd
36 31 0:33 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
37 31 0:31 /sub /mnt/memory rw,relatime - cgroup cgroup rw,memory
";

    #[test]
    fn a_hybrid_host_is_v1() {
        let found = Hierarchy::detect(HYBRID, |_| "hugetlb".to_owned()).unwrap();
        let Hierarchy::V1(trees) = &found else { panic!("{found:?}") };
        let seen: Vec<_> = trees.iter().map(|tree| (tree.mount.to_str().unwrap(), tree.names.join(","))).collect();
        assert_eq!(
            seen,
            [
                ("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct".to_owned()),
                ("/sys/fs/cgroup/memory", "memory".to_owned()),
                ("/sys/fs/cgroup/systemd", "name=systemd".to_owned()),
            ]
        );
        assert!(found.has("memory") && !found.has("pids"));
    }

    #[test]
    fn one_tree_is_v2() {
        let text = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = Hierarchy::detect(text, |_| "cpuset cpu io memory pids\n".to_owned()).unwrap();
        assert!(found.has("memory") && !found.has("devices"));
        assert_eq!(Hierarchy::detect("", |_| String::new()), Err(NoHierarchy));
    }
}
