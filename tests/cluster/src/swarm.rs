//! A swarm of test hosts with a registry beside them.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use crate::run::wait_for;
use crate::{Client, Host, Lan};

/// Hosts that formed a swarm; the first `managers` of them manage.
#[derive(Debug)]
pub struct Swarm {
    /// In order; host n is `hosts[n - 1]`.
    pub hosts: Vec<Host>,
    /// The network they are on; its last host is free for a registry.
    pub lan: Rc<Lan>,
    folder: TempDir,
}

impl Swarm {
    /// Starts `managers` and `workers` hosts and joins them, by the commands of `client`.
    ///
    /// # Panics
    /// When a command fails, or a node does not become ready.
    #[must_use]
    pub fn new(client: Client, managers: usize, workers: usize) -> Self {
        let mut swarm = Self::apart(managers + workers);
        let address = swarm.hosts[0].address();
        swarm.hosts[0].client(client, &["swarm", "init", "--advertise-addr", &address]).ok();
        let token = |role| swarm.hosts[0].client(client, &["swarm", "join-token", "-q", role]).ok().to_owned();
        let (manager, worker) = (token("manager"), token("worker"));
        for (index, host) in swarm.hosts.iter().enumerate().skip(1) {
            let token = if index < managers { &manager } else { &worker };
            let own = host.address();
            let remote = format!("{address}:2377");
            host.client(client, &["swarm", "join", "--advertise-addr", &own, "--token", token, &remote]).ok();
        }
        swarm.wait_ready(managers + workers);
        swarm.hosts.shrink_to_fit();
        swarm
    }

    /// Starts hosts in no swarm yet, and room for a registry on one more.
    ///
    /// # Panics
    /// When a daemon does not answer.
    #[must_use]
    pub fn apart(hosts: usize) -> Self {
        let lan = Rc::new(Lan::new(hosts + 1));
        let folder = tempfile::tempdir().expect("a folder can be made");
        let registry = format!("{}:5000", lan.address(hosts + 1));
        let flag = format!("--insecure-registry={registry}");
        let hosts = (1..=hosts).map(|number| Host::start(&lan, number, folder.path(), &[&flag])).collect();
        Self { hosts, lan, folder }
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
        wait_for("all nodes are ready", Duration::from_secs(20), || {
            let list = self.hosts[0].docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
            let ready = list.out.lines().filter(|line| line.ends_with(" Ready")).count();
            if ready == nodes { Ok(()) } else { Err(format!("{}{}", list.out, list.err)) }
        });
    }
}
