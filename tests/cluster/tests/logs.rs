//! Logs of services and tasks, gathered from every host: prefixes, streams, tails, following over new tasks and a lost
//! host, and the end with the client.

use std::collections::BTreeSet;
use std::time::Duration;

use shoal_cluster_tests::{Client, Follow, Registry, Swarm, run, wait_for};

const SOON: Duration = Duration::from_secs(30);

/// Each task says one word on each output, and goes on to say what it reads in its file.
const SAY: &str = "echo out; echo err >&2; touch /said; exec tail -f /said";

/// Three hosts; on each a task of `say`.
fn say() -> (Swarm, Registry) {
    let swarm = Swarm::new(Client::Docker, 2, 1);
    let registry = swarm.start_registry();
    let shell = registry.push_shell("shell", "1");
    let create = ["service", "create", "-d", "--name", "say", "--mode", "global", "--stop-grace-period", "1s"];
    let create = [&create[..], &[&shell, "sh", "-c", SAY]].concat();
    swarm.ask(0, &create).ok();
    swarm.wait_running(0, "say", 3, &[]);
    (swarm, registry)
}

/// Has the task on a host say a line more.
fn tell(swarm: &Swarm, host: usize, text: &str) {
    let container = wait_for("the task's container runs", SOON, || {
        let list = swarm.ask(host, &["ps", "-q", "--filter", "label=com.docker.swarm.service.name=say"]);
        list.out.lines().next().map(str::to_owned).ok_or(list.err)
    });
    swarm.ask(host, &["exec", &container, "sh", "-c", &format!("echo {text} >> /said")]).ok();
}

#[test]
fn a_services_logs_come_from_every_host() {
    let (mut swarm, registry) = say();
    both_clients_show_the_same(&swarm);
    of_much_nothing_is_lost(&swarm, &registry);
    what_cannot_be_read_is_refused(&swarm);
    for (client, asked) in [(Client::Docker, 0), (Client::Shoal, 1)] {
        following_hears_of_all_until_it_is_interrupted(&swarm, client, asked);
    }
    following_outlives_daemons_and_new_tasks(&mut swarm);
    a_host_that_is_down_costs_a_line(&mut swarm);
}

fn both_clients_show_the_same(swarm: &Swarm) {
    // Any manager answers, the leader or another.
    for (client, asked) in [(Client::Docker, 0), (Client::Docker, 1), (Client::Shoal, 0), (Client::Shoal, 1)] {
        let host = &swarm.hosts[asked];
        let logs = |flags: &[&str]| host.client(client, &[&["service", "logs"], flags, &["say"]].concat());
        let plain = wait_for("all have said their lines", SOON, || {
            let plain = logs(&[]);
            let lines = plain.out.lines().count() + plain.err.lines().count();
            if lines == 6 { Ok(plain) } else { Err(format!("{}{}", plain.out, plain.err)) }
        });
        for number in 1..=3 {
            let line =
                |text: &str| text.lines().find(|line| line.contains(&format!("@host{number} "))).map(str::to_owned);
            let (out, err) = (line(&plain.out).unwrap_or_default(), line(&plain.err).unwrap_or_default());
            assert!(out.starts_with("say.") && out.contains("    | out"), "{client:?} {out:?}");
            assert!(err.starts_with("say.") && err.contains("    | err"), "{client:?} {err:?}");
        }
        let raw = logs(&["--raw", "--tail", "1"]);
        assert!(raw.ok().lines().all(|line| line == "out"), "{client:?} {}", raw.out);
        assert_eq!(raw.err.lines().count() + raw.out.lines().count(), 3, "one line of each task: {raw:?}");
        assert_eq!(logs(&["--tail", "0"]).ok(), "");
        let node = host.client(client, &["node", "inspect", "--format", "{{.ID}}", "host2"]);
        let apart = logs(&["--no-resolve", "--no-trunc", "--no-task-ids", "--timestamps"]);
        let line = apart.ok().lines().find(|line| line.contains(node.ok())).unwrap_or_default();
        assert!(line.starts_with("20") && line.contains("Z "), "{client:?} {line:?}");
        assert_eq!(logs(&["--since", "1h"]).ok().lines().count(), 3);
        assert_eq!(logs(&["--since", "2100-01-01T00:00:00Z"]).ok(), "");

        let tasks = host.client(client, &["service", "ps", "-q", "--no-trunc", "say"]);
        let task = tasks.ok().lines().next().unwrap_or_default();
        let one = host.client(client, &["service", "logs", task]);
        assert_eq!((one.ok().lines().count(), one.err.lines().count()), (1, 1), "{client:?} {one:?}");
    }
}

/// Two tasks that write far more than all buffers on the way hold.
fn of_much_nothing_is_lost(swarm: &Swarm, registry: &Registry) {
    let shell = registry.push_shell("shell", "1");
    let script = format!("seq {MANY}; exec sleep 100000");
    let create = ["service", "create", "-d", "--name", "much", "--replicas", "2", "--stop-grace-period", "1s"];
    swarm.ask(0, &[&create[..], &[&shell, "sh", "-c", &script]].concat()).ok();
    swarm.wait_running(0, "much", 2, &[]);
    let last = MANY.to_string();
    wait_for("all is written", SOON, || {
        let tail = swarm.ask(0, &["service", "logs", "--raw", "--tail", "1", "much"]);
        if tail.ok().lines().all(|line| line == last) { Ok(()) } else { Err(tail.out) }
    });
    for (client, asked) in [(Client::Docker, 1), (Client::Shoal, 0)] {
        let all = swarm.hosts[asked].client(client, &["service", "logs", "much"]);
        let tasks: BTreeSet<&str> = all.ok().lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(tasks.len(), 2, "{client:?} {tasks:?}");
        for task in tasks {
            let own = all.out.lines().filter(|line| line.starts_with(task));
            let numbers = own.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
            assert!(numbers.eq(1..=MANY), "{client:?}: every line of {task}, in order");
        }
    }
    swarm.ask(0, &["service", "rm", "much"]).ok();
}

/// Some megabytes on the way.
const MANY: usize = 40_000;

fn what_cannot_be_read_is_refused(swarm: &Swarm) {
    let create = ["service", "create", "-d", "--no-resolve-image", "--name", "mute", "--replicas", "0"];
    swarm.ask(0, &[&create[..], &["--log-driver", "none", "nothing:1"]].concat()).ok();
    for client in [Client::Docker, Client::Shoal] {
        let refused = swarm.hosts[0].client(client, &["service", "logs", "mute"]).refused();
        assert!(refused.contains("does not support reading") && refused.contains("'none'"), "{client:?} {refused}");
        let refused = swarm.hosts[0].client(client, &["service", "logs", "nobody"]).refused();
        assert!(refused.contains("nobody"), "{client:?} {refused}");
        let refused = swarm.hosts[2].client(client, &["service", "logs", "say"]).refused();
        assert!(refused.contains("not a swarm manager"), "{client:?} {refused}");
    }
}

fn following_hears_of_all_until_it_is_interrupted(swarm: &Swarm, client: Client, asked: usize) {
    let before = connections(swarm, asked);
    let mut command = swarm.hosts[asked].client_command(client);
    let mut follow = Follow::start(command.args(["service", "logs", "-f", "--tail", "0", "say"]));
    for host in 0..3 {
        // What was said before the host was asked is not heard, so that it may take some attempts.
        let mut attempt = 0;
        wait_for("the host is heard", SOON, || {
            attempt += 1;
            let mark = format!("{client:?}-{host}-{attempt}");
            tell(swarm, host, &mark);
            follow.try_line(&mark, Duration::from_secs(2)).ok_or_else(|| format!("{:?}", follow.seen()))
        });
    }
    assert!(!follow.seen().iter().any(|line| line.contains("| out")), "nothing older: {:?}", follow.seen());
    assert_eq!(connections(swarm, asked), before + 3, "one connection of each host");
    assert!([130, 0].contains(&follow.interrupt()));
    wait_for("all ends with the client", SOON, || {
        let left = connections(swarm, asked);
        if left == before { Ok(()) } else { Err(format!("{left} connections, {before} before")) }
    });
}

/// Connections to a manager.
fn connections(swarm: &Swarm, host: usize) -> usize {
    let list = ["-Htn", "state", "established", "sport = :2377"];
    run(swarm.hosts[host].command("ss").args(list), SOON).ok().lines().count()
}

fn following_outlives_daemons_and_new_tasks(swarm: &mut Swarm) {
    let mut command = swarm.hosts[0].client_command(Client::Docker);
    let mut follow = Follow::start(command.args(["service", "logs", "-f", "say"]));
    let said = |lines: &[String], word: &str| lines.iter().filter(|line| line.ends_with(word)).count();
    follow.wait("line of each task", SOON, |lines| said(lines, "| out") == 3 && said(lines, "| err") == 3);
    swarm.hosts[2].kill();
    swarm.hosts[2].up();
    tell(swarm, 2, "still-here");
    follow.wait_line(&["@host3 ", "still-here"], SOON);
    let update = ["service", "update", "-d", "--force", "--update-parallelism", "0", "--update-monitor", "0s"];
    swarm.ask(0, &[&update[..], &["say"]].concat()).ok();
    follow.wait("line of each new task", SOON, |lines| said(lines, "| out") == 6 && said(lines, "| err") == 6);
    let lines: BTreeSet<&String> = follow.seen().iter().collect();
    assert_eq!(lines.len(), follow.seen().len(), "nothing twice: {:?}", follow.seen());
    swarm.wait_running(0, "say", 3, &[]);
}

fn a_host_that_is_down_costs_a_line(swarm: &mut Swarm) {
    swarm.hosts[2].cut();
    wait_for("the host is down", SOON, || {
        let list = swarm.ask(0, &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
        if list.out.contains("host3 Down") { Ok(()) } else { Err(list.out) }
    });
    for client in [Client::Docker, Client::Shoal] {
        let logs = swarm.hosts[0].client(client, &["service", "logs", "say"]);
        let of = |number: usize| logs.ok().lines().filter(|line| line.contains(&format!("@host{number} "))).count();
        assert!(of(1) > 1 && of(2) > 1, "the others' logs are whole: {logs:?}");
        let missing: Vec<&str> = logs.err.lines().filter(|line| line.contains("are missing")).collect();
        assert!(
            missing.len() == 1 && missing[0].contains("on node host3 (") && missing[0].contains("it is down"),
            "{logs:?}"
        );
    }
    let mut command = swarm.hosts[0].client_command(Client::Shoal);
    let mut follow = Follow::start(command.args(["service", "logs", "-f", "say"]));
    follow.wait_line(&["on node host3", "it is down"], SOON);
    swarm.hosts[2].heal();
    follow.wait_line(&["@host3 ", "| out"], SOON);
    swarm.ask(0, &["service", "rm", "say"]).ok();
    assert_eq!(follow.wait_end(SOON), 0, "with the service it ends: {:?}", follow.seen());
}
