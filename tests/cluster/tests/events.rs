//! Events of the swarm: the same from every manager, with Docker's attributes, found by filters, and kept for who comes
//! late; those of tasks for who asks.

use std::time::Duration;

use shoal_cluster_tests::{Client, Follow, Swarm, wait_for};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn every_manager_tells_what_happens_in_the_swarm() {
    let swarm = Swarm::new(Client::Docker, 2, 1);
    let watch = |client, host: usize, flags: &[&str]| {
        Follow::start(swarm.hosts[host].client_command(client).arg("events").args(flags))
    };
    let mut docker = watch(Client::Docker, 0, &["--filter", "scope=swarm"]);
    let mut shoal = watch(Client::Shoal, 1, &["--filter", "scope=swarm"]);
    let mut nodes = watch(Client::Docker, 1, &["--filter", "type=node", "--filter", "node=host3"]);
    let mut tasks = watch(Client::Docker, 1, &["--filter", "type=task", "--filter", "service=web"]);
    // A stream stands once it has told of something; each try makes one thing more.
    let mut tries = 0;
    wait_for("all streams stand", SOON, || {
        tries += 1;
        let label = format!("try={tries}");
        swarm.ask(0, &["node", "update", "--label-add", &label, "host3"]).ok();
        for stream in [&mut docker, &mut shoal, &mut nodes] {
            stream.try_line(&label, Duration::from_secs(2)).ok_or_else(|| format!("{:?}", stream.seen()))?;
        }
        Ok(())
    });

    let listeners = swarm.ask(1, &["info", "--format", "{{.NEventsListener}} {{gt .NFd 0}} {{gt .NGoroutines 0}}"]);
    assert_eq!(listeners.ok(), "3 true true", "three streams are open there");
    swarm.ask(0, &["network", "create", "-d", "overlay", "net"]).ok();
    // No registry has these images: what counts is what is said of the service.
    let create = ["service", "create", "-d", "--no-resolve-image", "--name", "web", "--label", "tier=front"];
    swarm.ask(0, &[&create[..], &["--network", "net", "--replicas", "0", "nothing:1"]].concat()).ok();
    let update = ["service", "update", "-d", "--no-resolve-image"];
    swarm.ask(0, &[&update[..], &["--image", "nothing:2", "--replicas", "2", "web"]].concat()).ok();
    tasks.wait_line(&[" task update ", "state.new=preparing", "node.id="], SOON);
    swarm.ask(0, &[&update[..], &["--force", "web"]].concat()).ok();
    swarm.ask(0, &["node", "update", "--availability", "drain", "host3"]).ok();
    for stream in [&mut docker, &mut shoal] {
        stream.wait_line(&[" network create ", "name=net"], SOON);
        stream.wait_line(&[" service create ", "name=web", "tier=front"], SOON);
        stream.wait_line(&[" service update ", "image.new=nothing:2", "image.old=nothing:1", "replicas.new=2"], SOON);
        stream.wait_line(&[" service update ", "updatestate.new=updating"], SOON);
        stream.wait_line(&[" node update ", "availability.new=drain", "availability.old=active", "name=host3"], SOON);
    }
    nodes.wait_line(&[" node update ", "availability.new=drain"], SOON);
    tasks.wait_line(&[" task create ", "service=web"], SOON);

    swarm.ask(0, &["service", "rm", "web"]).ok();
    swarm.ask(0, &["network", "rm", "net"]).ok();
    for stream in [&mut docker, &mut shoal] {
        stream.wait_line(&[" service remove ", "name=web"], SOON);
        stream.wait_line(&[" network remove ", "name=net"], SOON);
        assert!(!stream.seen().iter().any(|line| line.contains(" task ")), "nobody asked for tasks");
        assert!([130, 0].contains(&stream.interrupt()));
    }
    assert!(nodes.seen().iter().all(|line| line.contains("name=host3")), "{:?}", nodes.seen());
    who_comes_late_is_told_what_was(&swarm);
}

fn who_comes_late_is_told_what_was(swarm: &Swarm) {
    for client in [Client::Docker, Client::Shoal] {
        let past = |host: usize, filters: &[&str]| {
            let span = ["events", "--since", "1h", "--until", "0s"];
            swarm.hosts[host].client(client, &[&span[..], filters].concat()).ok().to_owned()
        };
        // Clients name times by the second, so that the last one is not whole yet.
        let wait = |what: &str, filters: &[&str], fits: fn(usize) -> bool| {
            wait_for(what, SOON, || {
                let told = past(1, filters);
                if fits(told.lines().count()) { Ok(()) } else { Err(told) }
            });
        };
        wait("the service's removal", &["--filter", "type=service", "--filter", "event=remove"], |lines| lines == 1);
        wait("the network's beginning", &["--filter", "network=net", "--filter", "event=create"], |lines| lines == 1);
        wait("what bears the label", &["--filter", "label=tier=front", "--filter", "event=create"], |lines| lines == 1);
        wait("the tasks", &["--filter", "type=task", "--filter", "event=create"], |lines| lines >= 2);
        assert_eq!(past(1, &["--filter", "scope=local", "--filter", "type=service"]), "");
        let service = past(0, &["--filter", "service=web", "--filter", "event=create"]);
        assert!(service.contains("name=web"), "{service}");
        // The third host manages nothing.
        assert_eq!(past(2, &["--filter", "scope=swarm"]), "");
    }
}
