//! The network thread: owns the doors to the kernel and what the kernel was told.
//!
//! `start` makes the bridge and the table, `networks`, `endpoints`, `rules`, `names` and `tunnel` carry out one kind of
//! wish each. The thread runs in the namespace of whoever started it and never leaves. Invariant: between two commands the files on
//! disk, the fields here and the kernel agree, or the command was answered with an error and left nothing behind.

mod endpoints;
mod names;
mod networks;
mod rules;
mod start;
mod tunnel;
mod verify;

pub(super) use start::start;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use shoal_proto::model::{Cidr, NetworkId};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::config::Tag;
use super::executor::Executor;
use super::handle::Command;
use super::plan::{PeerTable, PlacedNetwork};
use super::ports::HeldPort;
use super::state::{NetworkState, PlacedEndpoint, StateFiles};
use super::{NetworkConfig, NetworkError};

/// The bridge for local egress.
#[derive(Debug, Clone)]
struct LocalBridge {
    name: String,
    subnet: Cidr,
    gateway: Cidr,
    /// Bytes.
    mtu: u32,
    /// The last address given out.
    last: Option<Ipv4Addr>,
}

/// All that the network thread owns.
#[derive(Debug)]
pub(super) struct Actor {
    config: NetworkConfig,
    tag: Tag,
    inbox: mpsc::Receiver<Command>,
    executor: Executor,
    files: StateFiles,
    bridge: LocalBridge,
    networks: BTreeMap<NetworkId, PlacedNetwork>,
    endpoints: BTreeMap<String, PlacedEndpoint>,
    keeps_clients: bool,
    /// In the name of the last endpoint's links.
    last_number: u32,
    held_ports: HashMap<String, Vec<HeldPort>>,
    /// What the kernel was told; of a network without entry it is unknown, because telling it failed half-way.
    peers: BTreeMap<NetworkId, PeerTable>,
    /// What other daemons of this very host have on networks: reached without a tunnel.
    beside: BTreeMap<NetworkId, BTreeSet<IpAddr>>,
    rules: rules::KnownRules,
    names: names::Names,
    tunnel: tunnel::TunnelState,
}

impl Actor {
    /// Serves commands until every handle is gone. What stands in the kernel stays.
    pub(super) async fn run(mut self) {
        let mut verify = interval(self.config.verify_period);
        verify.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.inbox.recv() => match command {
                    Some(command) => self.serve(command),
                    None => return,
                },
                _ = verify.tick() => {
                    self.verify_quietly();
                    self.tend_keys();
                }
            }
        }
    }

    /// Carries out one command. Who asked may have gone: then the reply is dropped.
    fn serve(&mut self, command: Command) {
        match command {
            Command::Networks(reply) => drop(reply.send(Ok(self.networks.keys().copied().collect()))),
            Command::EnsureNetwork(wish, reply) => drop(reply.send(self.ensure_network(wish))),
            Command::RemoveNetwork(id, reply) => drop(reply.send(self.remove_network(id))),
            Command::CreateEndpoint(request, reply) => drop(reply.send(self.create_endpoint(request))),
            Command::RemoveEndpoint(id, reply) => drop(reply.send(self.remove_endpoint(&id))),
            Command::Adopt(kept, reply) => drop(reply.send(self.adopt(&kept))),
            Command::SetPeers(id, peers, reply) => drop(reply.send(self.set_peers(id, &peers))),
            Command::SetServices(published, virtuals, reply) => {
                let names = self.set_names(&virtuals);
                drop(reply.send(self.set_services(&published).and(names)));
            }
            Command::OpenResolver(container, reply) => drop(reply.send(self.open_resolver(&container))),
            Command::OpenProbe(network, reply) => drop(reply.send(self.open_probe(network))),
            Command::ShownVips(reply) => drop(reply.send(self.shown_vips())),
            Command::Verify(reply) => drop(reply.send(self.verify())),
            Command::Teardown(reply) => drop(reply.send(self.teardown())),
        }
    }

    fn state(&self) -> NetworkState {
        NetworkState { bridge_subnet: Some(self.bridge.subnet), networks: self.networks.clone() }
    }

    /// Bytes that a packet of containers may have on the underlay's link, tunnel included.
    fn underlay_mtu(&mut self) -> Result<u32, NetworkError> {
        let link = start::underlay_link(&mut self.executor, self.config.data_path_addr)?;
        Ok(start::underlay_mtu(link.as_ref()))
    }
}

fn ipv4(field: &'static str, address: IpAddr) -> Result<Ipv4Addr, NetworkError> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(NetworkError::Invalid {
            field,
            value: address.to_string(),
            remedy: "give an IPv4 address: the data path does not carry IPv6 yet",
        }),
    }
}
