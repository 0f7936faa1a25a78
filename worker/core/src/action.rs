//! What the core wants done: data, complete and printable. Whoever performs an action chooses nothing.
//!
//! Order matters in one way: `PersistAssignments` and `PersistEnded` are on disk before any action after them begins.
//! Apart from that, actions run side by side. Each `Pull`, network and task action is answered by one input.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use shoal_proto::model::{
    AssignmentSet, NetworkAssignment, NetworkAttachment, NetworkId, NodeId, PeerEndpoints, PortConfig, PullCredentials,
    Revision, SensitiveBytes, ServiceSet, Task, TaskId, TaskReport, TaskStatus, Timestamp, Verification,
};

/// Names a pull, from its action to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PullId(pub u64);

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Write the assignments, whole. Only the last of several needs to reach the disk.
    PersistAssignments(Arc<AssignmentSet>),
    /// Write how tasks ended, whole. Only the last of several needs to reach the disk.
    PersistEnded(Arc<BTreeMap<TaskId, TaskStatus>>),
    /// Bring an image to this host. `ImageReady` or `ImageFailed`.
    Pull {
        /// Echoed by the result.
        pull: PullId,
        /// Reference as in the spec.
        image: String,
        /// For the registry.
        credentials: Option<PullCredentials>,
    },
    /// Nobody waits for this pull any more. No result is expected; one that comes is ignored.
    CancelPull {
        /// Which.
        pull: PullId,
    },
    /// Make a network on this host, or change it. `NetworkReady` or `NetworkFailed`.
    EnsureNetwork {
        /// Which.
        network: NetworkId,
        /// How it should be.
        assignment: NetworkAssignment,
    },
    /// Remove a network from this host. `NetworkRemoved` or `NetworkFailed`.
    RemoveNetwork {
        /// Which.
        network: NetworkId,
    },
    /// Set all other hosts of a network. `PeersSet` or `NetworkFailed`.
    SetPeers {
        /// Which.
        network: NetworkId,
        /// All of them.
        peers: BTreeMap<NodeId, PeerEndpoints>,
    },
    /// Set where new connections lead: published ports, names and virtual addresses. `ServicesSet` or `ServicesFailed`.
    SetServices(Arc<ServiceSet>),
    /// Ask these hosts again and again whether they can be reached on a network. `Silent`, whenever that changes.
    Probe {
        /// Over which.
        network: NetworkId,
        /// All hosts to ask, by their own addresses there.
        hosts: BTreeMap<NodeId, IpAddr>,
    },
    /// Compare what the kernel shows with what it was told, and tell it anew what differs. `Verified`.
    Verify {
        /// Echoed by the result.
        number: u64,
    },
    /// Make a task's network namespace and interfaces. `EndpointReady` or `OperationFailed`.
    CreateEndpoint(EndpointPlan),
    /// Make a task's container, not started. `ContainerCreated` or `OperationFailed`. A container of this task that is
    /// there already, made before a crash, is the result.
    CreateContainer {
        /// All of the task: spec, name, labels. Its templates are expanded.
        task: Box<Task>,
        /// As `ImageReady` named it.
        image: String,
        /// Which network namespace it gets.
        namespace: NetworkNamespace,
        /// Its secrets and configs.
        files: Vec<ContainerFile>,
    },
    /// Start it. `ContainerStarted` or `OperationFailed`.
    StartContainer {
        /// Whose.
        task: TaskId,
        /// Which.
        container: String,
    },
    /// Wait until something in a task's network namespace listens on each of these TCP ports. `PortsAwaited`.
    AwaitPorts {
        /// Whose.
        task: TaskId,
        /// All of them.
        ports: BTreeSet<u16>,
        /// After this long it goes on without.
        limit: Duration,
    },
    /// Send the signal, and kill when the grace period has passed. `ContainerExited`, then `StopDone`; or
    /// `OperationFailed`.
    StopContainer {
        /// Whose.
        task: TaskId,
        /// Which.
        container: String,
        /// The spec's; `None`: the image's, else SIGTERM.
        signal: Option<String>,
        /// From the signal to the kill.
        grace: Duration,
    },
    /// Remove interfaces and namespace. `EndpointRemoved` or `OperationFailed`.
    RemoveEndpoint {
        /// Whose.
        task: TaskId,
    },
    /// Remove the container, its file system and its logs. `ContainerRemoved` or `OperationFailed`.
    RemoveContainer {
        /// Whose.
        task: TaskId,
        /// Which.
        container: String,
        /// Whether the task is forgotten with it; else another container follows and anonymous volumes stay.
        last: bool,
    },
    /// Tell the leader. Only while a session is up.
    Report {
        /// Rises by one each; echoed by `ReportsAcknowledged`.
        sequence: u64,
        /// At most one a task.
        reports: Vec<TaskReport>,
    },
    /// Tell the leader that this host's kernel shows the assignments of this revision.
    Applied {
        /// Which.
        revision: Revision,
    },
    /// Tell the leader which hosts do not answer this one: all of them. Only while a session is up.
    TellSilent {
        /// Which.
        hosts: BTreeSet<NodeId>,
    },
    /// Tell the leader what came of the comparison that it asked for.
    TellVerified(Verification),
    /// A difference did not fit: ask for the whole set, by a new session.
    Resync,
    /// Give a `Tick` at this time; replaces the last one asked for.
    ArmTimer {
        /// When.
        at: Timestamp,
    },
}

/// A file that a container may read and not change, and that is on no disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFile {
    /// Absolute path inside.
    pub path: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Its content.
    pub data: SensitiveBytes,
}

/// A task's network namespace and interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPlan {
    /// Whose.
    pub task: TaskId,
    /// Interfaces on networks of the swarm, in order.
    pub attachments: Vec<NetworkAttachment>,
    /// One more on the host's bridge, for the way out.
    pub bridge: bool,
    /// Ports in host mode.
    pub host_ports: Vec<PortConfig>,
    /// Who is asked for names from outside; none: whom the host asks.
    pub nameservers: Vec<String>,
}

/// Which network namespace a container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkNamespace {
    /// The host's.
    Host,
    /// Its endpoint's.
    Endpoint,
}

impl fmt::Display for PullId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{}", self.0)
    }
}

/// One line, for logs and golden scripts; secrets are left out.
impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PersistAssignments(set) => write!(
                out,
                "persist {} tasks, {} networks, {} services",
                set.tasks.len(),
                set.networks.len(),
                set.services.len()
            ),
            Self::PersistEnded(ended) => write!(out, "persist {} ended", ended.len()),
            Self::Pull { pull, image, credentials } => {
                let with = if credentials.is_some() { " with credentials" } else { "" };
                write!(out, "pull {pull} {image}{with}")
            }
            Self::CancelPull { pull } => write!(out, "cancel pull {pull}"),
            Self::EnsureNetwork { network, assignment } => {
                write!(out, "ensure network {network} {} vni {}", assignment.subnet, assignment.vni)
            }
            Self::RemoveNetwork { network } => write!(out, "remove network {network}"),
            Self::SetPeers { network, peers } => {
                write!(out, "set peers of {network}:")?;
                peers.values().try_for_each(|peer| write!(out, " {}{:?}", peer.host, peer.addresses))
            }
            Self::SetServices(services) => {
                write!(out, "set services:")?;
                services.published.values().try_for_each(|service| {
                    write!(out, " {}", service.name)?;
                    let backends = service.backends.values().map(|backend| backend.address);
                    out.debug_list().entries(backends).finish()
                })?;
                services.names.values().try_for_each(|service| {
                    write!(out, " {}@", service.name)?;
                    service.vip.map_or(Ok(()), |vip| write!(out, "{vip}"))?;
                    out.debug_list().entries(service.tasks.values().map(|task| task.address)).finish()
                })
            }
            Self::Report { sequence, reports } => {
                write!(out, "report {sequence}:")?;
                reports.iter().try_for_each(|report| write!(out, " {}", ReportText(report)))
            }
            Self::Applied { revision } => write!(out, "applied {}", revision.0),
            Self::Probe { hosts, .. } => write!(out, "probe {}", Hosts(hosts.keys())),
            Self::Verify { number } => write!(out, "verify {number}"),
            Self::TellVerified(Verification { number, outcome, .. }) => match outcome {
                Ok(differences) => write!(out, "tell verified {number}: {} differences", differences.len()),
                Err(reason) => write!(out, "tell verified {number}: {reason}"),
            },
            Self::TellSilent { hosts } => write!(out, "tell silent {}", Hosts(hosts.iter())),
            Self::Resync => write!(out, "resync"),
            Self::ArmTimer { at } => write!(out, "timer at {} ms", at.0 / 1_000_000),
            _ => self.fmt_task(out),
        }
    }
}

impl Action {
    fn fmt_task(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateEndpoint(plan) => {
                write!(out, "create endpoint of {}:", plan.task)?;
                plan.attachments.iter().try_for_each(|attachment| write!(out, " {}", attachment.address))?;
                if plan.bridge {
                    write!(out, " bridge")?;
                }
                plan.host_ports
                    .iter()
                    .try_for_each(|port| write!(out, " {}->{}", port.published_port, port.target_port))
            }
            Self::CreateContainer { task, image, namespace, files } => {
                write!(out, "create container of {} from {image} in {namespace:?}", task.id)?;
                files.iter().try_for_each(|file| write!(out, " with {}", file.path))
            }
            Self::StartContainer { task, .. } => write!(out, "start {task}"),
            Self::AwaitPorts { task, ports, .. } => write!(out, "await ports of {task}: {ports:?}"),
            Self::StopContainer { task, signal, grace, .. } => {
                write!(out, "stop {task} by {} within {grace:?}", signal.as_deref().unwrap_or("the image's signal"))
            }
            Self::RemoveEndpoint { task } => write!(out, "remove endpoint of {task}"),
            Self::RemoveContainer { task, last, .. } => {
                write!(out, "remove container of {task}{}", if *last { "" } else { ", another follows" })
            }
            _ => Ok(()),
        }
    }
}

/// How many, and the first: there may be a thousand.
struct Hosts<I>(I);

impl<'a, I: Iterator<Item = &'a NodeId> + Clone> fmt::Display for Hosts<I> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} hosts", self.0.clone().count())?;
        self.0.clone().take(3).try_for_each(|host| write!(out, " {host}"))
    }
}

struct ReportText<'a>(&'a TaskReport);

impl fmt::Display for ReportText<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskReport { task, status } = self.0;
        write!(out, "[{task} {:?}", status.state)?;
        if status.draining {
            write!(out, " draining")?;
        }
        if let Some(exit) = status.exit {
            write!(out, " exit {}", exit.code)?;
        }
        if !status.error.is_empty() {
            write!(out, " \"{}\"", status.error)?;
        }
        write!(out, "]")
    }
}
