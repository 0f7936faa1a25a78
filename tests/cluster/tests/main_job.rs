//! The main job, by hand: five hosts, three managers and two workers, a registry on a sixth, with either client.

#![expect(clippy::expect_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use shoal_cluster_tests::{Client, Swarm, wait_for};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_replicated_service_lives_through_it_all() {
    the_main_job(Client::Docker);
}

#[test]
fn it_does_so_by_shoal_alone() {
    the_main_job(Client::Shoal);
}

fn the_main_job(client: Client) {
    let mut swarm = Swarm::new(client, 3, 2);
    let registry = swarm.start_registry();
    let (one, two) = (registry.push_web("web", "1"), registry.push_web("web", "2"));

    created_and_answered_everywhere(&swarm, &one);
    scaled_and_updated(&swarm, &two);
    drained_and_back(&swarm);
    promoted_and_demoted(&swarm);
    everywhere_and_constrained(&swarm, &one);
    killed_container_comes_back(&swarm);
    survives_a_cut_host(&swarm);
    survives_a_cut_leader(&swarm, &one);
    survives_the_end_of_all_daemons(&mut swarm);
    left_and_removed(&swarm);
}

fn created_and_answered_everywhere(swarm: &Swarm, image: &str) {
    swarm.ask(0, &["pull", image]).ok();
    let created = swarm.ask(
        0,
        &[
            "service",
            "create",
            "--name",
            "web",
            "--replicas",
            "3",
            "--publish",
            "8080:80",
            "--limit-memory",
            "64M",
            "--env",
            "SLOT=x",
            image,
        ],
    );
    assert!(created.ok().contains("converged") || !created.out.is_empty(), "{}", created.out);
    let list = swarm.ask(0, &["service", "ls", "--format", "{{.Name}} {{.Mode}} {{.Replicas}}"]);
    assert_eq!(list.ok(), "web replicated 3/3");
    swarm.wait_running(0, "web", 3, &[]);
    let all: Vec<BTreeSet<String>> = (0..5).map(|index| swarm.wait_answers(index, 8080, 3)).collect();
    assert!(all.iter().all(|seen| *seen == all[0]), "every host reaches the same three tasks: {all:?}");
    assert!(all[0].iter().all(|answer| answer.ends_with(" x 1")), "{all:?}");
}

fn scaled_and_updated(swarm: &Swarm, image: &str) {
    swarm.ask(1, &["service", "scale", "web=10"]).ok();
    swarm.wait_running(0, "web", 10, &[]);
    swarm
        .ask(2, &["service", "update", "--image", image, "--update-parallelism", "2", "--update-delay", "1s", "web"])
        .ok();
    let state = swarm.ask(0, &["service", "inspect", "--format", "{{.UpdateStatus.State}}", "web"]);
    assert_eq!(state.ok(), "completed");
    let answers = swarm.wait_answers(3, 8080, 10);
    assert!(answers.iter().all(|answer| answer.ends_with(" x 2")), "{answers:?}");
}

fn drained_and_back(swarm: &Swarm) {
    swarm.ask(0, &["node", "update", "--availability", "drain", "host4"]).ok();
    swarm.wait_running(0, "web", 10, &[3]);
    swarm.ask(0, &["node", "update", "--availability", "active", "host4"]).ok();
}

fn promoted_and_demoted(swarm: &Swarm) {
    let manager = |status: &str| {
        wait_for("the role follows", SOON, || {
            let list = swarm.ask(0, &["node", "ls", "--format", "{{.Hostname}}:{{.ManagerStatus}}"]);
            let wanted = format!("host4:{status}");
            if list.out.lines().any(|line| line == wanted) { Ok(()) } else { Err(list.out) }
        });
    };
    swarm.ask(0, &["node", "promote", "host4"]).ok();
    manager("Reachable");
    wait_for("the new manager answers", SOON, || {
        let list = swarm.ask(3, &["service", "ls", "-q"]);
        if list.code == 0 { Ok(()) } else { Err(list.err) }
    });
    swarm.ask(0, &["node", "demote", "host4"]).ok();
    manager("");
    wait_for("the former manager refuses", SOON, || {
        let list = swarm.ask(3, &["node", "ls"]);
        if list.code != 0 && list.err.contains("not a swarm manager") { Ok(()) } else { Err(list.out) }
    });
}

fn everywhere_and_constrained(swarm: &Swarm, image: &str) {
    swarm.ask(0, &["service", "create", "--name", "agent", "--mode", "global", image]).ok();
    let running = swarm.wait_running(0, "agent", 5, &[]);
    let hosts: BTreeSet<&str> = running.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(hosts.len(), 5, "{running:?}");
    let here = ["--constraint", "node.hostname==host5"];
    let create = ["service", "create", "--name", "here", "--replicas", "2"];
    swarm.ask(0, &[&create[..], &here[..], &[image]].concat()).ok();
    let running = swarm.wait_running(0, "here", 2, &[]);
    assert!(running.iter().all(|line| line.contains(" host5 ")), "{running:?}");
    swarm.ask(0, &["service", "rm", "agent", "here"]).ok();
}

fn killed_container_comes_back(swarm: &Swarm) {
    let before: BTreeSet<String> = swarm.wait_running(0, "web", 10, &[]).into_iter().map(|line| id(&line)).collect();
    let (index, container) = swarm
        .hosts
        .iter()
        .enumerate()
        .find_map(|(index, _)| {
            let list =
                swarm.ask(index, &["ps", "-q", "--no-trunc", "--filter", "label=com.docker.swarm.service.name=web"]);
            list.ok().lines().next().map(|line| (index, line.to_owned()))
        })
        .expect("some host runs a task");
    let pid = swarm.ask(index, &["inspect", "--format", "{{.State.Pid}}", &container]);
    let pid: i32 = pid.ok().parse().expect("a process id");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("it can be killed");
    wait_for("another task takes its place", SOON, || {
        let now = swarm.ask(
            0,
            &[
                "service",
                "ps",
                "web",
                "--no-trunc",
                "--filter",
                "desired-state=running",
                "--format",
                "{{.ID}} {{.Node}} {{.CurrentState}}",
            ],
        );
        let running: BTreeSet<String> = now.out.lines().filter(|line| line.contains(" Running ")).map(id).collect();
        if running.len() == 10 && running != before { Ok(()) } else { Err(now.out) }
    });
}

fn survives_a_cut_host(swarm: &Swarm) {
    swarm.hosts[4].cut();
    swarm.wait_running(0, "web", 10, &[4]);
    let down = swarm.ask(0, &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
    assert!(down.ok().contains("host5 Down"), "{}", down.out);
    swarm.hosts[4].heal();
    wait_for("the old tasks stop", SOON, || {
        let ready = swarm.ask(0, &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
        let left = swarm.ask(4, &["ps", "-q", "--filter", "label=com.docker.swarm.service.name=web"]);
        let wanted = swarm.ask(0, &["node", "ps", "host5", "-q", "--filter", "desired-state=running"]);
        let (left, wanted) = (left.out.lines().count(), wanted.out.lines().count());
        if ready.out.contains("host5 Ready") && left == wanted {
            Ok(())
        } else {
            Err(format!("{left} run, {wanted} wanted"))
        }
    });
}

fn survives_a_cut_leader(swarm: &Swarm, image: &str) {
    let leader = swarm.leader(0);
    let other = (leader + 1) % 3;
    swarm.hosts[leader].cut();
    wait_for("another manager takes writes", SOON, || {
        let made = swarm.ask(other, &["service", "create", "-d", "--name", "after", image]);
        if made.code == 0 || made.err.contains("already exists") { Ok(()) } else { Err(made.err) }
    });
    swarm.hosts[leader].heal();
    swarm.wait_running(other, "after", 1, &[]);
    wait_for("the former leader follows", SOON, || {
        let list = swarm.ask(leader, &["service", "ls", "--format", "{{.Name}}"]);
        if list.out.contains("after") { Ok(()) } else { Err(format!("{}{}", list.out, list.err)) }
    });
    swarm.ask(0, &["service", "rm", "after"]).ok();
}

fn survives_the_end_of_all_daemons(swarm: &mut Swarm) {
    swarm.wait_running(0, "web", 10, &[]);
    let containers = |swarm: &Swarm| -> BTreeSet<String> {
        let all = (0..5).map(|host| swarm.ask(host, &["ps", "--no-trunc", "--format", "{{.ID}}"]).ok().to_owned());
        all.collect::<Vec<_>>().join("\n").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let pids = |swarm: &Swarm| -> BTreeSet<String> {
        let of = |host: usize| {
            let ids = swarm.ask(host, &["ps", "-q"]).ok().to_owned();
            ids.lines()
                .map(|id| swarm.ask(host, &["inspect", "--format", "{{.State.Pid}}", id]).ok().to_owned())
                .collect::<Vec<_>>()
        };
        (0..5).flat_map(of).collect()
    };
    let before = (containers(swarm), pids(swarm));
    assert_eq!(before.0.len(), 10);
    for host in &mut swarm.hosts {
        host.kill();
    }
    for host in &mut swarm.hosts {
        host.up();
    }
    swarm.wait_ready(5);
    swarm.wait_running(0, "web", 10, &[]);
    assert_eq!((containers(swarm), pids(swarm)), before, "no container was restarted");
    swarm.wait_answers(1, 8080, 10);
}

fn left_and_removed(swarm: &Swarm) {
    swarm.ask(4, &["swarm", "leave"]).ok();
    wait_for("the node is down", SOON, || {
        let list = swarm.ask(0, &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
        if list.out.contains("host5 Down") { Ok(()) } else { Err(list.out) }
    });
    swarm.ask(0, &["node", "rm", "host5"]).ok();
    let list = swarm.ask(0, &["node", "ls", "--format", "{{.Hostname}}"]);
    assert!(!list.ok().contains("host5"), "{}", list.out);
    swarm.ask(0, &["service", "rm", "web"]).ok();
    wait_for("nothing runs any more", SOON, || {
        let left: usize = (0..5).map(|host| swarm.ask(host, &["ps", "-aq"]).out.lines().count()).sum();
        if left == 0 { Ok(()) } else { Err(format!("{left} containers are left")) }
    });
}

fn id(line: impl AsRef<str>) -> String {
    line.as_ref().split(' ').next().unwrap_or_default().to_owned()
}
