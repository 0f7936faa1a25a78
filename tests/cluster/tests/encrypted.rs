//! Encrypted networks: everything works as on clear ones, nothing is seen on the wire, nothing forged is taken, keys are
//! replaced and daemons killed without a connection lost.

#![expect(clippy::expect_used, reason = "a test that can't go on has failed")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use shoal_cluster_tests::{Client, Finished, Registry, Swarm, Wire, forged_vxlan, run, send_from, wait_for};

const SOON: Duration = Duration::from_secs(60);
const MARKER: &str = "plain-words-that-nobody-should-read";

/// Three hosts, and on each a container with a shell on the encrypted network `sealed`.
struct House {
    swarm: Swarm,
    registry: Registry,
}

impl House {
    fn new(client: Client, flags: &[&str]) -> Self {
        let swarm = Swarm::with_flags(client, 1, 2, flags);
        let registry = swarm.start_registry();
        let shell = registry.push_shell("shell", "1");
        let create = ["network", "create", "--driver", "overlay", "--opt", "encrypted", "--subnet", "10.7.0.0/24"];
        swarm.ask(0, &[&create[..], &["sealed"]].concat()).ok();
        swarm.ask(0, &["network", "create", "--driver", "overlay", "--subnet", "10.8.0.0/24", "clear"]).ok();
        let create = ["service", "create", "-d", "--name", "cli", "--mode", "global", "--network", "sealed"];
        let rest = ["--network", "clear", "--stop-grace-period", "1s", &shell, "sleep", "100000"];
        swarm.ask(0, &[&create[..], &rest].concat()).ok();
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

    /// Leaves a script running in the container on a host.
    fn leave_running(&self, host: usize, script: &str) {
        self.within(host, &format!("({script}) </dev/null >/dev/null 2>&1 &")).ok();
    }

    fn wait_within(&self, host: usize, what: &str, script: &str) -> String {
        wait_for(what, SOON, || {
            let said = self.within(host, script);
            if said.code == 0 { Ok(said.out) } else { Err(format!("{}{}", said.out, said.err)) }
        })
    }

    /// The address of the shell on a host on one of the networks.
    fn address(&self, host: usize, prefix: &str) -> [u8; 4] {
        let list = self.within(host, "ip -4 -o addr");
        let word =
            list.ok().split_whitespace().find_map(|word| word.strip_suffix("/24").filter(|it| it.starts_with(prefix)));
        let address: std::net::Ipv4Addr = word.expect("it has one").parse().expect("it is one");
        address.octets()
    }

    fn links(&self, host: usize) -> String {
        run(self.swarm.hosts[host].command("ip").args(["-o", "-d", "link"]), SOON).ok().to_owned()
    }

    /// The VNI of the network whose tunnel goes through the encrypting device, or of the other of the user's.
    fn vni(&self, host: usize, encrypted: bool) -> u32 {
        let links = self.links(host);
        let line = links.lines().filter(|line| line.contains(" vxlan id ")).find(|line| {
            let own = line.contains(" dev sw");
            // The routing mesh has the lowest number, 4096, and is not asked for.
            own == encrypted && !line.contains(" vxlan id 4096 ")
        });
        let words = line.expect("the network is there").split(" vxlan id ").nth(1);
        words.and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("it has a number")
    }

    fn keys(&self, host: usize) -> String {
        std::fs::read_to_string(self.swarm.hosts[host].data_root().join("worker/tunnel.keys")).unwrap_or_default()
    }
}

#[test]
fn everything_works_and_nothing_is_seen() {
    let house = House::new(Client::Docker, &[]);
    let image = house.registry.push_web("web", "1");
    let create = ["service", "create", "-d", "--replicas", "3", "--network", "sealed", "--name", "web", &image];
    house.swarm.ask(0, &create).ok();
    house.swarm.wait_running(0, "web", 3, &[]);
    let options = house.swarm.ask(0, &["network", "inspect", "--format", "{{json .Options}}", "sealed"]);
    assert!(options.ok().contains("\"encrypted\""), "{}", options.out);
    let wire = Wire::listen(&house.swarm.lan, MARKER);
    for host in 0..3 {
        house.wait_within(host, "the service answers by its name", &format!(
            "for i in 1 2 3 4 5 6; do wget -qO- --header 'X-Marker: {MARKER}' http://web/; done | sort -u | wc -l | grep -qx 3"
        ));
        house.within(host, "ping -c 1 -w 5 web").ok();
    }
    let serve = "dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null; md5sum </big >/sum; httpd -p 7000 -h /";
    house.within(0, serve).ok();
    let sum = house.within(0, "cat /sum").ok().to_owned();
    let [a, b, c, d] = house.address(0, "10.7.");
    for host in 1..3 {
        let fetched = house.within(host, &format!("wget -qO- http://{a}.{b}.{c}.{d}:7000/big | md5sum"));
        assert_eq!(fetched.ok(), sum, "a large file arrives whole");
    }
    let mtu = house.within(1, "cat /sys/class/net/eth*/mtu | sort | uniq");
    assert!(mtu.ok().lines().any(|line| line == "1370"), "room for the tunnel is kept: {}", mtu.out);
    let seen = wire.seen();
    assert_eq!(seen.marked, 0, "nothing is told in the clear: {seen:?}");
    assert!(!seen.vnis.contains(&house.vni(0, true)), "{seen:?}");
    assert!(seen.udp.get(&4790).is_some_and(|frames| *frames > 100), "the tunnel carried it: {seen:?}");
    assert!(!seen.udp.contains_key(&4788), "{seen:?}");

    // The same on the clear network is seen: the listener would have found it.
    let wire = Wire::listen(&house.swarm.lan, MARKER);
    let [a, b, c, d] = house.address(0, "10.8.");
    house.within(1, &format!("wget -qO- --header 'X-Marker: {MARKER}' http://{a}.{b}.{c}.{d}:7000/sum")).ok();
    let seen = wire.seen();
    assert!(seen.marked > 0 && seen.vnis.contains(&house.vni(0, false)), "{seen:?}");
    a_network_leaves_no_tunnel_behind(&house);
}

fn a_network_leaves_no_tunnel_behind(house: &House) {
    assert!(house.links(2).contains(": sw"), "the tunnel is there while it is needed");
    house.swarm.ask(0, &["service", "rm", "cli", "web"]).ok();
    wait_for("no tunnel is left", SOON, || {
        let links = house.links(2);
        if links.contains(": sw") { Err(links) } else { Ok(()) }
    });
    house.swarm.ask(0, &["network", "rm", "sealed"]).ok();
}

#[test]
fn what_is_forged_is_dropped() {
    let house = House::new(Client::Shoal, &[]);
    let refused = house.swarm.ask(0, &["network", "create", "-d", "overlay", "--opt", "encrypted=perhaps", "no"]);
    assert!(refused.refused().contains("option encrypted 'perhaps' is invalid"));
    let listed = run(house.swarm.hosts[0].command("ip").args(["-6", "-o", "addr", "show", "dev", "eth0"]), SOON);
    let link_local = listed.ok().split_whitespace().find_map(|word| word.strip_suffix("/64")).expect("it has one");
    let link_local: std::net::Ipv6Addr = link_local.parse().expect("it is one");
    let shown = run(house.swarm.hosts[2].command("ip").args(["-o", "link", "show", "dev", "eth0"]), SOON);
    let index = shown.ok().split(':').next().and_then(|number| number.parse().ok()).expect("it has an index");
    let over_v4: IpAddr = house.swarm.hosts[0].address().parse().expect("it is one");
    // Datagrams to a port where nobody listens are counted.
    let count = || {
        let counted = house.within(0, "grep ^Udp: /proc/net/snmp | tail -n 1 | cut -d' ' -f3");
        counted.ok().parse::<u32>().expect("a number")
    };
    let attack = |encrypted: bool, prefix: &str| {
        let (to, from) = (house.address(0, prefix), house.address(1, prefix));
        let packet = forged_vxlan(house.vni(0, encrypted), from, to, 9999, b"forged");
        let sender = house.swarm.lan.namespace(3);
        for port in [4788, 4789, 4790] {
            send_from(&sender, &packet, SocketAddr::new(over_v4, port));
            let scoped = std::net::SocketAddrV6::new(link_local, port, 0, index);
            send_from(&sender, &packet, SocketAddr::V6(scoped));
        }
    };
    // On a clear network anybody on the wire can do it: the attack is one.
    let before = count();
    attack(false, "10.8.");
    wait_for("the forged packet arrives on the clear network", SOON, || {
        let now = count();
        if now == before + 1 { Ok(()) } else { Err(format!("{before} {now}")) }
    });
    attack(true, "10.7.");
    // What comes after it by the proper way shows that it would have come by then.
    let [a, b, c, d] = house.address(0, "10.7.");
    house.within(1, &format!("timeout 1 nslookup -retry=1 any {a}.{b}.{c}.{d}; true")).ok();
    wait_for("a proper packet arrives", SOON, || if count() > before + 1 { Ok(()) } else { Err(String::new()) });
    let proper = count() - before - 1;
    attack(true, "10.7.");
    house.within(1, &format!("ping -c 3 -w 5 {a}.{b}.{c}.{d}")).ok();
    assert_eq!(count() - before - 1, proper, "what is forged does not arrive");
}

#[test]
fn keys_are_replaced_and_daemons_killed_under_way() {
    let mut house = House::new(Client::Docker, &["--tunnel-key-age=10s"]);
    let serve = "dd if=/dev/urandom of=/big bs=1M count=20 2>/dev/null; md5sum </big >/sum; httpd -p 7000 -h /";
    house.within(0, serve).ok();
    let sum = house.within(0, "cat /sum").ok().to_owned();
    let [a, b, c, d] = house.address(0, "10.7.");
    let url = format!("http://{a}.{b}.{c}.{d}:7000");
    house.wait_within(1, "the network works", &format!("timeout 5 wget -qO- {url}/sum"));
    let ask =
        format!("while [ ! -e /stop ]; do timeout 5 wget -qO- {url}/sum >>/good 2>>/bad || echo failed >>/bad; done");
    house.within(1, "rm -f /good /bad /stop").ok();
    house.leave_running(1, &format!("{ask}; touch /stopped"));
    let before: Vec<String> = (0..3).map(|host| house.keys(host)).collect();
    for (host, old) in before.iter().enumerate() {
        // The whole of a replacement twice: nothing of what was there is left.
        wait_for("the key is replaced", Duration::from_secs(90), || {
            let now = house.keys(host);
            let is_new = now.lines().count() == 1 && now.lines().all(|line| !old.contains(line));
            if is_new { Ok(()) } else { Err(format!("{} keys", now.lines().count())) }
        });
    }
    house.within(1, "touch /stop").ok();
    house.wait_within(1, "the client ends", "test -e /stopped");
    assert_eq!(house.within(1, "cat /bad").ok(), "", "no request failed");
    let good = house.within(1, "wc -l </good").ok().parse().unwrap_or(0);
    assert!(good > 100, "only {good} requests were made");

    let fetch = format!("wget -qO- {url}/big | (sleep 2; md5sum) >/fetched");
    house.leave_running(1, &fetch);
    house.swarm.hosts[0].kill();
    house.swarm.hosts[0].up();
    let fetched = house.wait_within(1, "the transfer ends", "grep . /fetched");
    assert_eq!(fetched.trim(), sum, "a connection outlives the daemon");
    house.swarm.wait_ready(3);
    house.wait_within(2, "new connections are made", &format!("timeout 5 wget -qO- {url}/sum"));
}
