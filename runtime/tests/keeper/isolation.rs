//! What a container sees, has and cannot do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use shoal_runtime::capability::Capabilities;
use shoal_runtime::client::KeeperError;
use shoal_runtime::failure::{Failure, Stage};
use shoal_runtime::spec::{
    BindMount, Layers, Mount, MountKind, NetworkNamespace, Propagation, Rlimit, RlimitKind, TmpfsMount,
};

use crate::house::House;

fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    let bind = BindMount { source: source.to_owned(), read_only, recursive: true, propagation: Propagation::Rprivate };
    Mount { target: target.into(), kind: MountKind::Bind(bind) }
}

#[test]
fn a_container_has_its_own_everything() {
    let house = House::new();
    let mut spec = house
        .shell("c", "hostname; echo pid $$; ls /proc | head -1; readlink /dev/fd; ls -1 /dev; touch /made && ls /made");
    spec.hostname = Some("web-1".to_owned());
    let (code, said) = house.output(&spec);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("web-1\npid 1\n1\n/proc/self/fd\n"), "{said}");
    for node in ["null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue", "ptmx"] {
        assert!(said.lines().any(|line| line == node), "no /dev/{node} in {said}");
    }
    assert!(house.path("c/upper/made").exists());
    assert!(!house.path("c/merged/made").exists(), "the root is mounted on the host");
}

#[test]
fn rights_are_those_of_the_spec() {
    let house = House::new();
    let script = "cat /proc/self/status";
    let status = |change: &dyn Fn(&mut shoal_runtime::spec::ContainerSpec)| {
        let mut spec = house.shell("c", script);
        change(&mut spec);
        let (code, said) = house.output(&spec);
        assert_eq!(code, 0, "{said}");
        move |key: &str| {
            let line = said.lines().find(|line| line.starts_with(&format!("{key}:"))).map(str::to_owned);
            line.map(|line| line[key.len() + 1..].split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
        }
    };
    let root = status(&|_| {});
    assert_eq!((root("CapInh"), root("CapAmb")), ("0000000000000000".into(), "0000000000000000".into()));
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(root(set), "00000000a80425fb", "{set}");
    }
    assert_eq!((root("NoNewPrivs"), root("Seccomp"), root("Uid")), ("0".into(), "2".into(), "0 0 0 0".into()));
    let user = status(&|spec| {
        spec.process.user = "web".to_owned();
        spec.process.no_new_privileges = true;
    });
    assert_eq!((user("Uid"), user("Gid"), user("Groups")), ("33 33 33 33".into(), "34 34 34 34".into(), "4".into()));
    assert_eq!(
        (user("CapPrm"), user("CapEff"), user("CapBnd")),
        ("0000000000000000".into(), "0000000000000000".into(), "00000000a80425fb".into())
    );
    assert_eq!((user("NoNewPrivs"), user("Seccomp")), ("1".into(), "2".into()));
    let open = status(&|spec| spec.seccomp = shoal_runtime::seccomp::SeccompProfile::Unconfined);
    assert_eq!(open("Seccomp"), "0");
    let ambient = status(&|spec| {
        let set = shoal_runtime::capability::CapabilitySet::parse("NET_BIND_SERVICE").unwrap();
        spec.process.user = "33".to_owned();
        spec.process.capabilities = Capabilities { inheritable: set, ambient: set, ..Capabilities::same(set) };
    });
    assert_eq!((ambient("CapAmb"), ambient("CapEff")), ("0000000000000400".into(), "0000000000000400".into()));
}

#[test]
fn the_hosts_secrets_are_hidden() {
    let house = House::new();
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list; do [ -e $f ] && head -c 1 $f; done; \
                  ls /sys/firmware /proc/scsi /proc/acpi 2>/dev/null | head -20; \
                  echo 1 > /proc/sys/kernel/hostname && echo wrote; echo b > /proc/sysrq-trigger && echo wrote; \
                  touch /sys/x && echo wrote; touch /sys/fs/cgroup/x && echo wrote; \
                  mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk && echo leaked; echo end";
    let (_, said) = house.output(&house.shell("c", script));
    assert!(!said.contains("wrote") && !said.contains("leaked"), "{said}");
    assert!(said.contains("end\n"), "{said}");
    assert!(said.contains("Operation not permitted"), "the disk could be opened: {said}");
}

#[test]
fn mounts_are_where_they_should_be() {
    let house = House::new();
    let shared = house.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("file"), "content").unwrap();
    let mut spec = house.shell(
        "c",
        "cat /data/sub/ro/file /etc/resolv.conf; touch /data/sub/ro/no 2>/dev/null && echo wrote; touch /data/sub/rw/yes; \
         stat -f -c %s:%T /scratch; stat -c %a /scratch; stat -f -c %T /dev/shm",
    );
    spec.mounts = vec![
        bind(&shared, "/data/sub/ro", true),
        bind(&shared, "/data/sub/rw", false),
        bind(&shared.join("file"), "/etc/resolv.conf", true),
        Mount {
            target: "/scratch".into(),
            kind: MountKind::Tmpfs(TmpfsMount { size: Some(1 << 20), mode: Some(0o700), options: vec![] }),
        },
    ];
    let (code, said) = house.output(&spec);
    assert_eq!((code, said.as_str()), (0, "contentcontent4096:tmpfs\n700\ntmpfs\n"));
    assert!(shared.join("yes").exists() && !shared.join("no").exists());
}

#[test]
fn a_missing_source_is_named() {
    let house = House::new();
    let mut spec = house.shell("c", "true");
    spec.mounts = vec![bind(Path::new("/nope/nowhere"), "/data", false)];
    let error = house.keeper.run(&spec).unwrap_err().to_string();
    assert_eq!(error, "mounting: bind source /nope/nowhere: no such file or directory");
}

#[test]
fn a_read_only_root_stays_as_it_is() {
    let house = House::new();
    let mut spec =
        house.shell("c", "touch /x 2>/dev/null && echo wrote; touch /tmp/x && touch /dev/shm/x && echo scratch");
    spec.rootfs.read_only = true;
    spec.process.cwd = "/new/place".to_owned();
    spec.mounts = vec![Mount { target: "/tmp".into(), kind: MountKind::Tmpfs(TmpfsMount::default()) }];
    assert_eq!(house.output(&spec), (0, "scratch\n".to_owned()));
}

#[test]
fn the_network_is_the_one_that_was_given() {
    let house = House::new();
    let place = house.path("netns");
    fs::write(&place, "").unwrap();
    // A thread that makes a namespace, which then lives on by the mount.
    let made = std::process::Command::new("unshare")
        .args(["--net", "sh", "-c", "mount --bind /proc/self/ns/net \"$0\""])
        .arg(&place)
        .status();
    assert!(made.unwrap().success());
    let mut spec = house.shell("c", "ls /sys/class/net; cat /proc/sys/net/core/somaxconn; readlink /proc/self/ns/net");
    spec.namespaces.network = NetworkNamespace::Path(place.clone());
    spec.sysctls.insert("net.core.somaxconn".to_owned(), "77".to_owned());
    let (code, said) = house.output(&spec);
    let host = fs::read_link("/proc/self/ns/net").unwrap();
    rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(code, 0, "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["lo", "77"]);
    assert_ne!(lines[2], host.to_str().unwrap());
    let mut spec = house.shell("host", "readlink /proc/self/ns/net");
    spec.namespaces.network = NetworkNamespace::Host;
    assert_eq!(house.output(&spec).1.trim(), host.to_str().unwrap());
}

#[test]
fn limits_are_set_or_refused_with_the_reason() {
    let house = House::new();
    let mut spec = house.shell("c", "ulimit -n; ulimit -Hn");
    spec.process.rlimits = vec![Rlimit { kind: RlimitKind::Nofile, soft: 100, hard: 200 }];
    assert_eq!(house.output(&spec), (0, "100\n200\n".to_owned()));
    let held = fs::read_to_string("/proc/self/status").unwrap();
    let bounding = held.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap().to_owned();
    if u64::from_str_radix(&bounding, 16).unwrap() & (1 << 24) == 0 {
        let mut spec = house.shell("c", "true");
        spec.process.rlimits = vec![Rlimit { kind: RlimitKind::Nofile, soft: u64::MAX, hard: u64::MAX }];
        let error = house.keeper.run(&spec).unwrap_err().to_string();
        assert!(error.contains("CAP_SYS_RESOURCE"), "{error}");
        let mut spec = house.shell("c", "true");
        spec.process.capabilities = Capabilities::same(shoal_runtime::capability::CapabilitySet::ALL);
        let error = house.keeper.run(&spec).unwrap_err().to_string();
        assert!(error.contains("CAP_SYS_RESOURCE"), "{error}");
    }
}

/// A root file system of the test's own, as an image could bring it.
fn hostile_root(house: &House, change: impl Fn(&Path)) -> shoal_runtime::spec::ContainerSpec {
    let root = house.path("hostile");
    let _fresh = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(crate::house::root_file_system().join("bin/eat"), root.join("bin/eat")).unwrap();
    change(&root);
    let mut spec = house.container("hostile-c", &["/bin/eat", "0"]);
    spec.rootfs.layers = Layers::Directory(root);
    spec
}

#[test]
fn an_image_cannot_lead_the_runtime_astray() {
    let house = House::new();
    let outside = house.path("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["proc", "dev", "sys"] {
        let spec = hostile_root(&house, |root| symlink(&outside, root.join(name)).unwrap());
        match house.keeper.run(&spec) {
            Err(KeeperError::Refused(Failure::Start(failure))) => {
                assert_eq!(failure.stage, Stage::Mount, "{name}: {failure}")
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let mut spec = hostile_root(&house, |root| symlink("/proc/self/attr", root.join("data")).unwrap());
    spec.mounts = vec![bind(&outside, "/data", false)];
    assert!(house.keeper.run(&spec).is_err());
    let mut spec = hostile_root(&house, |root| symlink(&outside, root.join("data")).unwrap());
    spec.mounts = vec![bind(&outside, "/data/deep", false)];
    assert!(house.keeper.run(&spec).is_err());
    let mut spec = hostile_root(&house, |_| {});
    spec.process.cwd = "/proc/self/fd/5".to_owned();
    assert!(house.keeper.run(&spec).is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made outside");
    let spec = hostile_root(&house, |_| {});
    assert_eq!(house.finish(&spec).code(), 0);
}

#[test]
fn a_container_is_where_its_limits_are() {
    let house = House::new();
    for (name, parked) in [("first", false), ("second", true)] {
        let mut spec = house.shell(name, "echo loaded; read line");
        spec.process.open_stdin = true;
        let pid = house.keeper.run(&spec).unwrap().pid;
        // While a program is loaded it has its libraries open.
        house.wait_said(&spec.id, "loaded");
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let own = format!("{}/{name}", house.options.cgroup_parent);
        // The v2 tree of a hybrid host has no controllers, and stays out of it.
        for line in groups.lines().filter(|line| !line.starts_with("0::") || groups.lines().count() == 1) {
            assert!(line.ends_with(&own), "parked {parked}: {line}");
        }
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(fds, 3, "descriptors of the keeper's are left in the container");
        house.keeper.delete(&spec.id).unwrap();
    }
}
