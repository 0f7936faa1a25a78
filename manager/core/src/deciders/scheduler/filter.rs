//! Where a task may run: filters in swarm mode's order, and what they say when they refuse.

use std::collections::BTreeMap;
use std::fmt;

use shoal_proto::model::{Availability, MountKind, NodeState, Platform, Task};

use super::candidate::Candidate;
use crate::deciders::constraint::first_unmet;

/// A filter, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Filter {
    Ready,
    Resources,
    Plugin,
    Constraint,
    Platform,
    HostPort,
    MaxReplicas,
}

/// Why one node was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    filter: Filter,
    /// What exactly; nodes that say the same are counted together.
    detail: String,
}

/// Answers what is in the way.
type Check = fn(&Task, &Candidate<'_>) -> Option<String>;

/// Why the node can't take the task; `None`: it can.
pub(super) fn refusal(task: &Task, node: &Candidate<'_>) -> Option<Refusal> {
    let checks: [(Filter, Check); 7] = [
        (Filter::Ready, ready),
        (Filter::Resources, resources),
        (Filter::Plugin, plugin),
        (Filter::Constraint, constraint),
        (Filter::Platform, platform),
        (Filter::HostPort, host_port),
        (Filter::MaxReplicas, max_replicas),
    ];
    checks.into_iter().find_map(|(filter, check)| check(task, node).map(|detail| Refusal { filter, detail }))
}

fn ready(_: &Task, node: &Candidate<'_>) -> Option<String> {
    let (state, availability) = (node.node.status.state, node.node.spec.availability);
    match (state, availability) {
        (NodeState::Ready, Availability::Active) => None,
        (NodeState::Ready, Availability::Pause) => Some("paused".to_owned()),
        (NodeState::Ready, Availability::Drain) => Some("drained".to_owned()),
        (NodeState::Down, _) => Some("down".to_owned()),
        (NodeState::Unknown | NodeState::Disconnected, _) => Some("not heard of".to_owned()),
    }
}

fn resources(task: &Task, node: &Candidate<'_>) -> Option<String> {
    let (wanted, all) = (task.spec.resources.reservations, node.node.description.resources);
    let free_cpus = all.nano_cpus - node.load.reserved.nano_cpus;
    let free_memory = all.memory_bytes - node.load.reserved.memory_bytes;
    if wanted.nano_cpus > 0 && wanted.nano_cpus > free_cpus {
        return Some(format!("less than {} CPUs free", Cpus(wanted.nano_cpus)));
    }
    if wanted.memory_bytes > 0 && wanted.memory_bytes > free_memory {
        return Some(format!("less than {} MiB of memory free", wanted.memory_bytes >> 20));
    }
    None
}

fn plugin(task: &Task, node: &Candidate<'_>) -> Option<String> {
    let plugins = &node.node.description.plugins;
    let lacks = |kind: &str, name: &str| !plugins.iter().any(|plugin| plugin.kind == kind && plugin.name == name);
    for mount in &task.spec.container.mounts {
        if let MountKind::Volume { options, .. } = &mount.kind {
            let driver = options.driver.as_str();
            if !driver.is_empty() && driver != "local" && lacks("Volume", driver) {
                return Some(format!("no volume driver {driver}"));
            }
        }
    }
    let log = task.spec.log_driver.as_ref().map_or("", |driver| driver.name.as_str());
    let knows_logs = plugins.iter().any(|plugin| plugin.kind == "Log");
    (knows_logs && !log.is_empty() && log != "none" && lacks("Log", log)).then(|| format!("no log driver {log}"))
}

fn constraint(task: &Task, node: &Candidate<'_>) -> Option<String> {
    first_unmet(&task.spec.placement.constraints, node.node).map(|text| format!("'{text}' is not met"))
}

fn platform(task: &Task, node: &Candidate<'_>) -> Option<String> {
    let wanted = &task.spec.placement.platforms;
    let own = &node.node.description.platform;
    let matches = |wish: &Platform| {
        (wish.os.is_empty() || wish.os.eq_ignore_ascii_case(&own.os))
            && (wish.architecture.is_empty() || go_name(&wish.architecture) == go_name(&own.architecture))
    };
    let refused = !wanted.is_empty() && !wanted.iter().any(matches);
    refused.then(|| format!("it is {}/{}", own.os, own.architecture))
}

/// Go's name of a processor that uname calls otherwise.
fn go_name(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn host_port(task: &Task, node: &Candidate<'_>) -> Option<String> {
    let wanted = task.host_ports.iter().filter(|port| port.published_port != 0);
    let mut taken = wanted.filter(|port| node.load.host_ports.contains_key(&(port.protocol, port.published_port)));
    taken.next().map(|port| format!("port {} is taken", port.published_port))
}

fn max_replicas(task: &Task, node: &Candidate<'_>) -> Option<String> {
    let most = task.spec.placement.max_replicas;
    (most > 0 && node.of_service >= most).then(|| format!("{most} per node"))
}

/// Billionths as CPUs.
struct Cpus(i64);

impl fmt::Display for Cpus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        out.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// How many nodes each filter refused, and why.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: BTreeMap<Filter, BTreeMap<String, usize>>,
}

impl Refusals {
    pub(super) fn add(&mut self, refusal: Refusal) {
        *self.counts.entry(refusal.filter).or_default().entry(refusal.detail).or_default() += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// Details told for one filter; the rest is "...".
const DETAILS_SHOWN: usize = 3;

/// `no suitable node (...)` as swarm mode says it, the most frequent reason first; then the details.
impl fmt::Display for Refusals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("no suitable node");
        }
        let mut reasons: Vec<_> =
            self.counts.iter().map(|(filter, of)| (of.values().sum::<usize>(), *filter)).collect();
        reasons.sort_by_key(|(count, filter)| (std::cmp::Reverse(*count), *filter));
        let texts: Vec<String> = reasons.iter().map(|(count, filter)| filter.text(*count)).collect();
        write!(out, "no suitable node ({})", texts.join("; "))?;
        let details: Vec<String> = reasons.iter().map(|(_, filter)| details(&self.counts[filter])).collect();
        write!(out, ": {}", details.join("; "))
    }
}

fn details(of: &BTreeMap<String, usize>) -> String {
    let mut sorted: Vec<_> = of.iter().collect();
    sorted.sort_by_key(|(text, count)| (std::cmp::Reverse(**count), (*text).clone()));
    let mut shown: Vec<String> =
        sorted.iter().take(DETAILS_SHOWN).map(|(text, count)| format!("{text} on {}", nodes(**count))).collect();
    if sorted.len() > DETAILS_SHOWN {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

impl Filter {
    fn text(self, count: usize) -> String {
        let nodes = nodes(count);
        match self {
            Filter::Ready => format!("{nodes} not available for new tasks"),
            Filter::Resources => format!("insufficient resources on {nodes}"),
            Filter::Plugin => format!("missing plugin on {nodes}"),
            Filter::Constraint => format!("scheduling constraints not satisfied on {nodes}"),
            Filter::Platform => format!("unsupported platform on {nodes}"),
            Filter::HostPort => format!("host-mode port already in use on {nodes}"),
            Filter::MaxReplicas => "max replicas per node limit exceed".to_owned(),
        }
    }
}
