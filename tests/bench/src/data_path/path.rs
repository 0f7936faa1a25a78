//! The ways to a service that are compared: by its virtual address and by a published port, each with a direct one
//! beside it.
//!
//! Beside a virtual address stand the tasks' own addresses on the network, from the same container. Beside a published
//! port stand the same containers on the host's own network, at ports of the host: nothing of the data path is in
//! between, and they share processors and memory as the others do.

use std::process::Command;

use super::field::{Field, OTHER_HOST, Port, SERVER_PORT, TASKS_HOST};

/// From where, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From a container beside the task's.
    VipSameHost,
    /// From a container on another host.
    VipAcross,
    /// From outside, through the host that has the task.
    PortOfTasksHost,
    /// From outside, through a host that has none.
    PortAcross,
}

/// What a client speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The servers themselves.
    Direct,
    /// What Shoal makes of the service.
    Shoal,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::VipSameHost, Self::VipAcross, Self::PortOfTasksHost, Self::PortAcross];

    /// As the table names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::VipSameHost => "VIP, same host",
            Self::VipAcross => "VIP, across hosts",
            Self::PortOfTasksHost => "mesh, host with the task",
            Self::PortAcross => "mesh, host without",
        }
    }

    pub(super) fn by_vip(self) -> bool {
        matches!(self, Self::VipSameHost | Self::VipAcross)
    }

    /// Whether traffic goes through the tunnel between the hosts.
    pub(super) fn crosses(self, side: Side) -> bool {
        self == Self::VipAcross || (self == Self::PortAcross && side == Side::Shoal)
    }
}

/// A service on one host, its tasks, and the same servers on the host's network.
#[derive(Debug)]
pub(super) struct Target<'a> {
    field: &'a Field,
    name: &'static str,
    vip: String,
    tasks: Vec<String>,
    published: u16,
    plain: Vec<Plain>,
}

/// A service of one task on the host's network.
#[derive(Debug)]
struct Plain {
    name: String,
    /// The first of its ports.
    base: u16,
}

/// The first port of the first server on the host's network; the next one has its ports [`PLAIN_STEP`] above.
const PLAIN_PORT: u16 = 9000;
const PLAIN_STEP: usize = 10;

impl<'a> Target<'a> {
    /// Starts all of it; the service is published from port `published` on.
    pub(super) fn new(field: &'a Field, name: &'static str, tasks: usize, published: u16) -> Self {
        let constraint = format!("node.hostname==host{}", TASKS_HOST + 1);
        let replicas = tasks.to_string();
        let publish = [Port::Bulk, Port::Byte, Port::Http]
            .map(|port| format!("{}:{}", port.after(published), port.after(SERVER_PORT)));
        let mut flags = vec!["--replicas", &replicas, "--constraint", &constraint];
        flags.extend(publish.iter().flat_map(|publish| ["--publish", publish]));
        let vip = field.serve(name, &flags, tasks);
        let address = |number| field.task_address(TASKS_HOST, &field.container(TASKS_HOST, name, number));
        let addresses: Vec<String> = (0..tasks).map(address).collect();
        assert!(!addresses.contains(&vip), "{vip} is a task's: {addresses:?}");
        let bases = (PLAIN_PORT..).step_by(PLAIN_STEP).take(tasks);
        let plain: Vec<Plain> = bases.map(|base| Plain { name: format!("{name}-{base}"), base }).collect();
        plain.iter().zip(1..).for_each(|(one, number)| one.start(field, &constraint, number));
        Self { field, name, vip, tasks: addresses, published, plain }
    }

    /// A client that takes this way; its words are followed by the addresses of the side.
    pub(super) fn client(&self, way: Way, side: Side, port: Port, words: &[&str]) -> Command {
        let addresses = self.addresses(way, side, port);
        let words: Vec<&str> = words.iter().copied().chain(addresses.iter().map(String::as_str)).collect();
        match way {
            Way::VipSameHost => self.field.inside(TASKS_HOST, &words),
            Way::VipAcross => self.field.inside(OTHER_HOST, &words),
            Way::PortOfTasksHost | Way::PortAcross => self.field.outside(&words),
        }
    }

    fn addresses(&self, way: Way, side: Side, port: Port) -> Vec<String> {
        let host = |index: usize| self.field.swarm.hosts[index].address();
        match (way.by_vip(), side) {
            (true, Side::Direct) => {
                self.tasks.iter().map(|task| format!("{task}:{}", port.after(SERVER_PORT))).collect()
            }
            (true, Side::Shoal) => vec![format!("{}:{}", self.vip, port.after(SERVER_PORT))],
            (false, Side::Direct) => self.plain_addresses(&host(TASKS_HOST), port),
            (false, Side::Shoal) => {
                let host = if way == Way::PortAcross { host(OTHER_HOST) } else { host(TASKS_HOST) };
                vec![format!("{host}:{}", port.after(self.published))]
            }
        }
    }

    /// The published port on each host of the swarm.
    pub(super) fn published_addresses(&self, port: Port) -> Vec<String> {
        let hosts = self.field.swarm.hosts.iter();
        hosts.map(|host| format!("{}:{}", host.address(), port.after(self.published))).collect()
    }

    /// The servers on the host's network, by an address of the host.
    pub(super) fn plain_addresses(&self, host: &str, port: Port) -> Vec<String> {
        self.plain.iter().map(|one| format!("{host}:{}", port.after(one.base))).collect()
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.plain.iter().for_each(|one| self.field.remove(&one.name));
            self.field.remove(self.name);
        }
    }
}

impl Plain {
    /// Starts it and waits until it runs; its answers bear the number.
    fn start(&self, field: &Field, constraint: &str, number: usize) {
        let number = format!("NUMBER={number}");
        let flags = ["--constraint", constraint, "--env", &number];
        field.create(&self.name, "host", &flags, &["serve", &self.base.to_string()]);
        field.swarm.wait_running(0, &self.name, 1, &[]);
    }
}
