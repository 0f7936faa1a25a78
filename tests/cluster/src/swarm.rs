//! A swarm of test hosts with a registry beside them.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use crate::run::{Finished, must, wait_for};
use crate::{Client, Engine, Host, Lan, Registry};

/// Hosts that formed a swarm; the first `managers` of them manage.
#[derive(Debug)]
pub struct Swarm {
    /// In order; host n is `hosts[n - 1]`.
    pub hosts: Vec<Host>,
    /// The network they are on; its last host is free for a registry.
    pub lan: Rc<Lan>,
    client: Client,
    folder: TempDir,
}

impl Swarm {
    /// Starts `managers` and `workers` hosts and joins them, by the commands of `client`.
    ///
    /// # Panics
    /// When a command fails, or a node does not become ready.
    #[must_use]
    pub fn new(client: Client, managers: usize, workers: usize) -> Self {
        Self::of_engine(Engine::Shoal, client, managers, workers)
    }

    /// The same with daemons of either kind.
    ///
    /// # Panics
    /// When a command fails, or a node does not become ready.
    #[must_use]
    pub fn of_engine(engine: Engine, client: Client, managers: usize, workers: usize) -> Self {
        Self::joined(Self::hosts_apart(engine, client, managers + workers, &["--debug"]), managers, workers)
    }

    /// The same with daemons of ours that are given more flags.
    ///
    /// # Panics
    /// When a command fails, or a node does not become ready.
    #[must_use]
    pub fn with_flags(client: Client, managers: usize, workers: usize, flags: &[&str]) -> Self {
        let flags = [&["--debug"], flags].concat();
        Self::joined(Self::hosts_apart(Engine::Shoal, client, managers + workers, &flags), managers, workers)
    }

    fn joined(swarm: Self, managers: usize, workers: usize) -> Self {
        let client = swarm.client;
        let address = swarm.hosts[0].address();
        swarm.ask(0, &["swarm", "init", "--advertise-addr", &address]).ok();
        let token = |role| swarm.ask(0, &["swarm", "join-token", "-q", role]).ok().to_owned();
        let (manager, worker) = (token("manager"), token("worker"));
        for (index, host) in swarm.hosts.iter().enumerate().skip(1) {
            let token = if index < managers { &manager } else { &worker };
            let own = host.address();
            let remote = format!("{address}:2377");
            host.client(client, &["swarm", "join", "--advertise-addr", &own, "--token", token, &remote]).ok();
        }
        swarm.wait_ready(managers + workers);
        swarm
    }

    /// A swarm of one host whose data-root is a file system of its own, of `size_mib`.
    ///
    /// # Panics
    /// When it can't be mounted, or as [`Swarm::new`].
    #[must_use]
    pub fn on_small_disk(size_mib: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let data_root = folder.path().join("1/data");
        std::fs::create_dir_all(&data_root).expect("a folder can be made");
        let size = format!("size={size_mib}m");
        must("mount", &["-t", "tmpfs", "-o", &size, "none", &data_root.to_string_lossy()]);
        let swarm = Self::hosts_in(folder, Engine::Shoal, Client::Docker, 1, &["--debug"]);
        swarm.ask(0, &["swarm", "init", "--advertise-addr", &swarm.hosts[0].address()]).ok();
        swarm.wait_ready(1);
        swarm
    }

    /// Starts hosts in no swarm yet, and room for a registry on one more.
    ///
    /// # Panics
    /// When a daemon does not answer.
    #[must_use]
    pub fn apart(hosts: usize) -> Self {
        Self::hosts_apart(Engine::Shoal, Client::Docker, hosts, &["--debug"])
    }

    /// Asks the daemon of a host by the client that made the swarm.
    #[track_caller]
    pub fn ask(&self, host: usize, arguments: &[&str]) -> Finished {
        self.hosts[host].client(self.client, arguments)
    }

    fn hosts_apart(engine: Engine, client: Client, hosts: usize, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self::hosts_in(folder, engine, client, hosts, flags)
    }

    fn hosts_in(folder: TempDir, engine: Engine, client: Client, hosts: usize, flags: &[&str]) -> Self {
        let lan = Rc::new(Lan::new(hosts + 1));
        let registry = format!("{}:5000", lan.address(hosts + 1));
        let flag = format!("--insecure-registry={registry}");
        let flags = [flags, &[flag.as_str()]].concat();
        let start = |number| Host::start_engine(engine, &lan, number, folder.path(), &flags);
        let hosts = (1..=hosts).map(start).collect();
        Self { hosts, lan, client, folder }
    }

    /// Starts a registry on the last host of the network.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start_registry(&self) -> Registry {
        Registry::start(&self.lan, self.hosts.len() + 1, self.folder.path())
    }

    /// The host whose manager leads, by the word of a host that is not `cut`.
    ///
    /// # Panics
    /// When none leads in time.
    #[must_use]
    pub fn leader(&self, asked: usize) -> usize {
        wait_for("a manager leads", Duration::from_secs(20), || {
            let list = self.ask(asked, &["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"]);
            let leader =
                list.out.lines().find_map(|line| line.strip_suffix(" Leader")?.strip_prefix("host")?.parse().ok());
            leader.map(|number: usize| number - 1).ok_or_else(|| format!("{}{}", list.out, list.err))
        })
    }

    /// Waits until the tasks of `service` that should run do, as many as `count`, and none of them on `without`.
    /// Gives `node -> tasks` as `service ps` prints it.
    ///
    /// # Panics
    /// When they do not, in time.
    pub fn wait_running(&self, asked: usize, service: &str, count: usize, without: &[usize]) -> Vec<String> {
        wait_for(&format!("{count} tasks of {service} run"), Duration::from_secs(60), || {
            let arguments = ["service", "ps", service, "--no-trunc", "--filter", "desired-state=running"];
            let format = ["--format", "{{.ID}} {{.Node}} {{.CurrentState}}"];
            let list = self.ask(asked, &[&arguments[..], &format[..]].concat());
            let excluded = |line: &str| without.iter().any(|index| line.contains(&format!(" host{} ", index + 1)));
            let running: Vec<String> = list
                .out
                .lines()
                .filter(|line| line.contains(" Running ") && !excluded(line))
                .map(str::to_owned)
                .collect();
            if running.len() == count { Ok(running) } else { Err(format!("{}{}", list.out, list.err)) }
        })
    }

    /// Asks port `port` of a host until `tasks` different tasks answered, and gives what they said.
    ///
    /// # Panics
    /// When fewer answer in time.
    pub fn wait_answers(&self, host: usize, port: u16, tasks: usize) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let address = self.hosts[host].address();
        wait_for(&format!("{tasks} tasks answer on host{}", host + 1), Duration::from_secs(30), || {
            let answer = self.hosts[host].get(&address, port)?;
            seen.insert(answer.trim().to_owned());
            if seen.len() >= tasks { Ok(seen.clone()) } else { Err(format!("{seen:?}")) }
        })
    }

    /// Below here everything of this swarm lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `address:port` of the registry.
    #[must_use]
    pub fn registry(&self) -> String {
        format!("{}:5000", self.lan.address(self.hosts.len() + 1))
    }

    /// Waits until `nodes` nodes are ready.
    ///
    /// # Panics
    /// When they are not, in time.
    pub fn wait_ready(&self, nodes: usize) {
        self.wait_ready_from(0, nodes);
    }

    /// The same by the word of another host than the first.
    ///
    /// # Panics
    /// When they are not, in time.
    pub fn wait_ready_from(&self, asked: usize, nodes: usize) {
        wait_for("all nodes are ready", Duration::from_secs(40), || {
            let list = self.ask(asked, &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
            let ready = list.out.lines().filter(|line| line.ends_with(" Ready")).count();
            if ready == nodes { Ok(()) } else { Err(format!("{}{}", list.out, list.err)) }
        });
    }
}
