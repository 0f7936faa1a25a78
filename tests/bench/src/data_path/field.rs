//! Where the measurements take place: a swarm of five hosts, its network, its clients and the services they speak to.
//!
//! Host 4 has the tasks of the services that are spoken to, host 5 has none of them; both have a container that clients
//! run in. A sixth namespace is the outside. Both hosts are workers: what managers do beside is not measured here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use shoal_cluster_tests::{Client, Registry, Swarm, run, wait_for};

use super::limits::PATIENCE;
use super::load;

/// Index of the host that has the tasks.
pub(super) const TASKS_HOST: usize = 3;

/// Index of the host that has none.
pub(super) const OTHER_HOST: usize = 4;

/// Hosts of the swarm.
pub(super) const HOSTS: usize = 5;

/// The number of the namespace that clients from outside run in. It is the registry's, which rests while they do.
const OUTSIDE: usize = HOSTS + 1;

/// The overlay network of all services.
pub(super) const NETWORK: &str = "net";

/// The first port of the server in every container.
pub(super) const SERVER_PORT: u16 = 7000;

/// What the server does at a port, counted from its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// Swallows a stream and says how long it was.
    Bulk = 0,
    /// Answers a byte by one that tells the task, and closes.
    Byte = 1,
    /// The same, for connections that are not translated: at one port, each sort would meet the other's that wait for
    /// their end.
    ByteDirect = 2,
    /// HTTP with kept connections.
    Http = 3,
}

impl Port {
    pub(super) fn after(self, base: u16) -> u16 {
        base + self as u16
    }
}

/// The hosts and what runs there always.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) swarm: Swarm,
    pub(super) program: PathBuf,
    images: [String; 2],
    clients: Vec<String>,
    // Last, so that it is ended last.
    _registry: Registry,
}

impl Field {
    pub(super) fn new() -> Self {
        let swarm = Swarm::new(Client::Docker, 3, HOSTS - 3);
        let registry = swarm.start_registry();
        let program = load::build(swarm.folder());
        let images = ["1", "2"].map(|version| push(&swarm, &program, version));
        for (host, image) in swarm.hosts.iter().flat_map(|host| images.iter().map(move |image| (host, image))) {
            host.docker(&["pull", "-q", image]).ok();
        }
        swarm.ask(0, &["network", "create", "--driver", "overlay", "--subnet", "10.7.0.0/16", NETWORK]).ok();
        let mut field = Self { swarm, program, images, clients: Vec::new(), _registry: registry };
        field.create("client", NETWORK, &["--mode", "global"], &["wait"]);
        field.swarm.wait_running(0, "client", HOSTS, &[]);
        field.clients = (0..HOSTS).map(|host| field.container(host, "client", 0)).collect();
        field
    }

    /// The image of a version, 0 or 1.
    pub(super) fn image(&self, version: usize) -> &str {
        &self.images[version % 2]
    }

    /// Creates a service of the load program on a network and does not wait for it.
    pub(super) fn create(&self, name: &str, network: &str, flags: &[&str], words: &[&str]) {
        let env = format!("NAME={name}");
        let create = ["service", "create", "-d", "--no-resolve-image", "--name", name, "--network", network];
        let env = ["--env", &env, "--stop-grace-period", "5s"];
        self.swarm.ask(0, &[&create[..], &env, flags, &[self.image(0)], words].concat()).ok();
    }

    /// Creates a service of servers, waits for its tasks, and gives its virtual address.
    pub(super) fn serve(&self, name: &str, flags: &[&str], tasks: usize) -> String {
        self.create(name, NETWORK, flags, &["serve", &SERVER_PORT.to_string()]);
        self.swarm.wait_running(0, name, tasks, &[]);
        self.virtual_address(name)
    }

    /// Removes a service and waits until its containers are gone.
    pub(super) fn remove(&self, name: &str) {
        self.swarm.ask(0, &["service", "rm", name]).ok();
        let label = format!("label=com.docker.swarm.service.name={name}");
        wait_for("the service's containers are gone", PATIENCE, || {
            let left =
                (0..HOSTS).find(|host| self.swarm.ask(*host, &["ps", "-q", "--filter", &label]).out.trim() != "");
            left.map_or(Ok(()), |host| Err(format!("host{} has one", host + 1)))
        });
    }

    /// The address of a service on the network.
    fn virtual_address(&self, name: &str) -> String {
        let network = self.swarm.ask(0, &["network", "inspect", "--format", "{{.ID}}", NETWORK]);
        let network = network.ok().to_owned();
        wait_for(&format!("{name} has a virtual address"), PATIENCE, || {
            let format = "{{range .Endpoint.VirtualIPs}}{{.NetworkID}} {{.Addr}}\n{{end}}";
            let said = self.swarm.ask(0, &["service", "inspect", "--format", format, name]);
            let line = said.out.lines().find_map(|line| line.strip_prefix(&network)).unwrap_or_default();
            let address = line.trim().split('/').next().unwrap_or_default();
            if address.is_empty() { Err(format!("{}{}", said.out, said.err)) } else { Ok(address.to_owned()) }
        })
    }

    /// The container number `number` of a service on a host, in the order of their names.
    pub(super) fn container(&self, host: usize, service: &str, number: usize) -> String {
        let label = format!("label=com.docker.swarm.service.name={service}");
        wait_for(&format!("container {number} of {service} runs"), PATIENCE, || {
            let list = self.swarm.ask(host, &["ps", "--filter", &label, "--format", "{{.Names}} {{.ID}}"]);
            let mut lines: Vec<&str> = list.out.lines().collect();
            lines.sort_unstable();
            let line = lines.get(number).and_then(|line| line.split(' ').nth(1));
            line.map(str::to_owned).ok_or_else(|| format!("{}{}", list.out, list.err))
        })
    }

    /// The address of a container on the network.
    pub(super) fn task_address(&self, host: usize, container: &str) -> String {
        let format = format!("{{{{(index .NetworkSettings.Networks \"{NETWORK}\").IPAddress}}}}");
        self.swarm.ask(host, &["inspect", "--format", &format, container]).ok().to_owned()
    }

    /// The load program in the container that clients of a host run in.
    pub(super) fn inside(&self, host: usize, words: &[&str]) -> Command {
        self.within(host, &self.clients[host], words)
    }

    /// The load program in a container.
    pub(super) fn within(&self, host: usize, container: &str, words: &[&str]) -> Command {
        let mut command = self.swarm.hosts[host].client_command(Client::Docker);
        command.args(["exec", "-i", container, load::IN_IMAGE]).args(words);
        command
    }

    /// The load program outside of the swarm.
    pub(super) fn outside(&self, words: &[&str]) -> Command {
        let mut command = self.swarm.lan.command(OUTSIDE, &self.program);
        command.args(words);
        command
    }

    /// Bytes that a host's tunnels took and gave: tells whether traffic went to another host.
    pub(super) fn tunnel_bytes(&self, host: usize) -> f64 {
        let said = run(self.swarm.hosts[host].command("cat").arg("/proc/net/dev"), Duration::from_secs(5));
        let count = |line: &str| {
            let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
            fields.first().zip(fields.get(8)).map_or(0.0, |(taken, given)| taken + given)
        };
        said.ok().lines().map(str::trim_start).filter(|line| line.starts_with("sx")).map(count).sum()
    }

    /// Where outputs are kept.
    pub(super) fn folder(&self) -> &Path {
        self.swarm.folder()
    }
}

fn push(swarm: &Swarm, program: &Path, version: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/demo/image.sh");
    let mut command = swarm.lan.command(OUTSIDE, "bash");
    command.arg(script).arg(program).arg(swarm.registry()).args(["load", version]);
    run(&mut command, Duration::from_secs(30)).ok();
    format!("{}/load:{version}", swarm.registry())
}
