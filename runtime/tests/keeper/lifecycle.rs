//! Beginning and end: codes, signals, memory, stops, refusals.

use std::time::{Duration, Instant};

use shoal_runtime::client::KeeperError;
use shoal_runtime::failure::{Failure, Stage};
use shoal_runtime::signal::Signal;
use shoal_runtime::spec::{ContainerId, Rlimit, RlimitKind};
use shoal_runtime::state::{ContainerStatus, Ending, Event};

use crate::house::{House, cgroups_of};

fn id(name: &str) -> ContainerId {
    ContainerId::new(name).unwrap()
}

#[test]
fn exit_codes_are_told_truly() {
    let house = House::new();
    for code in [0, 1, 7, 255] {
        let status = house.finish(&house.shell(&format!("code-{code}"), &format!("exit {code}")));
        assert_eq!(status.ending, Ending::Code(code));
        assert!(!status.oom_killed);
        assert!(status.started_at.unwrap() <= status.finished_at);
    }
    assert_eq!(house.finish(&house.shell("self-kill", "(exit 3); exit $?")).code(), 3);
}

#[test]
fn create_waits_for_start() {
    let house = House::new();
    let spec = house.shell("c", "echo ran");
    let created = house.keeper.create(&spec).unwrap();
    let listed = house.keeper.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].pid, &listed[0].status), (Some(created.pid), &ContainerStatus::Created));
    let attachment = house.keeper.attach(&spec.id, false).unwrap();
    assert_eq!(house.said(&spec.id), "");
    house.keeper.start(&spec.id).unwrap();
    house.expect("start", |event| matches!(event, Event::Started { pid, .. } if *pid == created.pid).then_some(()));
    assert_eq!(house.wait(&spec.id).code(), 0);
    assert_eq!(std::io::read_to_string(std::fs::File::from(attachment.stdout)).unwrap(), "ran\n");
    assert_eq!(house.said(&spec.id), "ran\n");
    assert!(matches!(house.keeper.start(&spec.id), Err(KeeperError::Refused(Failure::WrongStatus { .. }))));
}

#[test]
fn a_created_container_that_is_never_started_goes_cleanly() {
    let house = House::new();
    house.keeper.create(&house.shell("c", "true")).unwrap();
    house.keeper.delete(&id("c")).unwrap();
    assert_eq!(house.keeper.list().unwrap(), []);
    assert_eq!(cgroups_of(&format!("{}/c", house.options.cgroup_parent.trim_start_matches('/'))).len(), 0);
}

#[test]
fn signals_end_and_are_told() {
    let house = House::new();
    let spec = house.container("kill", &["/bin/sleep", "1000"]);
    house.keeper.run(&spec).unwrap();
    // The first process of a process namespace hears nothing that it has no handler for, except this.
    house.keeper.signal(&spec.id, Signal::TERM).unwrap();
    house.keeper.signal(&spec.id, Signal::KILL).unwrap();
    let status = house.wait(&spec.id);
    assert_eq!((status.signal(), status.code()), (Some(Signal::KILL), 137));
    assert!(house.keeper.signal(&spec.id, Signal::KILL).is_err());
}

#[test]
fn stop_asks_and_then_kills() {
    let house = House::new();
    let polite = house.shell("polite", "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done");
    let stubborn = house.shell("stubborn", "trap '' TERM; echo up; while :; do sleep 0.01; done");
    for spec in [&polite, &stubborn] {
        house.keeper.run(spec).unwrap();
        house.wait_said(&spec.id, "up");
    }
    house.keeper.stop(&polite.id, None, Some(Duration::from_secs(100))).unwrap();
    assert_eq!(house.wait(&polite.id).ending, Ending::Code(5));
    let before = Instant::now();
    house.keeper.stop(&stubborn.id, None, Some(Duration::from_millis(300))).unwrap();
    assert_eq!(house.wait(&stubborn.id).ending, Ending::Signal(Signal::KILL));
    assert!(before.elapsed() >= Duration::from_millis(300));
    house.keeper.stop(&stubborn.id, None, None).unwrap();
    assert!(matches!(
        house.keeper.stop(&id("nobody"), None, None),
        Err(KeeperError::Refused(Failure::NotFound { .. }))
    ));
}

#[test]
fn the_stop_signal_is_the_containers_own() {
    let house = House::new();
    let mut spec = house.shell("c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done");
    spec.stop_signal = Signal::parse("USR1").unwrap();
    house.keeper.run(&spec).unwrap();
    house.wait_said(&spec.id, "up");
    house.keeper.stop(&spec.id, None, Some(Duration::from_secs(100))).unwrap();
    assert_eq!(house.wait(&spec.id).ending, Ending::Code(9));
}

#[test]
fn memory_limits_kill_and_are_told() {
    let house = House::new();
    let mut spec = house.container("oom", &["/bin/eat", "100"]);
    spec.resources.memory = Some(32 << 20);
    spec.resources.memory_swap = Some(32 << 20);
    let status = house.finish(&spec);
    assert_eq!(status.ending, Ending::Signal(Signal::KILL));
    assert!(status.oom_killed);
    let mut child = house.shell("child", "/bin/eat 100; echo survived; sleep 1000");
    child.resources = spec.resources.clone();
    house.keeper.run(&child).unwrap();
    house.expect("OOM event", |event| matches!(event, Event::OomKilled { id } if *id == child.id).then_some(()));
    house.wait_said(&child.id, "survived");
    let stats = house.keeper.stats(&child.id).unwrap();
    assert_eq!(stats.memory_limit, Some(32 << 20));
    assert!(
        stats.memory_usage.is_some_and(|usage| usage > 0) && stats.cpu_total.is_some_and(|cpu| cpu > 0),
        "{stats:?}"
    );
    assert!(stats.pids.is_some_and(|pids| pids > 0), "{stats:?}");
    let mut enough = house.container("enough", &["/bin/eat", "20"]);
    enough.resources = spec.resources;
    assert!(!house.finish(&enough).oom_killed);
}

#[test]
fn process_limits_hold() {
    let house = House::new();
    let mut spec = house.shell("pids", "(sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5 & wait) 2>&1; true");
    spec.resources.pids = Some(4);
    let (_, said) = house.output(&spec);
    assert!(said.contains("fork"), "{said}");
}

#[test]
fn a_command_that_is_not_there_leaves_nothing() {
    let house = House::new();
    let refused = |args: &[&str]| match house.keeper.run(&house.container("c", args)) {
        Err(KeeperError::Refused(Failure::Start(failure))) => failure,
        other => panic!("{other:?}"),
    };
    let failure = refused(&["nope"]);
    assert_eq!((failure.stage, failure.exit_code()), (Stage::CommandLookup, 127));
    assert_eq!(failure.to_string(), "exec: \"nope\": executable file not found in $PATH");
    assert_eq!(refused(&["/bin/nope"]).to_string(), "exec: \"/bin/nope\": stat /bin/nope: no such file or directory");
    let failure = refused(&["/etc/passwd"]);
    assert_eq!((failure.exit_code(), failure.to_string().as_str()), (126, "exec: \"/etc/passwd\": permission denied"));
    assert_eq!(house.keeper.list().unwrap(), []);
    let spec = house.container("late", &["nope"]);
    house.keeper.create(&spec).unwrap();
    assert!(house.keeper.start(&spec.id).is_err());
    assert_eq!(house.wait(&spec.id).code(), 127);
}

#[test]
fn what_cannot_be_made_is_refused_with_its_place() {
    let house = House::new();
    let mut spec = house.shell("c", "true");
    spec.process.user = "stranger".to_owned();
    let error = house.keeper.run(&spec).unwrap_err().to_string();
    assert_eq!(error, "unable to find user stranger: no matching entries in passwd file");
    let mut spec = house.shell("c", "true");
    spec.rootfs.mountpoint = "/nonexistent".into();
    let error = house.keeper.run(&spec).unwrap_err().to_string();
    assert_eq!(error, "mounting the root file system: mountpoint /nonexistent: no such file or directory");
    let mut spec = house.shell("c", "true");
    spec.process.rlimits = vec![Rlimit { kind: RlimitKind::Core, soft: 2, hard: 1 }];
    assert!(house.keeper.run(&spec).is_err());
    house.keeper.run(&house.container("c", &["/bin/sleep", "1000"])).unwrap();
    let again = house.keeper.run(&house.shell("c", "true"));
    assert!(matches!(again, Err(KeeperError::Refused(Failure::AlreadyExists { .. }))), "{again:?}");
    assert!(matches!(house.keeper.shutdown(), Err(KeeperError::Refused(Failure::InUse { held: 1 }))));
}

#[test]
fn an_init_reaps_and_hands_on() {
    let house = House::new();
    let mut spec = house.shell("c", "trap 'exit 6' TERM; (sleep 0.01 &) ; echo pid $$; while :; do sleep 0.01; done");
    spec.init = true;
    house.keeper.run(&spec).unwrap();
    house.wait_said(&spec.id, "pid 2");
    house.keeper.stop(&spec.id, None, Some(Duration::from_secs(100))).unwrap();
    assert_eq!(house.wait(&spec.id).ending, Ending::Code(6));
    let mut spec = house.shell("killed", "kill -9 $$");
    spec.init = true;
    assert_eq!(house.finish(&spec).code(), 137);
}

#[test]
fn a_hundred_short_ones_all_end() {
    let house = House::new();
    for n in 0..100 {
        let spec = house.container(&format!("c{n}"), &["/bin/sh", "-c", "exit 4"]);
        assert_eq!(house.finish(&spec).code(), 4);
        house.keeper.delete(&spec.id).unwrap();
    }
}
