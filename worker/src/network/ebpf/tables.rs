//! What the maps of the programs should hold, in which order they are changed, and how each entry is laid out.
//!
//! The layouts are those of `program/vip.bpf.c`. Invariant: a reader that follows an address to its set and the set to a
//! task finds a whole set at every moment of a plan: tasks are put under a number of their own before the address names
//! it, and taken away after it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use shoal_proto::model::NetworkId;

use crate::network::config::stable_hash;
use crate::network::firewall::ResolverPorts;
use crate::network::limits::ATTACHMENTS_MAX;

/// A network as the programs know it: the same for a network in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::network) struct NetworkNumber(u64);

impl NetworkNumber {
    pub(in crate::network) fn of(network: NetworkId) -> Self {
        Self(stable_hash(network.to_string().as_bytes()))
    }
}

impl fmt::Display for NetworkNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// Virtual address -> its network and who answers for it. None: connections are refused.
pub(in crate::network) type Answerers = BTreeMap<IpAddr, (NetworkNumber, Vec<IpAddr>)>;

/// What a network namespace may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::network) struct Space {
    /// Where its resolver listens.
    pub(in crate::network) resolver: Option<ResolverPorts>,
    /// At most [`ATTACHMENTS_MAX`].
    pub(in crate::network) networks: Vec<NetworkNumber>,
}

/// What the maps hold of virtual addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::network) struct VipTables {
    services: BTreeMap<IpAddr, PlacedSet>,
    /// Slots that no address names: left by a plan that was cut off.
    orphans: Vec<SlotKey>,
    last_set: u32,
}

/// A set of tasks under its number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlacedSet {
    network: NetworkNumber,
    set: u32,
    tasks: Vec<IpAddr>,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::network) struct SlotKey {
    pub(in crate::network) set: u32,
    pub(in crate::network) index: u32,
}

/// Changes in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::network) struct TablePlan {
    pub(in crate::network) changes: Vec<TableChange>,
}

/// One change of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum TableChange {
    Slot { key: SlotKey, task: IpAddr },
    SlotRemoved(SlotKey),
    Service { address: IpAddr, entry: ServiceEntry },
    ServiceRemoved { address: IpAddr },
    Space { cookie: u64, space: Space },
    SpaceRemoved { cookie: u64 },
}

/// What an address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct ServiceEntry {
    pub(in crate::network) network: NetworkNumber,
    pub(in crate::network) set: u32,
    /// Tasks of the set.
    pub(in crate::network) count: u32,
}

impl VipTables {
    /// What was found in the maps.
    pub(in crate::network) fn found(
        services: BTreeMap<IpAddr, ServiceEntry>,
        mut slots: BTreeMap<SlotKey, IpAddr>,
    ) -> Self {
        let mut tables = Self::default();
        for (address, ServiceEntry { network, set, count }) in services {
            let tasks = (0..count).map_while(|index| slots.remove(&SlotKey { set, index })).collect();
            tables.last_set = tables.last_set.max(set);
            tables.services.insert(address, PlacedSet { network, set, tasks });
        }
        tables.last_set = slots.keys().map(|key| key.set).fold(tables.last_set, u32::max);
        tables.orphans = slots.into_keys().collect();
        tables
    }

    /// What leads to `wished`, and what the maps hold then.
    pub(in crate::network) fn difference(&self, wished: &Answerers) -> (TablePlan, Self) {
        let mut newer = Self { services: BTreeMap::new(), orphans: Vec::new(), last_set: self.last_set };
        let living: BTreeSet<u32> = self.services.values().map(|placed| placed.set).collect();
        let (mut put, mut named) = (Vec::new(), Vec::new());
        for (address, (network, tasks)) in wished {
            let known = self.services.get(address);
            if let Some(known) = known.filter(|known| known.network == *network && known.tasks == *tasks) {
                newer.services.insert(*address, known.clone());
                continue;
            }
            let set = free_set(&mut newer.last_set, &living);
            let keys = (0..).map(|index| SlotKey { set, index });
            put.extend(keys.zip(tasks).map(|(key, task)| TableChange::Slot { key, task: *task }));
            let placed = PlacedSet { network: *network, set, tasks: tasks.clone() };
            named.push(TableChange::Service { address: *address, entry: placed.entry() });
            newer.services.insert(*address, placed);
        }
        let gone = self.services.keys().filter(|address| !wished.contains_key(*address));
        named.extend(gone.map(|address| TableChange::ServiceRemoved { address: *address }));
        let replaced = self.services.iter().filter(|(address, placed)| newer.services.get(*address) != Some(*placed));
        let unnamed = replaced.flat_map(|(_, placed)| placed.keys()).chain(self.orphans.iter().copied());
        let taken = unnamed.map(TableChange::SlotRemoved).collect();
        (TablePlan { changes: [put, named, taken].concat() }, newer)
    }

    /// Who answers for virtual addresses.
    pub(in crate::network) fn answerers(&self) -> Answerers {
        let services = self.services.iter();
        services.map(|(address, placed)| (*address, (placed.network, placed.tasks.clone()))).collect()
    }
}

/// A number that no set has: they go round, and come back late.
fn free_set(last: &mut u32, living: &BTreeSet<u32>) -> u32 {
    loop {
        *last = last.checked_add(1).unwrap_or(1);
        if !living.contains(last) {
            return *last;
        }
    }
}

impl PlacedSet {
    fn entry(&self) -> ServiceEntry {
        // A swarm's tasks are far from four thousand million.
        ServiceEntry { network: self.network, set: self.set, count: self.tasks.len() as u32 }
    }

    fn keys(&self) -> impl Iterator<Item = SlotKey> {
        (0..self.tasks.len() as u32).map(|index| SlotKey { set: self.set, index })
    }
}

/// An address as the maps have it: sixteen bytes in network order, IPv4 mapped.
pub(super) fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The address of these bytes.
pub(super) fn address_of(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

impl SlotKey {
    pub(super) fn bytes(self) -> [u8; 8] {
        joined(&[&self.set.to_ne_bytes(), &self.index.to_ne_bytes()])
    }

    pub(super) fn of(bytes: [u8; 8]) -> Self {
        Self { set: u32::from_ne_bytes(part(&bytes, 0)), index: u32::from_ne_bytes(part(&bytes, 4)) }
    }

    /// With its key before it, by which a reader knows that it is still what it looked for.
    pub(super) fn value(self, task: IpAddr) -> [u8; 24] {
        joined(&[&self.bytes(), &address_bytes(task)])
    }
}

/// The task of a slot's value.
pub(super) fn slot_task(value: [u8; 24]) -> IpAddr {
    address_of(part(&value, 8))
}

/// The task that a flow of datagrams goes to.
pub(super) fn chosen_task(choice: [u8; 32]) -> IpAddr {
    address_of(part(&choice, 0))
}

impl ServiceEntry {
    pub(super) fn value(self, address: IpAddr) -> [u8; 32] {
        let set = u64::from(self.set) << 32 | u64::from(self.count);
        joined(&[&set.to_ne_bytes(), &self.network.0.to_ne_bytes(), &address_bytes(address)])
    }

    pub(super) fn of(value: [u8; 32]) -> Self {
        let set = u64::from_ne_bytes(part(&value, 0));
        let network = NetworkNumber(u64::from_ne_bytes(part(&value, 8)));
        Self { network, set: (set >> 32) as u32, count: set as u32 }
    }
}

/// Bytes of a space's value.
pub(super) const SPACE_BYTES: usize = 8 + 8 * ATTACHMENTS_MAX;

impl Space {
    pub(super) fn value(&self) -> [u8; SPACE_BYTES] {
        let (udp, tcp) = self.resolver.map_or((0, 0), |ports| (ports.udp, ports.tcp));
        let networks = &self.networks[..self.networks.len().min(ATTACHMENTS_MAX)];
        let count = (networks.len() as u32).to_ne_bytes();
        let networks: Vec<u8> = networks.iter().flat_map(|network| network.0.to_ne_bytes()).collect();
        joined(&[&udp.to_be_bytes(), &tcp.to_be_bytes(), &count, &networks])
    }

    pub(super) fn of(value: [u8; SPACE_BYTES]) -> Self {
        let [udp, tcp] = [0, 2].map(|at| u16::from_be_bytes(part(&value, at)));
        let count = (u32::from_ne_bytes(part(&value, 4)) as usize).min(ATTACHMENTS_MAX);
        let network = |index: usize| NetworkNumber(u64::from_ne_bytes(part(&value, 8 + 8 * index)));
        let resolver = (udp != 0 || tcp != 0).then_some(ResolverPorts { udp, tcp });
        Self { resolver, networks: (0..count).map(network).collect() }
    }
}

/// The value of a bridge that answers for a network's addresses.
pub(super) fn bridge_value(mac: [u8; 6], network: NetworkNumber) -> [u8; 16] {
    joined(&[&mac, &[0; 2], &network.0.to_ne_bytes()])
}

/// Parts one after the other, zeros after them.
fn joined<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut whole = [0; N];
    for (place, byte) in whole.iter_mut().zip(parts.iter().copied().flatten()) {
        *place = *byte;
    }
    whole
}

/// The bytes from `at` on; zeros where there are none.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    joined(&[bytes.get(at..).unwrap_or_default()])
}

impl fmt::Display for TablePlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes.iter().try_for_each(|change| writeln!(out, "{change}"))
    }
}

impl fmt::Display for TableChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot { key, task } => write!(out, "put {key} = {task}"),
            Self::SlotRemoved(key) => write!(out, "take {key}"),
            Self::Service { address, entry: ServiceEntry { network, set, count } } => {
                write!(out, "lead {address} on {network} to set {set} of {count}")
            }
            Self::ServiceRemoved { address } => write!(out, "forget {address}"),
            Self::Space { cookie, space } => {
                let networks: Vec<String> = space.networks.iter().map(NetworkNumber::to_string).collect();
                write!(out, "admit namespace {cookie} to {}", networks.join(" "))?;
                let resolver = space.resolver;
                resolver.map_or(Ok(()), |ports| write!(out, " resolver udp {} tcp {}", ports.udp, ports.tcp))
            }
            Self::SpaceRemoved { cookie } => write!(out, "forget namespace {cookie}"),
        }
    }
}

impl fmt::Display for SlotKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "slot {}/{}", self.set, self.index)
    }
}
