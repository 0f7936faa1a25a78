//! A host: what its daemon is made of, and what outlives the daemon.
//!
//! Owns state only; the world moves it. A crash takes the daemon, and with it both processes; a loss of power takes the
//! kernel's state too. Disks stay.

mod agent;
mod disk;
mod kernel;
mod manager;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use shoal_proto::model::{Labels, NodeDescription, NodeId, Platform, Plugin, ResourceReservations, Role, Timestamp};

pub(crate) use agent::{AgentProcess, LiveSession};
pub(crate) use disk::{Disk, DiskMisuse};
pub(crate) use kernel::{Effect, Kernel, Misuse, fatal, temporary};
pub(crate) use manager::{Asker, ManagerProcess, News, Waiting};

use crate::network::HostId;

/// One host of a world.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) id: HostId,
    /// Its identity in the swarm: the name in the certificate that it asks for.
    pub(crate) node: NodeId,
    /// What its certificate says; `None` before it was admitted.
    pub(crate) certificate: Option<Role>,
    /// What the leader last said that its certificate should say.
    pub(crate) wanted: Option<Role>,
    /// The daemon runs.
    pub(crate) up: bool,
    /// Counts the daemon's lives: what was planned for an earlier one does not happen.
    pub(crate) generation: u64,
    /// How far its clock is ahead of the world's, in nanoseconds; may be negative.
    pub(crate) clock_offset: i64,
    /// The managers that it knows of, kept on disk.
    pub(crate) managers: Vec<String>,
    /// Counts the questions that the node asks of a manager.
    pub(crate) attempt: u64,
    /// The member file: its number in the consensus.
    pub(crate) raft_id: Option<u64>,
    pub(crate) disk: Disk,
    pub(crate) manager: Option<ManagerProcess>,
    pub(crate) agent: Option<AgentProcess>,
    pub(crate) kernel: Kernel,
}

impl Host {
    /// A host that is of no swarm, with its daemon running.
    pub(crate) fn new(id: HostId, node: NodeId, clock_offset: i64) -> Self {
        Self {
            id,
            node,
            certificate: None,
            wanted: None,
            up: true,
            generation: 0,
            clock_offset,
            managers: Vec::new(),
            attempt: 0,
            raft_id: None,
            disk: Disk::default(),
            manager: None,
            agent: None,
            kernel: Kernel::default(),
        }
    }

    /// Where it is.
    pub(crate) fn ip(&self) -> IpAddr {
        ip_of(self.id)
    }

    /// host:port of its manager part.
    pub(crate) fn address(&self) -> String {
        address_of(self.id)
    }

    /// What its own clock says.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0 + self.clock_offset)
    }

    /// When its own clock says `at`.
    pub(crate) fn world_time(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0 - self.clock_offset)
    }

    /// What it says of itself.
    pub(crate) fn description(&self) -> NodeDescription {
        let disk = if self.id.0.is_multiple_of(3) { "ssd" } else { "hdd" };
        NodeDescription {
            hostname: hostname_of(self.id),
            platform: Platform { architecture: "x86_64".to_owned(), os: "linux".to_owned() },
            resources: ResourceReservations { nano_cpus: 8_000_000_000, memory_bytes: 16 << 30 },
            engine_version: "1".to_owned(),
            engine_labels: Labels::from([("disk".to_owned(), disk.to_owned())]),
            plugins: vec![Plugin { kind: "Network".to_owned(), name: "overlay".to_owned() }],
            tunnel_keys: Vec::new(),
        }
    }
}

/// The name of a host.
pub(crate) fn hostname_of(host: HostId) -> String {
    format!("h{}", host.0)
}

/// host:port of a host's manager part.
pub(crate) fn address_of(host: HostId) -> String {
    format!("{}:2377", ip_of(host))
}

/// Which host has this address.
pub(crate) fn host_at(address: &str) -> Option<HostId> {
    let (ip, _) = address.rsplit_once(':')?;
    let last: usize = ip.rsplit('.').next()?.parse().ok()?;
    last.checked_sub(1).map(HostId)
}

fn ip_of(host: HostId) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(host.0 + 1).unwrap_or(u8::MAX)))
}

/// A pause that doubles, between half and all of it, as the shells'.
pub(crate) fn spread(pause: Duration, draw: &mut crate::draw::Draw) -> Duration {
    let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX).max(2);
    draw.micros(micros / 2..micros)
}
