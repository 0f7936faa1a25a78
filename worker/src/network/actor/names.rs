//! Names inside of containers' namespaces: virtual addresses, and the way to the resolver.
//!
//! Keeps what is wished; leads it to the kernel by one of two ways, chosen at the start: `programs` (eBPF, where a socket
//! is connected) or `rules` (nftables, a table in every namespace). Invariant: until the virtual addresses were told
//! for the first time, what a former run told the kernel of them goes on serving.

mod programs;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use shoal_proto::model::NetworkId;

use super::{Actor, ipv4};
use crate::network::config::VipTranslation;
use crate::network::executor::Executor;
use crate::network::firewall::ResolverPorts;
use crate::network::netlink::namespace_cookie;
use crate::network::plan::PlacedNetwork;
use crate::network::{AttachmentNetwork, NetworkConfig, NetworkError, NetworkKind, ResolverSockets, VirtualService};

/// Virtual address -> who answers for it, sorted. None: connections are refused.
pub(super) type Vips = BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>;

/// What is wished of names, and the way to the kernel.
#[derive(Debug)]
pub(super) struct Names {
    wished: WishedNames,
    way: Box<dyn Translation>,
}

/// What is wished of names.
#[derive(Debug, Default)]
pub(super) struct WishedNames {
    vips: BTreeMap<NetworkId, Vips>,
    /// They were told since the start.
    vips_known: bool,
    spaces: BTreeMap<String, NamedSpace>,
    /// Containers of a former run that were not seen to since.
    inherited: BTreeSet<String>,
}

/// A container's namespace.
#[derive(Debug, Clone)]
pub(super) struct NamedSpace {
    namespace: PathBuf,
    /// What the kernel calls it; none before Linux 5.14.
    cookie: Option<u64>,
    networks: Vec<NetworkId>,
    resolver: ResolverPorts,
    /// A former run made it.
    inherited: bool,
}

/// A way to translate virtual addresses.
pub(super) trait Translation: fmt::Debug + Send {
    /// Leads virtual addresses to tasks in all namespaces. All are tried, whatever comes of one.
    fn set_vips(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<(), NetworkError>;
    /// Makes one namespace as wished: its resolver, its virtual addresses.
    fn open_space(&mut self, container: &str, names: &WishedNames, executor: &mut Executor)
    -> Result<(), NetworkError>;
    /// Forgets a namespace that goes.
    fn close_space(&mut self, container: &str, space: Option<&NamedSpace>, executor: &mut Executor);
    /// Forgets all namespaces but these: none other of this daemon stands.
    fn keep_spaces(&mut self, cookies: &BTreeSet<u64>);
    /// Answers ping where no rule or program in the namespace does, on the bridges of all networks there are.
    fn serve_bridges(&mut self, networks: &[&PlacedNetwork], executor: &mut Executor);
    /// Reads all of it back, and tells anew what differs. Says what differed.
    fn verify(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<Vec<String>, NetworkError>;
    /// What the kernel shows, for each container.
    fn shown(&mut self, names: &WishedNames, executor: &mut Executor) -> Result<BTreeMap<String, Vips>, NetworkError>;
    /// Leaves nothing in the kernel but what goes with namespaces and bridges.
    fn remove(&mut self) -> Result<(), NetworkError>;
}

impl Names {
    /// Chooses the way. `inherited` are the containers of a former run.
    pub(super) fn start(
        config: &NetworkConfig,
        inherited: BTreeSet<String>,
        executor: &mut Executor,
    ) -> Result<Self, NetworkError> {
        let rules = || Box::new(rules::RulesWay::new(config.exec_root.clone()));
        let way: Box<dyn Translation> = match config.vip_translation {
            VipTranslation::Nftables => rules(),
            VipTranslation::Ebpf => Box::new(programs::ProgramsWay::open(&config.exec_root, executor)?),
            VipTranslation::Auto => match programs::ProgramsWay::open(&config.exec_root, executor) {
                Ok(way) => Box::new(way),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::info!(error, "virtual addresses are translated by nftables: eBPF can't do it here");
                    rules()
                }
            },
        };
        Ok(Self { wished: WishedNames { inherited, ..WishedNames::default() }, way })
    }
}

impl Actor {
    /// Sets who answers for virtual addresses, in every namespace.
    pub(super) fn set_names(&mut self, services: &[VirtualService]) -> Result<(), NetworkError> {
        let mut vips: BTreeMap<NetworkId, Vips> = BTreeMap::new();
        for service in services {
            let mut tasks = Vec::new();
            for task in &service.tasks {
                tasks.push(ipv4("task address", *task)?);
            }
            tasks.sort_unstable();
            tasks.dedup();
            let address = ipv4("virtual address", service.address)?;
            vips.entry(service.network).or_default().insert(address, tasks);
        }
        self.names.wished.vips = vips;
        self.names.wished.vips_known = true;
        self.names.way.set_vips(&self.names.wished, &mut self.executor)
    }

    /// Opens the sockets of a container's resolver and leads port 53 there. Called again, it opens others.
    pub(super) fn open_resolver(&mut self, container: &str) -> Result<ResolverSockets, NetworkError> {
        let unknown = || NetworkError::UnknownEndpoint(container.to_owned());
        let place = &self.endpoints.get(container).ok_or_else(unknown)?.place;
        let failed = |source| NetworkError::Kernel { step: format!("open the resolver of {container}"), source };
        let sockets = ResolverSockets::open(&place.namespace).map_err(failed)?;
        let networks = place.interfaces.iter().filter_map(|interface| match interface.network {
            AttachmentNetwork::Overlay(network) => Some(network),
            AttachmentNetwork::Bridge => None,
        });
        let space = NamedSpace {
            namespace: place.namespace.clone(),
            cookie: sockets.cookie,
            networks: networks.collect(),
            resolver: sockets.ports,
            inherited: self.names.wished.inherited.remove(container),
        };
        self.names.wished.spaces.insert(container.to_owned(), space);
        self.names.way.open_space(container, &self.names.wished, &mut self.executor)?;
        Ok(sockets)
    }

    /// Forgets a container whose namespace goes.
    pub(super) fn forget_names(&mut self, container: &str) {
        self.names.wished.inherited.remove(container);
        let space = self.names.wished.spaces.remove(container);
        self.names.way.close_space(container, space.as_ref(), &mut self.executor);
    }

    /// After a restart: forgets all namespaces that are no standing endpoint's.
    pub(super) fn sweep_names(&mut self) {
        let namespaces = self.endpoints.values().map(|placed| &placed.place.namespace);
        let cookies: Result<BTreeSet<u64>, _> = namespaces.map(|namespace| namespace_cookie(namespace)).collect();
        match cookies {
            Ok(cookies) => self.names.way.keep_spaces(&cookies),
            Err(error) => tracing::debug!(%error, "namespaces that are gone stay among those with names"),
        }
    }

    /// Has ping answered on the bridges of the networks that there are now.
    pub(super) fn serve_bridges(&mut self) {
        let overlays: Vec<&PlacedNetwork> =
            self.networks.values().filter(|network| network.wish.kind == NetworkKind::Overlay).collect();
        self.names.way.serve_bridges(&overlays, &mut self.executor);
    }

    /// What the kernel shows of virtual addresses, for each container with a resolver.
    pub(super) fn shown_vips(&mut self) -> Result<BTreeMap<String, Vips>, NetworkError> {
        self.names.way.shown(&self.names.wished, &mut self.executor)
    }

    /// Reads back where virtual addresses lead, and tells anew what differs. Says what differed.
    pub(super) fn verify_names(&mut self) -> Result<Vec<String>, NetworkError> {
        if !self.names.wished.vips_known {
            return Ok(Vec::new());
        }
        self.names.way.verify(&self.names.wished, &mut self.executor)
    }

    /// Removes the way to translate, when nothing of this daemon is to stay.
    pub(super) fn remove_names(&mut self) -> Result<(), NetworkError> {
        self.names.way.remove()
    }

    /// The addresses that virtual ones lead to.
    pub(super) fn addresses_named(&self) -> impl Iterator<Item = IpAddr> {
        self.names.wished.vips.values().flat_map(BTreeMap::values).flatten().copied().map(IpAddr::V4)
    }
}

impl WishedNames {
    /// The virtual addresses that a namespace should reach.
    fn vips_of(&self, space: &NamedSpace) -> Vips {
        let networks = space.networks.iter().filter_map(|network| self.vips.get(network));
        networks.flatten().map(|(vip, tasks)| (*vip, tasks.clone())).collect()
    }
}
