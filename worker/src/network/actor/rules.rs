//! The host's table: kept as wished, checked, repaired.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use shoal_proto::model::Cidr;

use super::start::kernel;
use super::verify::compare;
use super::{Actor, ipv4};
use crate::network::config::stable_hash;
use crate::network::error::protocol_name;
use crate::network::firewall::{HostRules, PortKey, REFUSED_PORTS, SERVICES, SourceRange, Target};
use crate::network::netlink::{FoundChain, chains, generation, published};
use crate::network::plan::{NetworkPlan, Step};
use crate::network::{NetworkError, NetworkKind, PublishedService};

/// What the kernel's table holds, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct KnownRules {
    rules: HostRules,
    /// As wished, whether or not a network leads there.
    services: BTreeMap<PortKey, Vec<Target>>,
    /// False after a restart: the table serves what a former run told it, until it is told anew.
    services_known: bool,
    /// False once the table and `rules` may differ.
    trusted: bool,
    /// Of all tables, when this one was last found well.
    generation: Option<u32>,
}

impl Actor {
    /// Takes over the table of a former run as it is, or makes it.
    pub(super) fn start_rules(&mut self) -> Result<(), NetworkError> {
        let found = chains(self.executor.firewall()).map_err(kernel("list nftables chains"))?;
        warn_of_drops(&found);
        let table = self.tag.table();
        self.rules.trusted = found.iter().any(|chain| chain.table == table);
        if self.rules.trusted {
            self.rules.rules = self.wished_rules();
            return Ok(());
        }
        self.rules.services_known = true;
        self.update_rules()
    }

    /// Brings the table up to date with networks and endpoints.
    pub(super) fn update_rules(&mut self) -> Result<(), NetworkError> {
        self.commit_rules(self.wished_rules())
    }

    pub(super) fn set_services(&mut self, services: &[PublishedService]) -> Result<(), NetworkError> {
        let wished = self.wished_services(services)?;
        let former = std::mem::replace(&mut self.rules.services, wished);
        // What a former run told the table can't be asked, so it is built anew.
        self.rules.trusted &= self.rules.services_known;
        if let Err(error) = self.commit_rules(self.wished_rules()) {
            self.rules.services = former;
            return Err(error);
        }
        self.rules.services_known = true;
        self.forget_connections(former.into_values().flatten().map(|(address, _)| IpAddr::V4(address)));
        Ok(())
    }

    /// Has connections to those of these addresses forgotten that no service, container or peer has any more.
    pub(super) fn forget_connections(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        let mut gone: BTreeSet<IpAddr> = addresses.into_iter().collect();
        if !self.rules.services_known || self.networks.keys().any(|id| !self.peers.contains_key(id)) {
            // Not all of them are known yet; what is wrong then is found when they are told.
            return;
        }
        for (address, _) in self.rules.services.values().flatten() {
            gone.remove(&IpAddr::V4(*address));
        }
        for interface in self.endpoints.values().flat_map(|placed| &placed.place.interfaces) {
            gone.remove(&interface.address.address);
        }
        gone.retain(|address| !self.peers.values().any(|peers| peers.contains_key(address)));
        gone.retain(|address| !self.beside.values().any(|others| others.contains(address)));
        for address in self.addresses_named() {
            gone.remove(&address);
        }
        if !gone.is_empty() {
            let namespaces = self.endpoints.values().map(|placed| placed.place.namespace.clone()).collect();
            self.executor.forget_connections(gone, namespaces);
        }
    }

    /// Reads the table back, and makes it anew when it is not what it was told to be. Says what differed.
    pub(super) fn verify_rules(&mut self) -> Result<Vec<String>, NetworkError> {
        let now = generation(self.executor.firewall()).map_err(kernel("read the nftables generation"))?;
        if now == self.rules.generation || !self.rules.services_known {
            return Ok(Vec::new());
        }
        let found = self.differences_of_rules()?;
        if !found.is_empty() {
            self.rules.trusted = false;
            self.commit_rules(self.rules.rules.clone())?;
        }
        self.rules.generation = generation(self.executor.firewall()).map_err(kernel("read the nftables generation"))?;
        Ok(found)
    }

    pub(super) fn remove_table(&mut self) -> Result<(), NetworkError> {
        let mut transaction = HostRules::default().whole(&self.tag.table());
        // The first two changes remove the table whether it is there or not.
        transaction.changes.truncate(2);
        self.executor.perform(&NetworkPlan::on_host([Step::Firewall(transaction)]))?;
        // Nothing is wished any more, so nothing is verified.
        self.rules = KnownRules::default();
        Ok(())
    }

    fn differences_of_rules(&mut self) -> Result<Vec<String>, NetworkError> {
        let table = self.tag.table();
        let found = chains(self.executor.firewall()).map_err(kernel("list nftables chains"))?;
        let found: BTreeMap<String, u32> =
            found.into_iter().filter(|chain| chain.table == table).map(|chain| (chain.name, chain.uses)).collect();
        let mut differences = Vec::new();
        if found != self.rules.rules.chains() {
            differences.push(format!("nftables table {table} was changed by someone else"));
        }
        if !found.is_empty() {
            let shown = published(self.executor.firewall(), &table, (SERVICES, REFUSED_PORTS));
            let shown = shown.map_err(kernel("read the published ports"))?;
            let mut wished = self.rules.rules.services.clone();
            wished.values_mut().for_each(|targets| targets.sort_unstable());
            let name = |(protocol, port): &PortKey| format!("published port {port}/{}", protocol_name(*protocol));
            let target = |(address, port): &Target| format!("{address}:{port}");
            differences.extend(compare(&wished, &shown, name, target));
        }
        Ok(differences)
    }

    fn commit_rules(&mut self, wished: HostRules) -> Result<(), NetworkError> {
        let table = self.tag.table();
        if self.rules.trusted {
            let steps = self.rules.rules.difference(&wished, &table);
            let mut steps = steps.iter().filter(|step| !step.changes.is_empty());
            match steps.try_for_each(|step| self.executor.commit(step)) {
                Ok(()) => {
                    self.rules.rules = wished;
                    return Ok(());
                }
                Err(refusal) => {
                    tracing::warn!(table, error = %refusal.error, "the nftables table is not as it was told; making it anew");
                }
            }
        }
        self.rules.trusted = false;
        let transaction = wished.whole(&table);
        self.executor.commit(&transaction).map_err(|refusal| NetworkError::Kernel {
            step: match refusal.position.and_then(|position| transaction.changes.get(position)) {
                Some(change) => format!("change nftables table {table}: {change:?}"),
                None => format!("change nftables table {table}"),
            },
            source: refusal.error,
        })?;
        self.rules.rules = wished;
        self.rules.trusted = true;
        Ok(())
    }

    fn wished_rules(&self) -> HostRules {
        let mut ranges =
            vec![SourceRange { link: self.bridge.name.clone(), subnet: self.bridge.subnet, hides_clients: false }];
        let ingress = self.networks.values().filter(|network| network.wish.kind == NetworkKind::Ingress);
        ranges.extend(ingress.map(|network| SourceRange {
            link: network.bridge.clone(),
            subnet: network.wish.subnet.network(),
            hides_clients: !self.keeps_clients,
        }));
        let mut host_ports = BTreeMap::new();
        for endpoint in self.endpoints.values() {
            let Some(IpAddr::V4(address)) = endpoint.place.primary().map(|one| one.address.address) else {
                continue;
            };
            for port in &endpoint.endpoint.host_ports {
                let host = match port.host_ip {
                    Some(IpAddr::V4(host)) if !host.is_unspecified() => Some(host),
                    _ => None,
                };
                host_ports.insert((host, (port.protocol, port.published)), (address, port.target));
            }
        }
        // A target that no network leads to would leave by the default route.
        let subnets: Vec<Cidr> = self.networks.values().map(|network| network.wish.subnet).collect();
        let mut services = self.rules.services.clone();
        for targets in services.values_mut() {
            targets.retain(|(address, _)| subnets.iter().any(|subnet| subnet.contains(IpAddr::V4(*address))));
        }
        let overlay_port = self.networks.values().map(|network| network.wish.data_path_port).next();
        HostRules { ranges, host_ports, services, tunnel: self.tunnel_guard(), overlay_port }
    }

    fn wished_services(&self, services: &[PublishedService]) -> Result<BTreeMap<PortKey, Vec<Target>>, NetworkError> {
        let mut wished = BTreeMap::new();
        for service in services {
            let mut addresses = Vec::new();
            for backend in &service.backends {
                addresses.push((backend.task_id, ipv4("backend address", backend.address)?));
            }
            addresses.sort_unstable();
            for port in &service.ports {
                let mut targets: Vec<Target> = addresses.iter().map(|(_, address)| (*address, port.target)).collect();
                if !targets.is_empty() {
                    // Hosts begin at different backends, or the first would get every host's first connection.
                    let start = stable_hash(format!("{} {}", self.config.node_id, port.published).as_bytes());
                    let count = targets.len() as u64;
                    targets.rotate_left((start % count) as usize);
                }
                if port.published == 0 || wished.insert((port.protocol, port.published), targets).is_some() {
                    return Err(NetworkError::Invalid {
                        field: "published port",
                        value: port.published.to_string(),
                        remedy: "give each service a port of its own, 1 to 65535",
                    });
                }
            }
        }
        Ok(wished)
    }
}

/// Another table's filter drops what ours lets pass: nothing of ours can change that.
fn warn_of_drops(found: &[FoundChain]) {
    for chain in found.iter().filter(|chain| chain.drops_forwarded) {
        tracing::warn!(
            table = chain.table,
            chain = chain.name,
            "a filter of this host drops forwarded packets by default: published ports and egress need rules there that accept them"
        );
    }
}
