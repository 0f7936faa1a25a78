//! What containers say and hear.

use std::fs;
use std::io::{Read, Write};

use shoal_runtime::spec::LogSpec;

use crate::house::House;

#[test]
fn both_streams_are_logged_in_dockers_format() {
    let house = House::new();
    let spec = house.shell("c", "echo out; echo 'err \"q\"' >&2; printf tail");
    assert_eq!(house.finish(&spec).code(), 0);
    let text = fs::read_to_string(house.path("c/log")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut seen: Vec<_> = lines.iter().map(|l| (l["stream"].as_str().unwrap(), l["log"].as_str().unwrap())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("stderr", "err \"q\"\n"), ("stdout", "out\n"), ("stdout", "tail")]);
    assert!(lines.iter().all(|line| line["time"].as_str().unwrap().ends_with('Z')));
}

#[test]
fn nothing_said_is_lost_and_logs_rotate() {
    let house = House::new();
    let mut spec = house.shell("c", "n=0; while [ $n -lt 20000 ]; do echo line $n; n=$((n+1)); done");
    let path = house.path("c/rotated");
    spec.log =
        Some(LogSpec { path: path.clone(), max_size: Some(1 << 20), max_files: 3, attributes: Default::default() });
    assert_eq!(house.finish(&spec).code(), 0);
    let all: String = ["rotated.2", "rotated.1", "rotated"]
        .map(|name| fs::read_to_string(path.with_file_name(name)).unwrap_or_default())
        .concat();
    for (n, line) in all.lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["log"], format!("line {n}\n"));
    }
    assert_eq!(all.lines().count(), 20_000);
    assert!(path.with_file_name("rotated.1").exists());
}

#[test]
fn stdin_reaches_the_container_and_ends() {
    let house = House::new();
    let mut spec = house.container("c", &["/bin/cat"]);
    spec.process.open_stdin = true;
    house.keeper.create(&spec).unwrap();
    let attachment = house.keeper.attach(&spec.id, true).unwrap();
    house.keeper.start(&spec.id).unwrap();
    let mut stdin = fs::File::from(attachment.stdin.unwrap());
    stdin.write_all(b"hello\n").unwrap();
    let mut stdout = fs::File::from(attachment.stdout);
    let mut line = [0; 6];
    stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"hello\n");
    house.keeper.close_stdin(&spec.id).unwrap();
    drop(stdin);
    assert_eq!(house.wait(&spec.id).code(), 0);
    assert_eq!(stdout.read(&mut line).unwrap(), 0);
}

#[test]
fn a_terminal_is_one_stream() {
    let house = House::new();
    let mut spec = house.shell("c", "[ -t 0 ] && [ -t 1 ] && stat -c %t /dev/console; read line; echo got $line");
    spec.process.terminal = true;
    spec.process.open_stdin = true;
    house.keeper.create(&spec).unwrap();
    house.keeper.resize(&spec.id, 33, 77).unwrap();
    let attachment = house.keeper.attach(&spec.id, true).unwrap();
    assert!(attachment.terminal && attachment.stderr.is_none());
    house.keeper.start(&spec.id).unwrap();
    house.wait_said(&spec.id, "88\r\n");
    fs::File::from(attachment.stdin.unwrap()).write_all(b"abc\n").unwrap();
    assert_eq!(house.wait(&spec.id).code(), 0);
    let mut said = String::new();
    fs::File::from(attachment.stdout).read_to_string(&mut said).unwrap();
    assert!(said.ends_with("got abc\r\n"), "{said:?}");
    assert!(house.said(&spec.id).ends_with("got abc\r\n"));
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let house = House::new();
    let spec =
        house.shell("c", "n=0; while [ $n -lt 400 ]; do head -c 10000 /dev/zero; n=$((n+1)); done; echo done >&2");
    house.keeper.create(&spec).unwrap();
    let attachment = house.keeper.attach(&spec.id, false).unwrap();
    house.keeper.start(&spec.id).unwrap();
    assert_eq!(house.wait(&spec.id).code(), 0);
    drop(attachment);
}
