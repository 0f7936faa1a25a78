//! A network of test hosts: one bridge in a namespace of its own, a namespace a host, no way out.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::run::must;

static LANS: AtomicU32 = AtomicU32::new(0);

/// The bridge and its namespaces.
#[derive(Debug)]
pub struct Lan {
    tag: String,
    hosts: usize,
}

impl Lan {
    /// Makes a bridge with `hosts` namespaces, numbered from 1; host n has the address 10.99.0.n/24 on eth0.
    ///
    /// # Panics
    /// When not run as root, or without iproute2.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        sweep();
        let tag = format!("shoalt{}x{}", std::process::id(), LANS.fetch_add(1, Ordering::Relaxed));
        let lan = Self { tag, hosts };
        let switch = lan.switch();
        must("ip", &["netns", "add", &switch]);
        must("ip", &["-n", &switch, "link", "add", "br0", "type", "bridge"]);
        must("ip", &["-n", &switch, "link", "set", "br0", "up"]);
        for number in 1..=hosts {
            lan.add_host(number);
        }
        lan
    }

    fn add_host(&self, number: usize) {
        let (switch, name, port) = (self.switch(), self.name(number), format!("port{number}"));
        must("ip", &["netns", "add", &name]);
        must("ip", &["-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &name]);
        must("ip", &["-n", &switch, "link", "set", &port, "master", "br0", "up"]);
        must("ip", &["-n", &name, "link", "set", "lo", "up"]);
        must("ip", &["-n", &name, "addr", "add", &format!("{}/24", self.address(number)), "dev", "eth0"]);
        must("ip", &["-n", &name, "link", "set", "eth0", "up"]);
    }

    /// Where the namespace of the switch is.
    #[must_use]
    pub fn switch_namespace(&self) -> PathBuf {
        PathBuf::from(format!("/run/netns/{}", self.switch()))
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.tag)
    }

    fn name(&self, number: usize) -> String {
        format!("{}-{number}", self.tag)
    }

    /// The address of host `number`.
    #[must_use]
    pub fn address(&self, number: usize) -> String {
        format!("10.99.0.{number}")
    }

    /// Where the namespace of host `number` is.
    #[must_use]
    pub fn namespace(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("/run/netns/{}", self.name(number)))
    }

    /// A program that will run in the namespace of host `number`.
    #[must_use]
    pub fn command(&self, number: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace(number).display())).arg("--").arg(program);
        command
    }

    /// Pulls the cable of host `number`.
    pub fn cut(&self, number: usize) {
        must("ip", &["-n", &self.switch(), "link", "set", &format!("port{number}"), "nomaster", "down"]);
    }

    /// Puts it back.
    pub fn heal(&self, number: usize) {
        must("ip", &["-n", &self.switch(), "link", "set", &format!("port{number}"), "master", "br0", "up"]);
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for number in 1..=self.hosts {
            remove(&self.name(number));
        }
        remove(&self.switch());
    }
}

/// Takes down namespaces of runs that were killed.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix("shoalt") else { continue };
        let pid = rest.split('x').next().unwrap_or_default();
        if !std::path::Path::new(&format!("/proc/{pid}")).exists() {
            remove(&name);
        }
    }
}

fn remove(name: &str) {
    let removed = Command::new("ip").args(["netns", "del", name]).output();
    if !removed.as_ref().is_ok_and(|removed| removed.status.success()) {
        eprintln!("the namespace {name} stays: {removed:?}");
    }
}
