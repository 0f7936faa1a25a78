//! A golden plan, and what is refused.

use std::collections::BTreeMap;

use super::*;
use crate::cgroup::Controllers;
use crate::spec::{BindMount, ContainerId, Mount, MountKind, Namespaces, ProcessSpec, Propagation, TmpfsMount};

fn host() -> HostFacts {
    let tree = Controllers { mount: "/sys/fs/cgroup/pids".into(), names: vec!["pids".into()] };
    HostFacts {
        cgroups: Hierarchy::V1(vec![tree]),
        cgroup_parent: "/shoal".into(),
        kernel: KernelVersion(6, 1),
        arch: Some(Arch::X86_64),
    }
}

fn spec() -> ContainerSpec {
    let layers = Layers::Overlay { lower: vec!["/l2".into(), "/l1".into()], upper: "/u".into(), work: "/w".into() };
    let rootfs = RootFs { layers, mountpoint: "/m".into(), read_only: true };
    let mut spec = ContainerSpec::new(ContainerId::new("c1").unwrap(), rootfs, ProcessSpec::new(vec!["web".into()]));
    spec.masked_paths = vec!["/proc/kcore".into()];
    spec.readonly_paths = vec!["/proc/sys".into()];
    spec
}

fn bind(target: &str) -> Mount {
    let bind =
        BindMount { source: "/src".into(), read_only: true, recursive: true, propagation: Propagation::Rprivate };
    Mount { target: target.into(), kind: MountKind::Bind(bind) }
}

fn refused(spec: &ContainerSpec) -> String {
    match StartPlan::new(spec, &host(), None) {
        Err(Failure::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_plan_says_everything_in_order() {
    let mut spec = spec();
    let tmpfs = TmpfsMount { size: Some(4096), mode: Some(0o755), options: vec!["exec,uid=5".into()] };
    spec.mounts =
        vec![bind("/data/deep"), bind("/data/"), Mount { target: "/dev/shm".into(), kind: MountKind::Tmpfs(tmpfs) }];
    spec.sysctls = BTreeMap::from([("net.core.somaxconn".into(), "9".into())]);
    spec.namespaces.network = NetworkNamespace::Path("/run/netns/x".into());
    spec.hostname = Some("web-1".into());
    spec.init = true;
    let text = StartPlan::new(&spec, &host(), None).unwrap().to_string();
    let expected = r#"mkdir /sys/fs/cgroup/pids/shoal
mkdir /sys/fs/cgroup/pids/shoal/c1
namespace pid new
namespace ipc new
namespace uts new
namespace cgroup new
namespace network /run/netns/x
root Overlay { lower: ["/l2", "/l1"], upper: "/u", work: "/w" } on /m
mount /proc: Proc
mount /dev: Devices
mount /dev/pts: Terminals
mount /sys: Sysfs
mount /sys/fs/cgroup: Cgroups
mount /dev/mqueue: MessageQueues
mount /data: Bind(PlannedBind { source: "/src", read_only: true, recursive: true, propagation: Rprivate })
mount /data/deep: Bind(PlannedBind { source: "/src", read_only: true, recursive: true, propagation: Rprivate })
mount /dev/shm: Tmpfs(PlannedTmpfs { attributes: 6, options: [("mode", Some("755")), ("size", Some("4096")), ("uid", Some("5"))] })
sysctl net/core/somaxconn = "9"
read-only /proc/sys
mask /proc/kcore
read-only /
hostname web-1
init
oom_score_adj 0
user "" and groups []
capabilities 0xa80425fb
seccomp unconfined
execute ["web"] in /
"#;
    assert_eq!(text, expected);
}

#[test]
fn a_mount_on_a_standard_target_replaces_what_is_there_and_below() {
    let mut spec = spec();
    spec.mounts = vec![bind("/dev")];
    let plan = StartPlan::new(&spec, &host(), None).unwrap();
    let targets: Vec<_> = plan.mounts.iter().map(|mount| mount.target.to_str().unwrap()).collect();
    assert_eq!(targets, ["/proc", "/sys", "/sys/fs/cgroup", "/dev"]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refused_with = |change: fn(&mut ContainerSpec)| {
        let mut spec = spec();
        change(&mut spec);
        refused(&spec)
    };
    assert_eq!(refused_with(|s| s.mounts = vec![bind("/a"), bind("/b/../a")]), "mounts.target");
    assert_eq!(refused_with(|s| s.mounts = vec![bind("/")]), "mounts.target");
    assert_eq!(refused_with(|s| s.mounts = vec![bind("data")]), "mounts.target");
    assert_eq!(refused_with(|s| s.mounts = vec![bind("/proc/self/attr")]), "mounts.target");
    assert_eq!(refused_with(|s| s.mounts = vec![bind("/x/../proc")]), "mounts.target");
    assert_eq!(refused_with(|s| s.process.args.clear()), "process.args");
    assert_eq!(refused_with(|s| s.process.args = vec!["a\0b".into()]), "process.args");
    assert_eq!(refused_with(|s| s.process.env = vec!["=x".into()]), "process.env");
    assert_eq!(refused_with(|s| s.process.cwd = "srv".into()), "process.cwd");
    assert_eq!(refused_with(|s| s.process.oom_score_adj = Some(2000)), "process.oom_score_adj");
    assert_eq!(refused_with(|s| s.hostname = Some("x".repeat(65))), "hostname");
    assert_eq!(refused_with(|s| s.rootfs.mountpoint = "m".into()), "rootfs.mountpoint");
}

#[test]
fn the_hosts_own_name_is_not_set() {
    let mut spec = spec();
    spec.hostname = Some("x".into());
    spec.namespaces = Namespaces { uts: Namespace::Host, ..Namespaces::default() };
    assert_eq!(refused(&spec), "hostname");
}
