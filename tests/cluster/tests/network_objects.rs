//! What is said of networks: lists and filters, who is on one, what a worker knows, and the removal of what nobody uses.

use std::time::Duration;

use shoal_cluster_tests::{Client, Registry, Swarm, wait_for};

const SOON: Duration = Duration::from_secs(30);

/// A manager and a worker; on each a task of `web`, on the network `net`. Nobody uses `spare` and `kept`.
fn house() -> (Swarm, Registry) {
    let swarm = Swarm::new(Client::Docker, 1, 1);
    let registry = swarm.start_registry();
    let image = registry.push_web("web", "1");
    for (name, label) in [("net", "tier=front"), ("spare", "tier=back"), ("kept", "keep")] {
        swarm.ask(0, &["network", "create", "-d", "overlay", "--label", label, name]).ok();
    }
    let create = ["service", "create", "-d", "--name", "web", "--mode", "global", "--network", "net", "-p", "8080:80"];
    swarm.ask(0, &[&create[..], &[&image]].concat()).ok();
    swarm.wait_running(0, "web", 2, &[]);
    (swarm, registry)
}

#[test]
fn networks_say_who_is_on_them() {
    let (swarm, _registry) = house();
    filters_choose(&swarm);
    for client in [Client::Docker, Client::Shoal] {
        verbose_names_services_and_tasks(&swarm, client);
        a_worker_knows_what_stands_on_it(&swarm, client);
    }
    what_nobody_uses_is_removed_when_asked(&swarm);
}

fn names(swarm: &Swarm, client: Client, host: usize, filters: &[&str]) -> Vec<String> {
    let list = ["network", "ls", "--format", "{{.Name}}"];
    let flags: Vec<&str> = filters.iter().flat_map(|filter| ["--filter", filter]).collect();
    let said = swarm.hosts[host].client(client, &[&list[..], &flags[..]].concat());
    let mut names: Vec<String> = said.ok().lines().map(str::to_owned).collect();
    names.sort();
    names
}

fn filters_choose(swarm: &Swarm) {
    for client in [Client::Docker, Client::Shoal] {
        let of = |filters: &[&str]| names(swarm, client, 0, filters);
        assert_eq!(of(&["type=custom"]), ["kept", "net", "spare"]);
        assert_eq!(of(&["type=builtin", "driver=overlay"]), ["ingress"]);
        assert_eq!(of(&["scope=local"]), ["bridge", "host", "none"]);
        assert_eq!(of(&["dangling=true"]), ["kept", "spare"]);
        assert_eq!(of(&["dangling=false", "type=custom"]), ["net"]);
        assert_eq!(of(&["label=tier=back"]), ["spare"]);
        assert_eq!(of(&["name=et", "driver=overlay"]), ["net"]);
        let refused = swarm.hosts[0].client(client, &["network", "ls", "--filter", "type=odd"]).refused();
        assert!(refused.contains("type=odd") && refused.contains("custom or builtin"), "{client:?} {refused}");
    }
}

fn verbose_names_services_and_tasks(swarm: &Swarm, client: Client) {
    let inspect = |format: &str| {
        let said = swarm.hosts[0].client(client, &["network", "inspect", "--verbose", "--format", format, "net"]);
        said.ok().to_owned()
    };
    let tasks = wait_for("both tasks are named", SOON, || {
        let said = inspect(
            "{{range $name, $it := .Services}}{{range $it.Tasks}}{{.Name}} {{.EndpointIP}} {{.Info}}\n{{end}}{{end}}",
        );
        if said.lines().count() == 2 { Ok(said) } else { Err(said) }
    });
    for host in 0..2 {
        let address = swarm.hosts[host].address();
        let on_it =
            tasks.lines().filter(|line| line.starts_with("web.") && line.contains(&format!("Host IP:{address}")));
        assert_eq!(on_it.count(), 1, "{client:?} {tasks}");
    }
    let service = inspect("{{range $name, $it := .Services}}{{$name}} {{$it.VIP}} {{$it.Ports}}{{end}}");
    assert!(service.starts_with("web 10.") && service.contains("Target: 80, Publish: 8080"), "{client:?} {service}");
    let peers = inspect("{{range .Peers}}{{.IP}} {{end}}");
    assert!((0..2).all(|host| peers.contains(&swarm.hosts[host].address())), "{client:?} {peers}");
    let containers = inspect("{{range .Containers}}{{.Name}} {{.MacAddress}} {{.IPv4Address}}\n{{end}}");
    assert!(containers.starts_with("web.") && containers.lines().count() == 1, "{client:?} {containers}");
    assert!(containers.contains(" 02:42:0a:") && containers.ends_with("/24"), "{client:?} {containers}");
    let plain = swarm.hosts[0].client(client, &["network", "inspect", "net"]);
    assert!(!plain.ok().contains("\"Services\""), "only who asks is told: {}", plain.out);
}

fn a_worker_knows_what_stands_on_it(swarm: &Swarm, client: Client) {
    assert_eq!(names(swarm, client, 1, &["driver=overlay"]), ["ingress", "net"]);
    let format = "{{.Scope}} {{range .Containers}}{{.Name}} {{end}}{{range .Peers}}{{.IP}} {{end}}";
    let said = swarm.hosts[1].client(client, &["network", "inspect", "--format", format, "net"]);
    assert!(said.ok().starts_with("swarm web."), "{client:?} {}", said.out);
    assert!((0..2).all(|host| said.out.contains(&swarm.hosts[host].address())), "{client:?} {}", said.out);
    let refused = swarm.hosts[1].client(client, &["network", "inspect", "spare"]).refused();
    assert!(refused.contains("spare not found"), "no task here uses it: {refused}");
}

fn what_nobody_uses_is_removed_when_asked(swarm: &Swarm) {
    let of = |filters: &[&str]| names(swarm, Client::Docker, 0, filters);
    swarm.hosts[0].docker(&["network", "prune", "-f", "--filter", "until=24h"]).ok();
    assert_eq!(of(&["type=custom"]), ["kept", "net", "spare"], "none is that old");
    swarm.hosts[0].shoal(&["network", "prune"]).ok();
    assert_eq!(of(&["type=custom"]), ["kept", "net", "spare"], "nobody said yes");
    let pruned = swarm.hosts[0].docker(&["network", "prune", "-f", "--filter", "label!=keep"]);
    assert!(pruned.ok().contains("Deleted Networks:\nspare"), "{}", pruned.out);
    assert_eq!(of(&["driver=overlay"]), ["ingress", "kept", "net"]);
    let pruned = swarm.hosts[0].shoal(&["network", "prune", "--force"]);
    assert_eq!(pruned.ok(), "Deleted Networks:\nkept");
    assert_eq!(of(&["driver=overlay"]), ["ingress", "net"], "what is used stays, and the mesh's");
    let refused = swarm.hosts[0].docker(&["network", "rm", "net"]).refused();
    assert!(refused.contains("in use by service web"), "{refused}");
}
