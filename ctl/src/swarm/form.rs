//! `shoal swarm init` and `shoal swarm join`.

use clap::Args;
use shoal_api::types::{InitRequest, JoinRequest, NodeAvailability, SystemInfo};

use super::command::{fetch, fetch_unlock_key, unlock_text};
use super::settings::SettingsFlags;
use super::tokens::{JoinRole, join_text};
use crate::error::Error;
use crate::flags::network_address::{Pool, listen_address};
use crate::flags::word::word;
use crate::output::console::{print, print_line};
use crate::transport::Client;

/// How a node is reached by others.
#[derive(Args, Debug)]
pub(crate) struct AddressFlags {
    /// Advertised address (format: "<ip|interface>[:port]")
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    advertise_addr: String,
    /// Availability of the node ("active", "pause", "drain")
    #[arg(long, value_name = "string", value_parser = word::<NodeAvailability>, default_value = "active")]
    availability: NodeAvailability,
    /// Address or interface to use for data path traffic (format: "<ip|interface>")
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    data_path_addr: String,
    /// Listen address (format: "<ip|interface>[:port]")
    #[arg(long, value_name = "node-addr", value_parser = listen_address, default_value = "0.0.0.0:2377")]
    listen_addr: String,
}

#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    address: AddressFlags,
    #[command(flatten)]
    settings: SettingsFlags,
    /// Enable manager autolocking (requiring an unlock key to start a stopped manager)
    #[arg(long)]
    autolock: bool,
    /// Port number to use for data path traffic (1024 - 49151); 0 is the default port (4789)
    #[arg(long, value_name = "uint32", default_value_t = 0)]
    data_path_port: u32,
    /// Default address pool in CIDR format
    #[arg(long, value_name = "ipNetSlice", value_delimiter = ',')]
    default_addr_pool: Vec<Pool>,
    /// Default address pool subnet mask length
    #[arg(long, value_name = "uint32", default_value_t = 24)]
    default_addr_pool_mask_length: u32,
    /// Force create a new cluster from current state
    #[arg(long)]
    force_new_cluster: bool,
}

#[derive(Args, Debug)]
pub(crate) struct JoinArgs {
    #[command(flatten)]
    address: AddressFlags,
    /// Token for entry into the swarm
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    token: String,
    /// A manager of the swarm
    #[arg(value_name = "HOST:PORT")]
    remote: String,
}

pub(crate) async fn init(args: InitArgs, client: &Client) -> Result<(), Error> {
    let mut request = InitRequest {
        listen_addr: args.address.listen_addr,
        advertise_addr: args.address.advertise_addr,
        data_path_addr: args.address.data_path_addr,
        data_path_port: args.data_path_port,
        force_new_cluster: args.force_new_cluster,
        auto_lock_managers: args.autolock,
        availability: args.address.availability,
        default_addr_pool: args.default_addr_pool.into_iter().map(|pool| pool.0).collect(),
        subnet_size: args.default_addr_pool_mask_length,
        ..InitRequest::default()
    };
    args.settings.apply(&mut request.spec);
    request.spec.encryption_config.auto_lock_managers = args.autolock;
    let node: String = client.post("/swarm/init", "initialize the swarm").json(&request).fetch().await?;
    print_line(&format!("Swarm initialized: current node ({node}) is now a manager.\n"))?;
    let swarm = fetch(client).await?;
    print(&join_text(client, &node, JoinRole::Worker, &swarm).await?)?;
    print_line("To add a manager to this swarm, run 'shoal swarm join-token manager' and follow the instructions.\n")?;
    if args.autolock {
        print(&unlock_text(&fetch_unlock_key(client).await?))?;
    }
    Ok(())
}

pub(crate) async fn join(args: JoinArgs, client: &Client) -> Result<(), Error> {
    let request = JoinRequest {
        listen_addr: args.address.listen_addr,
        advertise_addr: args.address.advertise_addr,
        data_path_addr: args.address.data_path_addr,
        remote_addrs: vec![args.remote],
        join_token: args.token,
        availability: args.address.availability,
    };
    client.post("/swarm/join", "join the swarm").json(&request).done().await?;
    let info: SystemInfo = client.get("/info", "see what this node has become").fetch().await?;
    let role = if info.swarm.control_available { "manager" } else { "worker" };
    print_line(&format!("This node joined a swarm as a {role}."))
}
