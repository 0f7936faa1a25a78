//! Names inside of containers' namespaces: virtual addresses, and the way to the resolver.
//!
//! Each namespace's table is told differences; one that refuses a difference, or that is not known, is built anew.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::NetworkId;

use super::{Actor, ipv4};
use crate::network::firewall::{NameRules, ResolverPorts, Transaction};
use crate::network::state::PlacedEndpoint;
use crate::network::{AttachmentNetwork, NetworkError, ResolverSockets, VirtualService};

/// Virtual address -> who answers for it.
type Vips = BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>;

/// What namespaces were told, and what they should be.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    vips: BTreeMap<NetworkId, Vips>,
    /// Where each container's resolver listens.
    resolvers: HashMap<String, ResolverPorts>,
    /// What the kernel was told; of a container without entry it is unknown.
    told: HashMap<String, NameRules>,
}

impl Actor {
    /// Sets who answers for virtual addresses, in every namespace. All are tried, whatever comes of one.
    pub(super) fn set_names(&mut self, services: &[VirtualService]) -> Result<(), NetworkError> {
        let mut vips: BTreeMap<NetworkId, Vips> = BTreeMap::new();
        for service in services {
            let mut tasks = Vec::new();
            for task in &service.tasks {
                tasks.push(ipv4("task address", *task)?);
            }
            let address = ipv4("virtual address", service.address)?;
            vips.entry(service.network).or_default().insert(address, tasks);
        }
        self.names.vips = vips;
        let containers: Vec<String> = self.names.resolvers.keys().cloned().collect();
        containers.iter().map(|container| self.update_names(container)).fold(Ok(()), Result::and)
    }

    /// Opens the sockets of a container's resolver and leads port 53 there. Called again, it opens others.
    pub(super) fn open_resolver(&mut self, container: &str) -> Result<ResolverSockets, NetworkError> {
        let unknown = || NetworkError::UnknownEndpoint(container.to_owned());
        let namespace = self.endpoints.get(container).ok_or_else(unknown)?.place.namespace.clone();
        let sockets = ResolverSockets::open(&namespace)
            .map_err(|source| NetworkError::Kernel { step: format!("open the resolver of {container}"), source })?;
        self.names.resolvers.insert(container.to_owned(), sockets.ports);
        self.update_names(container)?;
        Ok(sockets)
    }

    /// Forgets a container whose namespace goes.
    pub(super) fn forget_names(&mut self, container: &str) {
        self.names.resolvers.remove(container);
        self.names.told.remove(container);
        self.executor.close_inside(container);
    }

    fn update_names(&mut self, container: &str) -> Result<(), NetworkError> {
        let Some(placed) = self.endpoints.get(container) else { return Ok(()) };
        let namespace = placed.place.namespace.clone();
        let wished = self.wished_names(container, placed);
        if let Some(told) = self.names.told.remove(container) {
            if told == wished || self.executor.commit_inside(container, &namespace, &told.difference(&wished)).is_ok() {
                self.names.told.insert(container.to_owned(), wished);
                return Ok(());
            }
            tracing::warn!(container, "the table of names is not as it was told; making it anew");
        }
        let whole: Transaction = wished.whole();
        self.executor.commit_inside(container, &namespace, &whole).map_err(|refusal| NetworkError::Kernel {
            step: format!("make the table of names of {container}"),
            source: refusal.error,
        })?;
        self.names.told.insert(container.to_owned(), wished);
        Ok(())
    }

    fn wished_names(&self, container: &str, placed: &PlacedEndpoint) -> NameRules {
        let mut vips = Vips::new();
        for interface in &placed.place.interfaces {
            let AttachmentNetwork::Overlay(network) = interface.network else { continue };
            vips.extend(self.names.vips.get(&network).into_iter().flatten().map(|(vip, tasks)| (*vip, tasks.clone())));
        }
        NameRules { resolver: self.names.resolvers.get(container).copied(), vips }
    }

    /// The addresses that virtual ones lead to.
    pub(super) fn addresses_named(&self) -> impl Iterator<Item = IpAddr> {
        self.names.vips.values().flat_map(BTreeMap::values).flatten().copied().map(IpAddr::V4)
    }
}
