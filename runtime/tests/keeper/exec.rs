//! Further processes in running containers.

use std::fs::File;
use std::io::{Read, Write};

use shoal_runtime::client::{ExecHandle, KeeperError, Stdio};
use shoal_runtime::failure::{Failure, Stage};
use shoal_runtime::signal::Signal;
use shoal_runtime::spec::{ContainerId, ExecSpec};
use shoal_runtime::state::{Ending, Event, ExecId};

use crate::house::House;

fn running(house: &House) -> ContainerId {
    let mut spec = house.container("c", &["/bin/sleep", "1000"]);
    spec.process.env.push("A=1".to_owned());
    spec.hostname = Some("inside".to_owned());
    spec.resources.memory = Some(64 << 20);
    house.keeper.run(&spec).unwrap();
    spec.id
}

fn shell(script: &str) -> ExecSpec {
    ExecSpec::new(["/bin/sh", "-c", script].map(str::to_owned).to_vec())
}

fn ended(house: &House, wanted: &ExecId) -> Ending {
    house.expect("end of the exec", |event| match event {
        Event::ExecExited { exec, ending, .. } if exec == wanted => Some(*ending),
        _ => None,
    })
}

fn output(house: &House, handle: ExecHandle) -> (Ending, String, String) {
    let Stdio::Pipes { stdout, stderr, .. } = handle.stdio else { panic!("a terminal") };
    let read = |end: Option<std::os::fd::OwnedFd>| std::io::read_to_string(File::from(end.unwrap())).unwrap();
    let (out, err) = (read(stdout), read(stderr));
    (ended(house, &handle.exec), out, err)
}

#[test]
fn exec_joins_everything() {
    let house = House::new();
    let id = running(&house);
    let script = "hostname; echo $A $B; readlink /proc/1/exe; cat /proc/self/cgroup >&2; exit 3";
    let mut spec = shell(script);
    spec.env = vec!["B=2".to_owned()];
    let (ending, out, err) = output(&house, house.keeper.exec(&id, &spec).unwrap());
    assert_eq!(ending, Ending::Code(3));
    assert_eq!(out, "inside\n1 2\n/bin/sleep\n");
    assert!(err.lines().filter(|line| line.contains("memory")).all(|line| line.ends_with(":/")), "{err}");
    let mut spec = shell("id -u; id -g; id -G; cd; echo $PWD");
    spec.user = Some("web".to_owned());
    spec.cwd = Some("/tmp".to_owned());
    let (_, out, _) = output(&house, house.keeper.exec(&id, &spec).unwrap());
    assert_eq!(out.lines().collect::<Vec<_>>()[..3], ["33", "34", "34 4"]);
}

#[test]
fn exec_streams_and_signals() {
    let house = House::new();
    let id = running(&house);
    let mut spec = ExecSpec::new(vec!["cat".to_owned()]);
    spec.stdin = true;
    let handle = house.keeper.exec(&id, &spec).unwrap();
    let Stdio::Pipes { stdin, stdout, .. } = handle.stdio else { panic!("a terminal") };
    let mut stdin = File::from(stdin.unwrap());
    let data = vec![b'x'; 300_000];
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        File::from(stdout.unwrap()).read_to_end(&mut all).unwrap();
        all
    });
    stdin.write_all(&data).unwrap();
    drop(stdin);
    assert_eq!(reader.join().unwrap(), data);
    assert_eq!(ended(&house, &handle.exec), Ending::Code(0));
    let handle = house.keeper.exec(&id, &ExecSpec::new(vec!["sleep".to_owned(), "1000".to_owned()])).unwrap();
    house.keeper.exec_signal(&handle.exec, Signal::TERM).unwrap();
    assert_eq!(ended(&house, &handle.exec), Ending::Signal(Signal::TERM));
    assert!(house.keeper.exec_signal(&handle.exec, Signal::TERM).is_err());
}

#[test]
fn exec_with_a_terminal() {
    let house = House::new();
    let id = running(&house);
    let mut spec = shell("[ -t 0 ] && [ -t 2 ] && echo tty; read x; echo got $x");
    spec.terminal = true;
    spec.terminal_size = Some((10, 20));
    let handle = house.keeper.exec(&id, &spec).unwrap();
    house.keeper.exec_resize(&handle.exec, 30, 40).unwrap();
    let Stdio::Terminal(master) = handle.stdio else { panic!("pipes") };
    let mut master = File::from(master);
    master.write_all(b"word\n").unwrap();
    assert_eq!(ended(&house, &handle.exec), Ending::Code(0));
    let mut said = Vec::new();
    // A terminal whose other side is gone ends with EIO.
    let _ended = master.read_to_end(&mut said);
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("tty\r\n") && said.ends_with("got word\r\n"), "{said:?}");
}

#[test]
fn what_cannot_be_executed_is_told() {
    let house = House::new();
    let id = running(&house);
    let failed = |spec: &ExecSpec| match house.keeper.exec(&id, spec) {
        Err(KeeperError::Refused(Failure::Start(failure))) => failure,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(&ExecSpec::new(vec!["nope".to_owned()])).stage, Stage::CommandLookup);
    let mut spec = shell("true");
    spec.cwd = Some("/nowhere".to_owned());
    assert_eq!(failed(&spec).stage, Stage::WorkingDirectory);
    for fd in 0..64 {
        let mut spec = shell("true");
        spec.cwd = Some(format!("/proc/self/fd/{fd}"));
        assert_eq!(failed(&spec).stage, Stage::WorkingDirectory, "descriptor {fd}");
    }
    for user in ["4294967296", "1:", "nobody"] {
        let mut spec = shell("true");
        spec.user = Some(user.to_owned());
        assert_eq!(failed(&spec).stage, Stage::User, "{user}");
    }
    house.keeper.signal(&id, Signal::KILL).unwrap();
    house.wait(&id);
    assert!(matches!(house.keeper.exec(&id, &shell("true")), Err(KeeperError::Refused(Failure::WrongStatus { .. }))));
}

#[test]
fn a_container_takes_its_exec_processes_along() {
    let house = House::new();
    let id = running(&house);
    let handle = house.keeper.exec(&id, &ExecSpec::new(vec!["sleep".to_owned(), "1000".to_owned()])).unwrap();
    house.keeper.delete(&id).unwrap();
    assert_eq!(ended(&house, &handle.exec), Ending::Signal(Signal::KILL));
}
