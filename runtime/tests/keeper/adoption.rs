//! A keeper that is killed, and its successor.

use std::fs;
use std::io::Write;
use std::time::Duration;

use rustix::process::{Pid, Signal as RawSignal, kill_process};
use shoal_runtime::client::KeeperOptions;
use shoal_runtime::signal::Signal;
use shoal_runtime::spec::ExecSpec;
use shoal_runtime::state::{ContainerStatus, Ending, Event};

use crate::house::House;

/// Kills the keeper without warning, and waits for its successor.
fn replace(house: &House) {
    let before = house.keeper.info().unwrap().pid;
    kill_process(Pid::from_raw(before.cast_signed()).unwrap(), RawSignal::KILL).unwrap();
    house.expect("loss of the connection", |event| matches!(event, Event::Lagged).then_some(()));
    assert_ne!(house.keeper.info().unwrap().pid, before);
}

#[test]
fn containers_outlive_their_keeper() {
    let house = House::new();
    let talker = house
        .shell("talker", "trap 'echo bye; exit 8' TERM; n=0; while :; do echo tick $n; n=$((n+1)); sleep 0.01; done");
    let created = house.keeper.run(&talker).unwrap();
    house.wait_said(&talker.id, "tick 3");
    replace(&house);
    let listed = house.keeper.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].pid, Some(created.pid));
    assert!(matches!(listed[0].status, ContainerStatus::Running { .. }));
    let now = house.said(&talker.id).lines().count();
    house.wait_said(&talker.id, &format!("tick {}", now + 20));
    // What it said while nobody read is there, in order.
    for (n, line) in house.said(&talker.id).lines().enumerate() {
        assert_eq!(line, format!("tick {n}"));
    }
    let handle =
        house.keeper.exec(&talker.id, &ExecSpec::new(vec!["/bin/sh".into(), "-c".into(), "exit 2".into()])).unwrap();
    let ending = house.expect("end of the exec", |event| match event {
        Event::ExecExited { exec, ending, .. } if *exec == handle.exec => Some(*ending),
        _ => None,
    });
    assert_eq!(ending, Ending::Code(2));
    house.keeper.stop(&talker.id, None, Some(Duration::from_secs(100))).unwrap();
    let status = house.wait(&talker.id);
    // It is nobody's child: only a kernel that remembers for holders of a pidfd (6.15) can say how it ended.
    let expected = if kernel_remembers() { Ending::Code(8) } else { Ending::Unknown };
    assert_eq!(status.ending, expected);
    assert!(house.said(&talker.id).ends_with("bye\n"));
}

fn kernel_remembers() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

#[test]
fn terminals_and_stdin_outlive_the_keeper_too() {
    let house = House::new();
    let script = "while read line; do echo got $line; done; echo end";
    let mut terminal = house.shell("terminal", script);
    terminal.process.terminal = true;
    let mut piped = house.shell("piped", script);
    for spec in [&mut terminal, &mut piped] {
        spec.process.open_stdin = true;
        house.keeper.run(spec).unwrap();
    }
    replace(&house);
    for spec in [&terminal, &piped] {
        let attachment = house.keeper.attach(&spec.id, true).unwrap();
        fs::File::from(attachment.stdin.unwrap()).write_all(b"word\n").unwrap();
        house.wait_said(&spec.id, "got word");
    }
    house.keeper.resize(&terminal.id, 10, 20).unwrap();
    house.keeper.close_stdin(&piped.id).unwrap();
    house.wait(&piped.id);
    assert_eq!(house.said(&piped.id), "got word\nend\n");
}

#[test]
fn what_ended_meanwhile_is_learnt_from_the_list() {
    let house = House::new();
    let ended = house.shell("ended", "exit 4");
    assert_eq!(house.finish(&ended).code(), 4);
    let killed = house.container("killed", &["/bin/sleep", "1000"]);
    let pid = house.keeper.run(&killed).unwrap().pid;
    let never = house.shell("never", "true");
    house.keeper.create(&never).unwrap();
    // Both at once: nobody is there to reap the container.
    let keeper = house.keeper.info().unwrap().pid;
    kill_process(Pid::from_raw(keeper.cast_signed()).unwrap(), RawSignal::STOP).unwrap();
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), RawSignal::KILL).unwrap();
    kill_process(Pid::from_raw(keeper.cast_signed()).unwrap(), RawSignal::KILL).unwrap();
    house.expect("loss of the connection", |event| matches!(event, Event::Lagged).then_some(()));
    let mut names: Vec<_> = house.keeper.list().unwrap().into_iter().map(|state| state.id.to_string()).collect();
    names.sort();
    assert_eq!(names, ["ended", "killed", "never"]);
    assert_eq!(house.wait(&ended.id).ending, Ending::Code(4));
    assert_eq!(house.wait(&never.id).started_at, None);
    // Whether anybody remembers depends on who reaped it, and when.
    assert!(matches!(house.wait(&killed.id).ending, Ending::Unknown | Ending::Signal(Signal::KILL)));
}

#[test]
fn one_state_directory_has_one_keeper() {
    let house = House::new();
    let other = KeeperOptions { socket: house.path("other.sock"), ..house.options.clone() };
    let error = shoal_runtime::client::Keeper::launch(other).unwrap_err().to_string();
    assert!(error.contains("another keeper runs already"), "{error}");
}
