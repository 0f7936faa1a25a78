//! A node that was removed while it was away: it gives its tasks up when it hears of it, and says what is wrong.

use std::time::Duration;

use shoal_cluster_tests::{Client, Swarm, wait_for};

const SOON: Duration = Duration::from_secs(40);

#[test]
fn a_removed_node_gives_its_tasks_up() {
    let swarm = Swarm::new(Client::Shoal, 1, 1);
    let registry = swarm.start_registry();
    let image = registry.push_web("web", "1");
    swarm.ask(0, &["service", "create", "--name", "web", "--mode", "global", &image]).ok();
    swarm.wait_running(0, "web", 2, &[]);
    swarm.hosts[1].cut();
    wait_for("the node is down", SOON, || {
        let list = swarm.ask(0, &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
        if list.out.contains("host2 Down") { Ok(()) } else { Err(list.out) }
    });
    swarm.ask(0, &["node", "rm", "host2"]).ok();
    assert_eq!(swarm.ask(1, &["ps", "-q"]).ok().lines().count(), 1, "who hears nothing goes on");
    swarm.hosts[1].heal();
    wait_for("its tasks are given up", SOON, || {
        let list = swarm.ask(1, &["ps", "-aq"]);
        if list.ok().is_empty() { Ok(()) } else { Err(list.out) }
    });
    for client in [Client::Docker, Client::Shoal] {
        let info = swarm.hosts[1].client(client, &["info"]);
        let told = info.out.contains("Swarm: error") && info.out.contains("was removed from the swarm");
        assert!(told, "{client:?} {}", info.out);
    }
    let token = swarm.ask(0, &["swarm", "join-token", "-q", "worker"]);
    let remote = format!("{}:2377", swarm.hosts[0].address());
    let join = ["swarm", "join", "--token", token.ok(), &remote];
    assert!(swarm.ask(1, &join).refused().contains("already part of a swarm"));
    swarm.ask(1, &["swarm", "leave"]).ok();
    swarm.ask(1, &join).ok();
    swarm.wait_ready(2);
    swarm.wait_running(0, "web", 2, &[]);
}
