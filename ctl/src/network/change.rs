//! `shoal network create` and `rm`.

use std::net::IpAddr;

use clap::Args;
use shoal_api::types::{Ipam, IpamConfig, NetworkCreateRequest, NetworkCreateResponse, NetworkPruneResponse};

use crate::error::{EXIT_DONE, Error};
use crate::flags::pair::{Filter, Pair, label, to_filters, to_map};
use crate::output::console::{confirmed, print_line};
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct NetworkCreateArgs {
    /// Driver to manage the network
    #[arg(short, long, value_name = "string", default_value = "overlay")]
    driver: String,
    /// Subnet in CIDR format that represents a network segment; repeatable
    #[arg(long, value_name = "strings")]
    subnet: Vec<String>,
    /// IPv4 or IPv6 gateway for the subnet of the same place
    #[arg(long, value_name = "strings")]
    gateway: Vec<IpAddr>,
    /// Allocate container addresses from a part of the subnet of the same place
    #[arg(long, value_name = "strings")]
    ip_range: Vec<String>,
    /// Enable manual container attachment
    #[arg(long)]
    attachable: bool,
    /// Restrict external access to the network
    #[arg(long)]
    internal: bool,
    /// Create swarm routing-mesh network
    #[arg(long)]
    ingress: bool,
    /// Enable or disable IPv6 address assignment
    #[arg(long)]
    ipv6: bool,
    /// Set metadata on the network ("key=value")
    #[arg(long, value_name = "list", value_parser = label)]
    label: Vec<Pair>,
    /// Set driver specific options ("key=value")
    #[arg(short, long = "opt", value_name = "map", value_parser = label)]
    option: Vec<Pair>,
    /// The network's name
    #[arg(value_name = "NETWORK")]
    name: String,
}

#[derive(Args, Debug)]
pub(crate) struct NetworkRemoveArgs {
    /// Do not error if the network does not exist
    #[arg(short, long)]
    force: bool,
    /// Names or IDs
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct NetworkPruneArgs {
    /// Provide filter values (e.g. "until=24h", "label=tier=front", "label!=keep")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn create(args: NetworkCreateArgs, client: &Client) -> Result<u8, Error> {
    let call = client.post("/networks/create", "create the network");
    let created: NetworkCreateResponse = call.json(&args.into_request()).fetch().await?;
    if !created.warning.is_empty() {
        crate::output::console::note(&created.warning);
    }
    print_line(&created.id)?;
    Ok(EXIT_DONE)
}

pub(super) async fn remove(args: NetworkRemoveArgs, client: &Client) -> Result<u8, Error> {
    let mut failures = Vec::new();
    for network in &args.networks {
        match client.delete(format!("/networks/{network}"), "remove the network").done().await {
            Ok(()) => print_line(network)?,
            Err(Error::Api { status: 404, .. }) if args.force => {}
            Err(error) => failures.push(error),
        }
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

/// Removes what nobody uses, after a yes.
pub(super) async fn prune(args: NetworkPruneArgs, client: &Client) -> Result<u8, Error> {
    let warning = "WARNING! This will remove all networks of the swarm that no service uses.";
    if !args.force && !confirmed(warning)? {
        return Ok(EXIT_DONE);
    }
    let call = client.post("/networks/prune", "prune the networks").filters(&to_filters(&args.filter));
    let pruned: NetworkPruneResponse = call.fetch().await?;
    let deleted = pruned.networks_deleted.unwrap_or_default();
    if !deleted.is_empty() {
        print_line("Deleted Networks:")?;
    }
    deleted.iter().try_for_each(|name| print_line(name))?;
    Ok(EXIT_DONE)
}

impl NetworkCreateArgs {
    fn into_request(self) -> NetworkCreateRequest {
        let mut configs: Vec<IpamConfig> =
            self.subnet.into_iter().map(|subnet| IpamConfig { subnet, ..IpamConfig::default() }).collect();
        // One without a subnet is for the daemon to refuse: it knows what it would choose.
        configs.resize_with(configs.len().max(self.gateway.len()).max(self.ip_range.len()), IpamConfig::default);
        for (config, gateway) in configs.iter_mut().zip(&self.gateway) {
            config.gateway = gateway.to_string();
        }
        for (config, range) in configs.iter_mut().zip(self.ip_range) {
            config.ip_range = range;
        }
        NetworkCreateRequest {
            name: self.name,
            driver: self.driver,
            enable_ipv6: self.ipv6.then_some(true),
            ipam: Some(Ipam { driver: "default".to_owned(), options: None, config: configs }),
            internal: self.internal,
            attachable: self.attachable,
            ingress: self.ingress,
            options: to_map(&self.option).into_iter().collect(),
            labels: to_map(&self.label).into_iter().collect(),
            ..NetworkCreateRequest::default()
        }
    }
}
