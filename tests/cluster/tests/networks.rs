//! Networks of users: names, virtual addresses, updates without a lost request, restarts, and nothing left behind.

use std::collections::BTreeSet;
use std::time::Duration;

use shoal_cluster_tests::{Client, Finished, Registry, Swarm, run, wait_for};

const SOON: Duration = Duration::from_secs(40);

/// Three hosts, and on each a container with a shell on the network `net`.
struct House {
    swarm: Swarm,
    registry: Registry,
}

impl House {
    fn new(client: Client) -> Self {
        let swarm = Swarm::new(client, 1, 2);
        let registry = swarm.start_registry();
        let shell = registry.push_shell("shell", "1");
        swarm.ask(0, &["network", "create", "--driver", "overlay", "--subnet", "10.7.0.0/24", "net"]).ok();
        let create = ["service", "create", "-d", "--name", "cli", "--mode", "global", "--network", "net"];
        swarm.ask(0, &[&create[..], &["--stop-grace-period", "1s", &shell, "sleep", "100000"]].concat()).ok();
        swarm.wait_running(0, "cli", 3, &[]);
        Self { swarm, registry }
    }

    /// Runs a script in the container with a shell on a host.
    fn within(&self, host: usize, script: &str) -> Finished {
        let label = "label=com.docker.swarm.service.name=cli";
        let container = wait_for("the shell's container runs", SOON, || {
            let list = self.swarm.ask(host, &["ps", "-q", "--filter", label]);
            list.out.lines().next().map(str::to_owned).ok_or(list.err)
        });
        self.swarm.ask(host, &["exec", &container, "sh", "-c", script])
    }

    /// The addresses that a name leads to, seen from a host; empty: it is not there.
    fn addresses(&self, host: usize, name: &str) -> BTreeSet<String> {
        let said = self.within(host, &format!("nslookup {name} 127.0.0.11"));
        said.out.lines().skip(3).filter_map(|line| line.strip_prefix("Address: ")).map(str::to_owned).collect()
    }

    fn wait_addresses(&self, host: usize, name: &str, count: usize) -> BTreeSet<String> {
        wait_for(&format!("{name} leads to {count}"), SOON, || {
            let found = self.addresses(host, name);
            if found.len() == count { Ok(found) } else { Err(format!("{found:?}")) }
        })
    }

    /// Asks `http://NAME/` until so many different tasks answered.
    fn wait_answers(&self, host: usize, name: &str, tasks: usize) {
        let mut seen = BTreeSet::new();
        wait_for(&format!("{tasks} tasks answer to {name}"), SOON, || {
            let said = self.within(host, &format!("for i in 1 2 3 4 5 6 7 8; do wget -qO- http://{name}/; done"));
            seen.extend(said.out.lines().map(str::to_owned));
            if seen.len() == tasks { Ok(()) } else { Err(format!("{seen:?} {}", said.err)) }
        });
    }
}

#[test]
fn names_and_addresses_lead_to_tasks_everywhere() {
    let mut house = House::new(Client::Docker);
    let image = house.registry.push_web("web", "1");
    let create = ["service", "create", "-d", "--replicas", "3", "--network", "name=net,alias=www", "--name", "web"];
    house.swarm.ask(0, &[&create[..], &[&image]].concat()).ok();
    let create = ["service", "create", "-d", "--replicas", "2", "--network", "net", "--endpoint-mode", "dnsrr"];
    house.swarm.ask(0, &[&create[..], &["--name", "each", &image]].concat()).ok();
    house.swarm.wait_running(0, "web", 3, &[]);
    house.swarm.wait_running(0, "each", 2, &[]);

    let vip = house.wait_addresses(0, "web", 1);
    for host in 0..3 {
        assert_eq!(house.wait_addresses(host, "web", 1), vip, "the virtual address is the same everywhere");
        assert_eq!(house.wait_addresses(host, "www", 1), vip, "an alias leads there too");
        assert_eq!(house.wait_addresses(host, "web.net", 1), vip, "and so does the name with the network's");
        house.wait_addresses(host, "tasks.web", 3);
        house.wait_addresses(host, "each", 2);
        house.wait_answers(host, "web", 3);
        assert!(house.within(host, "ping -c 1 -w 3 web").ok().contains("1 packets received"));
    }
    let vip = vip.first().map(String::as_str).unwrap_or_default();
    assert!(house.within(0, &format!("nslookup {vip} 127.0.0.11")).ok().contains("web.net"));
    assert!(house.within(0, "nslookup nobody 127.0.0.11").code != 0);

    let list = house.swarm.ask(0, &["ps", "-q", "--filter", "network=net", "--filter", "name=cli"]);
    let networks =
        "{{range $name, $it := .NetworkSettings.Networks}}{{$name}} {{$it.IPAddress}}/{{$it.IPPrefixLen}}{{end}}";
    let seen = house.swarm.ask(0, &["inspect", "--format", networks, list.ok()]);
    assert!(seen.ok().starts_with("net 10.7.0.") && seen.out.trim().ends_with("/24"), "{}", seen.out);

    house.swarm.ask(0, &["service", "scale", "-d", "web=5"]).ok();
    house.wait_addresses(2, "tasks.web", 5);
    house.wait_answers(2, "web", 5);
    what_is_not_as_it_should_be_is_found(&house.swarm);
    nothing_is_lost_in_an_update(&house);
    a_daemon_that_died_takes_up_where_it_was(&mut house, vip);

    house.swarm.ask(0, &["service", "scale", "-d", "web=0"]).ok();
    house.wait_addresses(1, "tasks.web", 0);
    let refused = wait_for("nobody answers", SOON, || {
        let said = house.within(1, "wget -qO- http://web/");
        if said.code == 0 { Err(said.out) } else { Ok(said.err) }
    });
    assert!(refused.contains("refused"), "at once, and not by silence: {refused}");
}

/// Somebody takes a host out of another's tunnel.
fn what_is_not_as_it_should_be_is_found(swarm: &Swarm) {
    let verify = || swarm.hosts[0].shoal(&["network", "verify"]);
    let well = verify();
    assert_eq!(well.ok().matches(" ok").count(), 3, "{}", well.out);
    let entries = || run(swarm.hosts[1].command("bridge").args(["fdb", "show"]), SOON).out;
    let led = |line: &&str| line.contains(" dst ") && line.contains(" sx");
    let entry = entries().lines().find(led).map(str::to_owned).unwrap_or_default();
    let words: Vec<&str> = entry.split_whitespace().collect();
    let [mac, "dev", device, "dst", host, ..] = words.as_slice() else { panic!("no entry of a tunnel: {entry}") };
    // The host looks by itself every few seconds: it may be the one who finds it.
    wait_for("a difference is found", SOON, || {
        let removal = ["fdb", "del", mac, "dev", device, "dst", host, "self"];
        run(swarm.hosts[1].command("bridge").args(removal), SOON);
        let found = verify();
        let told = found.out.contains("differs") && found.out.contains(&format!("should show {host}"));
        if told && found.code == 1 { Ok(()) } else { Err(format!("{}{}", found.out, found.err)) }
    });
    assert!(entries().contains(&entry), "it is made good");
    verify().ok();
}

/// One request after the other from inside while every task is replaced.
fn nothing_is_lost_in_an_update(house: &House) {
    let image = house.registry.push_web("web", "2");
    let ask =
        "while [ ! -e /stop ]; do wget -qO- http://web/ >>/good 2>>/bad || echo failed >>/bad; done; touch /stopped";
    house.within(1, &format!("rm -f /good /bad /stop /stopped; ({ask}) </dev/null >/dev/null 2>&1 &")).ok();
    house.swarm.ask(0, &["service", "update", "--image", &image, "web"]).ok();
    house.within(1, "touch /stop").ok();
    wait_for("the client ends", SOON, || {
        let said = house.within(1, "test -e /stopped");
        if said.code == 0 { Ok(()) } else { Err(said.err) }
    });
    let failed = house.within(1, "cat /bad");
    assert_eq!(failed.ok(), "", "no request failed");
    let good = house.within(1, "cut -d' ' -f3 /good | sort | uniq -c");
    assert!(good.ok().contains(" 1") && good.out.contains(" 2"), "both versions answered: {}", good.out);
}

fn a_daemon_that_died_takes_up_where_it_was(house: &mut House, vip: &str) {
    house.swarm.hosts[2].kill();
    house.swarm.hosts[2].up();
    house.swarm.wait_ready(3);
    assert_eq!(house.wait_addresses(2, "web", 1), BTreeSet::from([vip.to_owned()]));
    house.wait_answers(2, "web", 5);
}

#[test]
fn a_network_leaves_nothing_behind() {
    let house = House::new(Client::Shoal);
    let swarm = &house.swarm;
    let seen = swarm.ask(1, &["ps", "-q"]);
    assert_eq!(seen.ok().lines().count(), 1);
    assert!(links(swarm, 1).contains("sx"), "a tunnel leads to the others");
    for client in [Client::Docker, Client::Shoal] {
        let refused = swarm.hosts[0].client(client, &["network", "rm", "net"]).refused();
        assert!(refused.contains("network net is in use by service cli"), "{client:?} {refused}");
        let create = ["network", "create", "--driver", "overlay", "--subnet", "10.7.0.128/25", "other"];
        let refused = swarm.hosts[0].client(client, &create).refused();
        assert!(refused.contains("Pool overlaps") && refused.contains("net"), "{client:?} {refused}");
        let create = ["service", "create", "-d", "--network", "nowhere", "busybox"];
        let refused = swarm.hosts[0].client(client, &create).refused();
        assert!(refused.contains("network nowhere not found"), "{client:?} {refused}");
    }
    swarm.ask(0, &["service", "rm", "cli"]).ok();
    swarm.ask(0, &["network", "rm", "net"]).ok();
    let list = swarm.ask(0, &["network", "ls", "--format", "{{.Name}}"]);
    assert!(!list.ok().lines().any(|name| name == "net"), "{}", list.out);
    for host in 0..3 {
        wait_for("nothing of the network is left", SOON, || {
            let links = links(swarm, host);
            let own: Vec<&str> = links.lines().filter(|line| line.contains("vxlan") || line.contains(" sv")).collect();
            // The routing mesh's tunnel stays.
            if own.len() <= 1 { Ok(()) } else { Err(format!("{own:?}")) }
        });
    }
}

fn links(swarm: &Swarm, host: usize) -> String {
    run(swarm.hosts[host].command("ip").args(["-o", "-d", "link"]), SOON).ok().to_owned()
}
