//! Facts about this host: what it is, what it has.

use std::fs;
use std::path::Path;

use nix::sys::utsname::uname;
use shoal_proto::model::{NodeDescription, Platform, Plugin, ResourceReservations};

/// What this host is and has. Found out at the start; a host's name may change later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The host's name.
    pub hostname: String,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`: x86_64, aarch64.
    pub machine: String,
    /// From os-release.
    pub operating_system: String,
    /// Processors that this process may use.
    pub cpus: u64,
    /// Bytes.
    pub memory: u64,
    /// 1 or 2: which hierarchy has the controllers.
    pub cgroup_version: u8,
}

impl HostFacts {
    /// Finds them out; what the kernel does not tell stays empty or zero.
    #[must_use]
    pub fn gather() -> Self {
        let names = uname().ok();
        let text =
            |field: Option<&std::ffi::OsStr>| field.map(|f| f.to_string_lossy().into_owned()).unwrap_or_default();
        let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
        Self {
            hostname: text(names.as_ref().map(nix::sys::utsname::UtsName::nodename)),
            kernel: text(names.as_ref().map(nix::sys::utsname::UtsName::release)),
            machine: text(names.as_ref().map(nix::sys::utsname::UtsName::machine)),
            operating_system: operating_system(),
            cpus: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory: memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
            cgroup_version: if controllers.contains("memory") { 2 } else { 1 },
        }
    }

    /// What the node says of itself to the managers.
    #[must_use]
    pub fn description(&self, engine_labels: &[(String, String)]) -> NodeDescription {
        let plugin = |kind: &str, name: &str| Plugin { kind: kind.to_owned(), name: name.to_owned() };
        NodeDescription {
            hostname: self.hostname.clone(),
            platform: Platform { architecture: self.machine.clone(), os: "linux".to_owned() },
            resources: ResourceReservations {
                nano_cpus: i64::try_from(self.cpus.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX),
                memory_bytes: i64::try_from(self.memory).unwrap_or(i64::MAX),
            },
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine_labels: engine_labels.iter().cloned().collect(),
            plugins: vec![
                plugin("Log", "json-file"),
                plugin("Log", "none"),
                plugin("Network", "bridge"),
                plugin("Network", "host"),
                plugin("Network", "overlay"),
                plugin("Volume", "local"),
            ],
            // The worker's session knows them.
            tunnel_keys: Vec::new(),
        }
    }
}

fn operating_system() -> String {
    let found = ["/etc/os-release", "/usr/lib/os-release"].into_iter().find(|path| Path::new(path).exists());
    let text = found.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    pretty_name(&text).unwrap_or_else(|| "Linux".to_owned())
}

fn pretty_name(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches(['"', '\'']).to_owned())
}

fn memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kibibytes: u64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
    kibibytes.saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(memory("MemTotal:       24684096 kB\nMemFree: 1 kB\n"), 24_684_096 * 1024);
        assert_eq!(memory(""), 0);
        assert_eq!(pretty_name("NAME=x\nPRETTY_NAME=\"Debian 12\"\n").as_deref(), Some("Debian 12"));
        let facts = HostFacts::gather();
        assert!(facts.cpus > 0 && facts.memory > 0 && !facts.kernel.is_empty());
    }
}
