//! A full disk: said by name in both clients, what runs goes on, and nothing is lost when there is room again.

#![expect(clippy::expect_used, reason = "a test that can't go on has failed")]

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use shoal_cluster_tests::{Client, Swarm, wait_for};

const FULL: &str = "no space";

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let swarm = Swarm::on_small_disk(64);
    let registry = swarm.start_registry();
    let (web, shell) = (registry.push_web("web", "1"), registry.push_shell("shell", "1"));
    let host = &swarm.hosts[0];
    host.docker(&["service", "create", "--name", "web", "--publish", "8080:80", &web]).ok();
    let fill = host.data_root().join("fill");
    fill_up(&fill);

    for client in [Client::Docker, Client::Shoal] {
        let answer = host.client(client, &["pull", &shell]).refused();
        assert!(answer.contains(FULL) && answer.contains("free some"), "{client:?} {answer}");
    }
    // Changes go on until the log must grow; then the manager says so, and keeps saying it.
    let taken = updates_until_refused(&swarm);
    for client in [Client::Docker, Client::Shoal] {
        let answer = host.client(client, &["service", "ls"]).refused();
        assert!(answer.contains(FULL) && answer.contains("free some"), "{client:?} {answer}");
        let info = host.client(client, &["info"]);
        assert!(info.out.contains(FULL), "{client:?} {}{}", info.out, info.err);
    }
    host.get(&host.address(), 8080).expect("what runs goes on");

    std::fs::remove_file(&fill).expect("room can be made");
    wait_for("the manager goes on by itself", Duration::from_secs(30), || {
        let list = host.docker(&["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]);
        if list.out.trim() == "web 1/1" { Ok(()) } else { Err(format!("{}{}", list.out, list.err)) }
    });
    let round = host.docker(&["service", "inspect", "--format", "{{.Spec.Labels.round}}", "web"]);
    let round: usize = round.ok().parse().expect("a number");
    assert!(round >= taken, "round {taken} was accepted, {round} is there");
    host.docker(&["pull", &shell]).ok();
    host.docker(&["service", "update", "-d", "--label-add", "after=room", "web"]).ok();
}

/// The last round that was accepted.
fn updates_until_refused(swarm: &Swarm) -> usize {
    let big = format!("big={}", "x".repeat(60_000));
    for round in 1..400 {
        let label = format!("round={round}");
        let update = ["service", "update", "-d", "--label-add", &label, "--label-add", &big, "web"];
        let answer = swarm.ask(0, &update);
        if answer.code != 0 {
            assert!(answer.err.contains(FULL) && answer.err.contains("free some"), "{}", answer.err);
            return round - 1;
        }
    }
    panic!("the log never had to grow");
}

fn fill_up(path: &std::path::Path) {
    let mut file = File::create(path).expect("a file can be made");
    let block = vec![0; 1 << 16];
    let full = std::iter::repeat_with(|| file.write_all(&block)).find_map(Result::err);
    assert_eq!(full.map(|error| error.kind()), Some(std::io::ErrorKind::StorageFull));
}
