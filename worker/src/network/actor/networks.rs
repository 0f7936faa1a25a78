//! Overlay networks of this host, and what other hosts have on them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use shoal_proto::model::NetworkId;

use super::start::{kernel, link_names, underlay_link};
use super::tunnel::tunnel_overhead;
use super::verify::compare_each;
use super::{Actor, ipv4};
use crate::network::limits::{PROBE_ETHERTYPE, VXLAN_OVERHEAD_V4, VXLAN_OVERHEAD_V6};
use crate::network::plan::{PeerTable, PlacedNetwork, Underlay, network_plan, network_removal, peer_plan};
use crate::network::{AttachmentNetwork, FrameSocket, NetworkError, NetworkKind, NetworkPlanInput, Peer};

impl Actor {
    pub(super) fn ensure_network(&mut self, wish: NetworkPlanInput) -> Result<(), NetworkError> {
        check(&wish)?;
        let placed = self.place_network(wish)?;
        let present = link_names(&mut self.executor)?;
        let carried = !placed.wish.encrypted || placed.tunnel.is_none() || self.tunnel.is_up();
        let stands = carried
            && present.contains(&placed.bridge)
            && placed.tunnel.as_ref().is_none_or(|tunnel| present.contains(tunnel));
        if let Some(known) = self.networks.get(&placed.wish.id).cloned() {
            if known == placed && stands {
                return Ok(());
            }
            if known != placed {
                self.replace_network(&known)?;
            }
        }
        let id = placed.wish.id;
        self.networks.insert(id, placed.clone());
        self.files.save(&self.state())?;
        let made = self.underlay_of(&placed).and_then(|underlay| {
            let present = link_names(&mut self.executor)?;
            self.executor.perform(&network_plan(&placed, &underlay, &present))?;
            self.update_rules()
        });
        if let Err(error) = made {
            self.forget_network(&placed)?;
            self.release_tunnel()?;
            return Err(error);
        }
        self.serve_bridges();
        self.recall_peers(&placed)
    }

    /// What carries a network; for an encrypted one, the tunnel is brought up, and its guard before any packet may come.
    fn underlay_of(&mut self, placed: &PlacedNetwork) -> Result<Underlay, NetworkError> {
        let port = placed.wish.data_path_port;
        if placed.wish.encrypted && placed.tunnel.is_some() {
            self.ensure_tunnel(port)?;
            self.update_rules()?;
            return Ok(self.tunnel_underlay(port));
        }
        let address = self.config.data_path_addr;
        let local = underlay_link(&mut self.executor, address)?.map(|_| address);
        Ok(Underlay { local, port, device: None })
    }

    pub(super) fn remove_network(&mut self, id: NetworkId) -> Result<(), NetworkError> {
        let Some(known) = self.networks.get(&id).cloned() else { return Ok(()) };
        self.refuse_while_attached(id)?;
        self.forget_network(&known)?;
        self.release_tunnel()?;
        self.update_rules()
    }

    /// A socket for probes on the bridge of a network.
    pub(super) fn open_probe(&mut self, id: NetworkId) -> Result<FrameSocket, NetworkError> {
        let network = self.networks.get(&id).ok_or(NetworkError::UnknownNetwork(id))?;
        let link = self.executor.routes.find_link(&network.bridge).map_err(kernel("find the bridge"))?;
        let link = link.ok_or(NetworkError::UnknownNetwork(id))?;
        FrameSocket::open(link.index, PROBE_ETHERTYPE).map_err(kernel("open a packet socket"))
    }

    pub(super) fn set_peers(&mut self, id: NetworkId, peers: &[Peer]) -> Result<(), NetworkError> {
        let network = self.networks.get(&id).cloned().ok_or(NetworkError::UnknownNetwork(id))?;
        let old = match self.peers.get(&id) {
            Some(known) => known.clone(),
            None => self.peers_in_kernel(&network)?,
        };
        let local: Vec<IpAddr> = self.local_addresses(id).chain(network.wish.node_address).collect();
        let mut new = PeerTable::new();
        let mut beside = BTreeSet::new();
        for peer in peers {
            for address in &peer.addresses {
                ipv4("peer address", *address)?;
                if peer.host == self.config.data_path_addr {
                    beside.insert(*address);
                    continue;
                }
                let host = match (network.wish.encrypted, &peer.tunnel) {
                    (false, _) => peer.host,
                    (true, Some(end)) => IpAddr::V6(end.address),
                    // Its packets may not go in the clear, and its keys are not known yet.
                    (true, None) => continue,
                };
                // An address that has just become a task's here is no longer that peer's.
                if !local.contains(address) {
                    new.insert(*address, host);
                }
            }
        }
        if network.wish.encrypted {
            self.set_tunnel_ends(id, network.wish.data_path_port, peers);
        }
        // Unknown until it is done: a plan cut off leaves some of each.
        self.peers.remove(&id);
        self.executor.perform(&peer_plan(&network, &old, &new))?;
        self.peers.insert(id, new);
        let was_beside = self.beside.insert(id, beside).unwrap_or_default();
        self.forget_connections(old.into_keys().chain(was_beside));
        Ok(())
    }

    fn place_network(&mut self, wish: NetworkPlanInput) -> Result<PlacedNetwork, NetworkError> {
        let underlay = self.config.data_path_addr;
        let overhead = match (wish.encrypted, underlay.is_ipv4()) {
            (true, _) => VXLAN_OVERHEAD_V6 + tunnel_overhead(underlay),
            (false, true) => VXLAN_OVERHEAD_V4,
            (false, false) => VXLAN_OVERHEAD_V6,
        };
        let mtu = match wish.mtu {
            Some(mtu) => mtu,
            None => self.underlay_mtu()?.saturating_sub(overhead),
        };
        let own = self.tag.vxlan(wish.vni);
        let suffix = format!("-{:x}", wish.vni);
        let links = link_names(&mut self.executor)?;
        let holder = links.iter().find(|name| name.starts_with("sx") && name.ends_with(&suffix) && **name != own);
        if let Some(holder) = holder {
            let (vni, network) = (wish.vni, wish.id);
            tracing::warn!(%network, vni, %holder, "another daemon in this namespace carries this network; tasks here are reached from its host only");
        }
        Ok(PlacedNetwork {
            bridge: self.tag.overlay_bridge(wish.vni),
            tunnel: holder.is_none().then_some(own),
            mtu,
            metric: self.tag.route_metric(),
            wish,
        })
    }

    fn replace_network(&mut self, known: &PlacedNetwork) -> Result<(), NetworkError> {
        self.refuse_while_attached(known.wish.id)?;
        self.forget_network(known)
    }

    fn forget_network(&mut self, known: &PlacedNetwork) -> Result<(), NetworkError> {
        self.executor.perform(&network_removal(known))?;
        self.networks.remove(&known.wish.id);
        self.peers.remove(&known.wish.id);
        self.beside.remove(&known.wish.id);
        self.serve_bridges();
        self.forget_tunnel_ends(known.wish.id);
        self.files.save(&self.state())
    }

    fn refuse_while_attached(&self, id: NetworkId) -> Result<(), NetworkError> {
        let user = self
            .endpoints
            .values()
            .find(|endpoint| endpoint.place.interfaces.iter().any(|one| one.network == AttachmentNetwork::Overlay(id)));
        match user {
            None => Ok(()),
            Some(user) => Err(NetworkError::Attached { network: id, container: user.request.container_id.clone() }),
        }
    }

    /// Addresses that containers of this host have on a network.
    fn local_addresses(&self, id: NetworkId) -> impl Iterator<Item = IpAddr> {
        self.endpoints
            .values()
            .flat_map(|endpoint| &endpoint.place.interfaces)
            .filter(move |one| one.network == AttachmentNetwork::Overlay(id))
            .map(|one| one.address.address)
    }

    /// Learns what a former run told the kernel of a network's peers, where that is not known.
    pub(super) fn recall_peers(&mut self, network: &PlacedNetwork) -> Result<(), NetworkError> {
        if !self.peers.contains_key(&network.wish.id) {
            let found = self.peers_in_kernel(network)?;
            self.peers.insert(network.wish.id, found);
        }
        Ok(())
    }

    /// Reads back who is where on all networks, and tells anew what differs. Says what differed.
    pub(super) fn verify_peers(&mut self) -> Result<Vec<String>, NetworkError> {
        let mut differences = Vec::new();
        for network in self.networks.values().cloned().collect::<Vec<_>>() {
            let Some(wished) = self.peers.get(&network.wish.id).cloned() else { continue };
            let shown = self.peers_in_kernel(&network)?;
            if network.tunnel.is_none() || shown == wished {
                continue;
            }
            differences.extend(compare_each(&wished, &shown, |address| format!("host of {address}")));
            self.executor.perform(&peer_plan(&network, &shown, &wished))?;
        }
        Ok(differences)
    }

    /// What the kernel has: a MAC tells the address.
    fn peers_in_kernel(&mut self, network: &PlacedNetwork) -> Result<PeerTable, NetworkError> {
        let Some(tunnel) = &network.tunnel else { return Ok(PeerTable::new()) };
        let found = self.executor.routes.tunnels(tunnel).map_err(kernel("list tunnel entries"))?;
        Ok(found.into_iter().map(|one| (one.mac.address(), one.host)).collect())
    }
}

fn check(wish: &NetworkPlanInput) -> Result<(), NetworkError> {
    let invalid = |field, value: String, remedy| Err(NetworkError::Invalid { field, value, remedy });
    if !(1..=0xff_ffff).contains(&wish.vni) {
        return invalid("vni", wish.vni.to_string(), "give 1 to 16777215");
    }
    ipv4("network subnet", wish.subnet.address)?;
    match wish.node_address {
        Some(address) if !wish.subnet.contains(address) => {
            return invalid("node address", address.to_string(), "give an address of the network's subnet");
        }
        None if wish.kind == NetworkKind::Ingress => {
            return invalid("node address", "none".to_owned(), "give this host an address on the ingress network");
        }
        _ => {}
    }
    match wish.mtu {
        Some(mtu) if !(576..=65_485).contains(&mtu) => invalid("mtu", mtu.to_string(), "give 576 to 65485"),
        _ => Ok(()),
    }
}
