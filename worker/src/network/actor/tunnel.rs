//! The tunnel that encrypted networks go through: there while this host carries such a network; and this node's keys.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shoal_proto::model::NetworkId;

use super::Actor;
use super::start::{kernel, underlay_link, underlay_mtu};
use crate::network::firewall::TunnelGuard;
use crate::network::limits::{TUNNEL_OVERHEAD_V4, TUNNEL_OVERHEAD_V6};
use crate::network::plan::{TunnelPlace, Underlay, tunnel_plan, tunnel_removal};
use crate::network::tunnel::{KeyStep, Keyring, Tunnel, TunnelConfig, TunnelPeer};
use crate::network::tunnel_keys::KeyTeller;
use crate::network::{NetworkConfig, NetworkError, Peer};

/// What the network thread has of the tunnel.
#[derive(Debug)]
pub(super) struct TunnelState {
    keyring: Keyring,
    teller: KeyTeller,
    engine: Option<Tunnel>,
    /// Who is on which encrypted network.
    ends: BTreeMap<NetworkId, Vec<TunnelPeer>>,
}

impl TunnelState {
    /// Reads this node's keys, or makes the first, and has them told.
    pub(super) fn open(config: &NetworkConfig, teller: KeyTeller) -> Result<Self, NetworkError> {
        let path = &config.tunnel_keys;
        let keyring = Keyring::open(path, now());
        let keyring = keyring.map_err(|source| NetworkError::File { path: path.clone(), source })?;
        teller.tell(keyring.public());
        Ok(Self { keyring, teller, engine: None, ends: BTreeMap::new() })
    }

    /// Whether the tunnel is up.
    pub(super) fn is_up(&self) -> bool {
        self.engine.is_some()
    }
}

impl Actor {
    /// Brings the tunnel up, if it is not.
    pub(super) fn ensure_tunnel(&mut self, data_path_port: u16) -> Result<(), NetworkError> {
        if self.tunnel.is_up() {
            return Ok(());
        }
        let address = self.config.data_path_addr;
        let link = underlay_link(&mut self.executor, address)?;
        // Where the address is another device's that stands before this host, packets come to one of its own.
        let any = if address.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
        let listen = link.as_ref().map_or(any, |_| address);
        let place = TunnelPlace {
            device: self.tag.tunnel(),
            address: TunnelPlace::address_of(self.config.node_id),
            mtu: underlay_mtu(link.as_ref()).saturating_sub(tunnel_overhead(address)),
            metric: self.tag.route_metric(),
        };
        let engine = Tunnel::start(&TunnelConfig {
            device: place.device.clone(),
            listen: SocketAddr::new(listen, TunnelPlace::port(data_path_port)),
            address: place.address,
            vxlan_port: TunnelPlace::inner_port(data_path_port),
        });
        let engine = engine.map_err(kernel("start the tunnel for encrypted networks"))?;
        if let Err(error) = self.executor.perform(&tunnel_plan(&place)) {
            drop(engine);
            self.executor.perform(&tunnel_removal(&place.device))?;
            return Err(error);
        }
        self.tunnel.engine = Some(engine);
        tracing::info!(device = place.device, address = %place.address, "the tunnel for encrypted networks is up");
        self.set_tunnel_peers();
        Ok(())
    }

    /// Takes the tunnel down when no network of this host needs it.
    pub(super) fn release_tunnel(&mut self) -> Result<(), NetworkError> {
        if self.networks.values().any(|network| network.wish.encrypted) {
            return Ok(());
        }
        self.tunnel.ends.clear();
        if self.tunnel.engine.take().is_some() {
            self.executor.perform(&tunnel_removal(&self.tag.tunnel()))?;
        }
        Ok(())
    }

    /// What carries an encrypted network.
    pub(super) fn tunnel_underlay(&self, data_path_port: u16) -> Underlay {
        Underlay {
            local: Some(IpAddr::V6(TunnelPlace::address_of(self.config.node_id))),
            port: TunnelPlace::inner_port(data_path_port),
            device: Some(self.tag.tunnel()),
        }
    }

    /// Which packets may come by the tunnel only.
    pub(super) fn tunnel_guard(&self) -> Option<TunnelGuard> {
        let network = self.networks.values().find(|network| network.wish.encrypted && network.tunnel.is_some())?;
        let port = TunnelPlace::inner_port(network.wish.data_path_port);
        Some(TunnelGuard { device: self.tag.tunnel(), port })
    }

    /// Sets who is on an encrypted network.
    pub(super) fn set_tunnel_ends(&mut self, network: NetworkId, data_path_port: u16, peers: &[Peer]) {
        let own = TunnelPlace::address_of(self.config.node_id);
        let port = TunnelPlace::port(data_path_port);
        let ends = peers.iter().filter_map(|peer| {
            let end = peer.tunnel.as_ref().filter(|end| end.address != own && !end.keys.is_empty())?;
            let endpoint = SocketAddr::new(peer.host, port);
            Some(TunnelPeer { address: end.address, endpoint, keys: end.keys.clone() })
        });
        let ends: Vec<TunnelPeer> = ends.collect();
        if self.tunnel.ends.get(&network) != Some(&ends) {
            self.tunnel.ends.insert(network, ends);
            self.set_tunnel_peers();
        }
    }

    pub(super) fn forget_tunnel_ends(&mut self, network: NetworkId) {
        if self.tunnel.ends.remove(&network).is_some() {
            self.set_tunnel_peers();
        }
    }

    /// Replaces keys that are old, step by step.
    pub(super) fn tend_keys(&mut self) {
        let TunnelState { keyring, teller, engine, .. } = &self.tunnel;
        let is_ready = match (keyring.next(), engine) {
            (Some(next), Some(engine)) => engine.is_ready_under(next),
            _ => true,
        };
        let now = now();
        let step = keyring.step(now, self.config.tunnel_key_age, teller.is_told() && is_ready);
        if step == KeyStep::Keep {
            return;
        }
        match self.tunnel.keyring.take_step(step, now) {
            Ok(()) => {
                tracing::info!(?step, "the tunnel's key is being replaced");
                self.tunnel.teller.tell(self.tunnel.keyring.public());
                self.set_tunnel_peers();
            }
            Err(error) => tracing::warn!(%error, "the tunnel's key could not be replaced"),
        }
    }

    /// Forgets the keys: the swarm was left.
    pub(super) fn remove_keys(&mut self) -> Result<(), NetworkError> {
        let removed = self.tunnel.keyring.remove();
        removed.map_err(|source| NetworkError::File { path: self.config.tunnel_keys.clone(), source })
    }

    fn set_tunnel_peers(&self) {
        let TunnelState { keyring, engine: Some(engine), ends, .. } = &self.tunnel else { return };
        let all: BTreeMap<Ipv6Addr, &TunnelPeer> = ends.values().flatten().map(|peer| (peer.address, peer)).collect();
        let all: Vec<TunnelPeer> = all.into_values().cloned().collect();
        engine.set_peers(keyring.own(), &all);
    }
}

/// Bytes that the tunnel adds to each packet.
pub(super) fn tunnel_overhead(underlay: IpAddr) -> u32 {
    if underlay.is_ipv4() { TUNNEL_OVERHEAD_V4 } else { TUNNEL_OVERHEAD_V6 }
}

/// Since 1970: keys are dated on disk. A clock that goes back makes a key live longer, no more.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
