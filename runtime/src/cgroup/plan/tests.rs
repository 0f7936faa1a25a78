//! Golden texts of the plan on both kinds of host, and what it refuses.

use super::*;

fn v1_host() -> Hierarchy {
    let tree = |names: &str| Controllers {
        mount: PathBuf::from(format!("/sys/fs/cgroup/{names}")),
        names: names.split(',').map(str::to_owned).collect(),
    };
    Hierarchy::V1(["cpu,cpuacct", "cpuset", "devices", "memory", "pids"].map(tree).to_vec())
}

fn v2_host() -> Hierarchy {
    let controllers = ["cpu", "cpuset", "memory", "pids", "hugetlb"].map(str::to_owned).into();
    Hierarchy::V2 { mount: PathBuf::from("/sys/fs/cgroup"), controllers }
}

fn limited() -> Resources {
    Resources {
        memory: Some(64 << 20),
        memory_reservation: Some(32 << 20),
        nano_cpus: Some(1_500_000_000),
        cpu_shares: Some(1024),
        cpuset_cpus: Some("0-1".to_owned()),
        pids: Some(100),
        ..Resources::default()
    }
}

#[test]
fn on_v1_limits_come_before_anything_enters() {
    let plan = CgroupPlan::new(&v1_host(), "/shoal", "c1", &limited()).unwrap();
    let text = plan.to_string();
    let without_devices: Vec<&str> = text.lines().filter(|line| !line.contains("devices.allow")).collect();
    assert_eq!(
        without_devices,
        [
            "mkdir /sys/fs/cgroup/cpu,cpuacct/shoal",
            "mkdir /sys/fs/cgroup/cpuset/shoal",
            "inherit cpuset /sys/fs/cgroup/cpuset/shoal",
            "mkdir /sys/fs/cgroup/devices/shoal",
            "mkdir /sys/fs/cgroup/memory/shoal",
            "mkdir /sys/fs/cgroup/pids/shoal",
            "mkdir /sys/fs/cgroup/cpu,cpuacct/shoal/c1",
            "mkdir /sys/fs/cgroup/cpuset/shoal/c1",
            "inherit cpuset /sys/fs/cgroup/cpuset/shoal/c1",
            "mkdir /sys/fs/cgroup/devices/shoal/c1",
            "mkdir /sys/fs/cgroup/memory/shoal/c1",
            "mkdir /sys/fs/cgroup/pids/shoal/c1",
            "write \"a\" /sys/fs/cgroup/devices/shoal/c1/devices.deny",
            "write \"1024\" /sys/fs/cgroup/cpu,cpuacct/shoal/c1/cpu.shares",
            "write \"100000\" /sys/fs/cgroup/cpu,cpuacct/shoal/c1/cpu.cfs_period_us",
            "write \"150000\" /sys/fs/cgroup/cpu,cpuacct/shoal/c1/cpu.cfs_quota_us",
            "write \"0-1\" /sys/fs/cgroup/cpuset/shoal/c1/cpuset.cpus",
            "write \"67108864\" /sys/fs/cgroup/memory/shoal/c1/memory.limit_in_bytes",
            "write \"33554432\" /sys/fs/cgroup/memory/shoal/c1/memory.soft_limit_in_bytes",
            "write \"134217728\" /sys/fs/cgroup/memory/shoal/c1/memory.memsw.limit_in_bytes (optional)",
            "write \"100\" /sys/fs/cgroup/pids/shoal/c1/pids.max",
        ]
    );
    assert_eq!(text.lines().count() - without_devices.len(), DEVICE_RULES.len());
    assert_eq!(plan.location.directory("memory"), Some(Path::new("/sys/fs/cgroup/memory/shoal/c1")));
    assert_eq!(plan.location.directory("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/shoal/c1")));
}

#[test]
fn on_v2_controllers_are_handed_down_first() {
    let plan = CgroupPlan::new(&v2_host(), "/a/b", "c1", &limited()).unwrap();
    let controls = |at: &str| {
        ["cpu", "cpuset", "memory", "pids"]
            .map(|name| format!("write \"+{name}\" /sys/fs/cgroup{at}/cgroup.subtree_control (optional)"))
    };
    let mut expected = controls("").to_vec();
    for at in ["/a", "/a/b"] {
        expected.push(format!("mkdir /sys/fs/cgroup{at}"));
        expected.extend(controls(at));
    }
    expected.extend(
        [
            "mkdir /sys/fs/cgroup/a/b/c1",
            "attach devices /sys/fs/cgroup/a/b/c1",
            "write \"67108864\" /sys/fs/cgroup/a/b/c1/memory.max",
            "write \"33554432\" /sys/fs/cgroup/a/b/c1/memory.low",
            "write \"39\" /sys/fs/cgroup/a/b/c1/cpu.weight",
            "write \"150000 100000\" /sys/fs/cgroup/a/b/c1/cpu.max",
            "write \"0-1\" /sys/fs/cgroup/a/b/c1/cpuset.cpus",
            "write \"100\" /sys/fs/cgroup/a/b/c1/pids.max",
            "write \"67108864\" /sys/fs/cgroup/a/b/c1/memory.swap.max (optional)",
        ]
        .map(str::to_owned),
    );
    assert_eq!(plan.to_string().lines().collect::<Vec<_>>(), expected);
    assert_eq!(plan.location.directory("memory"), Some(Path::new("/sys/fs/cgroup/a/b/c1")));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refused =
        |host: &Hierarchy, parent: &str, resources: Resources| match CgroupPlan::new(host, parent, "c1", &resources) {
            Err(Failure::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
    let with = |change: fn(&mut Resources)| {
        let mut resources = Resources::default();
        change(&mut resources);
        resources
    };
    let v1 = v1_host();
    assert_eq!(refused(&v1, "/shoal", with(|r| r.memory = Some(5 << 20))), "resources.memory");
    assert_eq!(refused(&v1, "/shoal", with(|r| r.memory_swap = Some(1))), "resources.memory_swap");
    assert_eq!(
        refused(&v1, "/shoal", with(|r| (r.memory, r.memory_swap) = (Some(8 << 20), Some(1 << 20)))),
        "resources.memory_swap"
    );
    assert_eq!(refused(&v1, "/shoal", with(|r| r.cpu_shares = Some(1))), "resources.cpu_shares");
    assert_eq!(refused(&v1, "/shoal", with(|r| r.cpu_period = Some(10))), "resources.cpu_period");
    assert_eq!(refused(&v1, "shoal", Resources::default()), "cgroup_parent");
    assert_eq!(refused(&v1, "/a/../b", Resources::default()), "cgroup_parent");
    let poor = Hierarchy::V2 { mount: "/sys/fs/cgroup".into(), controllers: Default::default() };
    assert_eq!(refused(&poor, "/shoal", limited()), "resources.memory");
}

#[test]
fn nothing_asked_nothing_limited() {
    let plan = CgroupPlan::new(&v1_host(), "/", "c1", &Resources::default()).unwrap();
    assert!(plan.ancestors.is_empty());
    assert!(plan.limits.is_empty());
    assert_eq!(plan.location.path, "/c1");
}
