//! The start of the network thread: bridge, table, what a former run left.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::sync_channel;

use tokio::sync::mpsc;

use super::names::Names;
use super::rules::KnownRules;
use super::tunnel::TunnelState;
use super::{Actor, LocalBridge};
use crate::network::executor::Executor;
use crate::network::handle::Command;
use crate::network::limits::UNDERLAY_MTU_USUAL;
use crate::network::netlink::FoundLink;
use crate::network::plan::bridge_plan;
use crate::network::state::{NetworkState, StateFiles};
use crate::network::tunnel_keys::KeyTeller;
use crate::network::{NetworkConfig, NetworkError, subnet};

/// Starts the thread, which inherits the caller's network namespace, and waits until the bridge and the table stand.
pub(in crate::network) fn start(
    config: NetworkConfig,
    inbox: mpsc::Receiver<Command>,
    teller: KeyTeller,
) -> Result<(), NetworkError> {
    let (ready, started) = sync_channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| NetworkError::Kernel { step: "start the network thread".to_owned(), source })?;
    std::thread::Builder::new()
        .name("network".to_owned())
        .spawn(move || match Actor::open(config, inbox, teller) {
            Ok(actor) => {
                if ready.send(Ok(())).is_ok() {
                    runtime.block_on(actor.run());
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        })
        .map_err(|source| NetworkError::Kernel { step: "start the network thread".to_owned(), source })?;
    started.recv().unwrap_or(Err(NetworkError::Stopped))
}

impl Actor {
    fn open(config: NetworkConfig, inbox: mpsc::Receiver<Command>, teller: KeyTeller) -> Result<Self, NetworkError> {
        let tag = config.tag();
        let files = StateFiles::open(&config.exec_root)?;
        let state = files.load()?;
        let mut executor =
            Executor::open(config.spare_namespaces, tag.retired_group()).map_err(kernel("open netlink sockets"))?;
        let bridge = local_bridge(&config, &state, &mut executor)?;
        let present = link_names(&mut executor)?;
        // Written down first: a daemon that dies here finds its subnet again.
        files.save(&NetworkState { bridge_subnet: Some(bridge.subnet), ..state.clone() })?;
        executor.perform(&bridge_plan(&bridge.name, bridge.gateway, bridge.mtu, &present))?;
        let networks = state.networks.into_iter().filter(|(_, network)| present.contains(&network.bridge)).collect();
        let endpoints = files.load_endpoints()?;
        let keeps_clients = match config.keep_client_addresses {
            Some(wish) => wish,
            None => executor.can_address_answers().map_err(kernel("try what the kernel can"))?,
        };
        if !keeps_clients {
            tracing::warn!("tasks will not see the addresses of clients of published ports: that needs Linux 5.16");
        }
        let names = Names::start(&config, endpoints.keys().cloned().collect(), &mut executor)?;
        let links = endpoints.values().flat_map(|placed| &placed.place.interfaces).map(|one| one.link.as_str());
        let mut actor = Self {
            keeps_clients,
            last_number: links.filter_map(|link| tag.endpoint_number(link)).max().unwrap_or_default(),
            tag,
            inbox,
            executor,
            bridge,
            networks,
            endpoints,
            files,
            held_ports: HashMap::new(),
            peers: BTreeMap::new(),
            beside: BTreeMap::new(),
            rules: KnownRules::default(),
            names,
            tunnel: TunnelState::open(&config, teller)?,
            config,
        };
        for network in actor.networks.clone().values() {
            actor.recall_peers(network)?;
        }
        actor.restore_ports();
        actor.start_rules()?;
        actor.serve_bridges();
        let encrypted = actor.networks.values().find(|network| network.wish.encrypted && network.tunnel.is_some());
        if let Some(port) = encrypted.map(|network| network.wish.data_path_port)
            && let Err(error) = actor.ensure_tunnel(port)
        {
            // It is tried again with the network; the clear ones don't wait for it.
            tracing::warn!(error = &error as &dyn std::error::Error, "the tunnel for encrypted networks is not up");
        }
        Ok(actor)
    }
}

fn local_bridge(
    config: &NetworkConfig,
    state: &NetworkState,
    executor: &mut Executor,
) -> Result<LocalBridge, NetworkError> {
    let subnet = match config.bridge_subnet.or(state.bridge_subnet) {
        Some(subnet) => subnet.network(),
        None => {
            let taken = executor.routes.route_destinations().map_err(kernel("list routes"))?;
            subnet::free_subnet(&taken).ok_or(NetworkError::NoFreeSubnet)?
        }
    };
    let gateway = subnet::gateway(subnet).ok_or_else(|| NetworkError::Invalid {
        field: "bridge subnet",
        value: subnet.to_string(),
        remedy: "give an IPv4 subnet with a prefix of at most 30 bits",
    })?;
    let name = config.bridge_name.clone().unwrap_or_else(|| config.tag().local_bridge());
    if name.is_empty() || name.len() > 15 || name.contains(['/', ' ']) {
        return Err(NetworkError::Invalid {
            field: "bridge name",
            value: name,
            remedy: "give 1 to 15 characters without slash or space",
        });
    }
    let underlay = underlay_link(executor, config.data_path_addr)?;
    if underlay.is_none() {
        let address = config.data_path_addr;
        tracing::warn!(%address, "no interface has the data path address; overlay traffic leaves by the route to each host");
    }
    let mtu = underlay_mtu(underlay.as_ref());
    Ok(LocalBridge { name, subnet, gateway, mtu, last: None })
}

/// The link with the data path address; none where the address is another device's that stands before this host.
pub(super) fn underlay_link(executor: &mut Executor, address: IpAddr) -> Result<Option<FoundLink>, NetworkError> {
    executor.routes.link_of_address(address).map_err(kernel("list addresses"))
}

/// Bytes that a packet may have on the underlay.
pub(super) fn underlay_mtu(link: Option<&FoundLink>) -> u32 {
    match link {
        Some(link) if link.name != "lo" => link.mtu,
        // Loopback takes far more than any link that containers speak to.
        _ => UNDERLAY_MTU_USUAL,
    }
}

pub(super) fn link_names(executor: &mut Executor) -> Result<BTreeSet<String>, NetworkError> {
    let links = executor.routes.links().map_err(kernel("list links"))?;
    Ok(links.into_iter().map(|link| link.name).collect())
}

pub(super) fn kernel(step: &'static str) -> impl FnOnce(io::Error) -> NetworkError {
    move |source| NetworkError::Kernel { step: step.to_owned(), source }
}
