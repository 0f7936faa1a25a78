//! A host with one v2 tree.

use std::fs;

use shoal_runtime::client::{KeeperError, Stdio};
use shoal_runtime::failure::Failure;
use shoal_runtime::spec::{ExecSpec, Namespace};
use shoal_runtime::state::Ending;

use crate::house::House;

#[test]
fn a_container_is_born_in_its_cgroup() {
    let house = House::on_v2();
    let spec = house.container("c", &["/bin/sleep", "1000"]);
    let pid = house.keeper.run(&spec).unwrap().pid;
    let own = format!("0::{}/c", house.options.cgroup_parent);
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(groups.lines().any(|line| line == own), "{groups}");
    let script =
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs; touch /sys/fs/cgroup/x 2>/dev/null && echo wrote";
    let handle =
        house.keeper.exec(&spec.id, &ExecSpec::new(["/bin/sh", "-c", script].map(str::to_owned).to_vec())).unwrap();
    let Stdio::Pipes { stdout, .. } = handle.stdio else { panic!("a terminal") };
    let said = std::io::read_to_string(fs::File::from(stdout.unwrap())).unwrap();
    assert!(said.contains("0::/\n1\n") && !said.contains("wrote"), "{said}");
}

#[test]
fn devices_are_refused_by_a_program() {
    let house = House::on_v2();
    let script =
        "head -c 1 /dev/zero > /dev/null && echo fine; mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk && echo leaked";
    let (_, said) = house.output(&house.shell("c", script));
    assert!(
        said.starts_with("fine\n") && said.contains("Operation not permitted") && !said.contains("leaked"),
        "{said}"
    );
}

#[test]
fn a_kill_takes_everybody() {
    let house = House::on_v2();
    let mut spec = house.shell("c", "sleep 1000 & sleep 1000 & echo up; wait");
    spec.namespaces.pid = Namespace::Host;
    house.keeper.run(&spec).unwrap();
    house.wait_said(&spec.id, "up");
    house.keeper.delete(&spec.id).unwrap();
    let mut limited = house.shell("limited", "true");
    limited.resources.memory = Some(64 << 20);
    let outcome = house.keeper.run(&limited);
    if let Err(error) = outcome {
        assert!(
            matches!(&error, KeeperError::Refused(Failure::Invalid { field, .. }) if field == "resources.memory"),
            "{error}"
        );
    } else {
        assert_eq!(house.wait(&limited.id).ending, Ending::Code(0));
    }
}

#[test]
fn on_v1_too_a_kill_takes_everybody() {
    let house = House::new();
    let mut spec = house.shell("c", "sleep 1000 & sleep 1000 & echo up; wait");
    spec.namespaces.pid = Namespace::Host;
    house.keeper.run(&spec).unwrap();
    house.wait_said(&spec.id, "up");
    house.keeper.delete(&spec.id).unwrap();
}
