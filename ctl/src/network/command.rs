//! The subcommands of `shoal network`.

use clap::{Args, Subcommand};
use serde_json::Value;
use shoal_api::types::NetworkResource;

use super::change::{NetworkCreateArgs, NetworkPruneArgs, NetworkRemoveArgs, create, prune, remove};
use super::verify::{NetworkVerifyArgs, verify};
use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::print;
use crate::output::order::natural;
use crate::output::{Inspection, Listing, Row, human};
use crate::transport::Client;

#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Create a network
    Create(NetworkCreateArgs),
    /// Display detailed information on one or more networks
    Inspect(NetworkInspectArgs),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(NetworkListArgs),
    /// Remove all networks that nobody uses
    Prune(NetworkPruneArgs),
    /// Remove one or more networks
    #[command(visible_alias = "remove")]
    Rm(NetworkRemoveArgs),
    /// Compare what every host's kernel shows with what the managers want
    Verify(NetworkVerifyArgs),
}

#[derive(Args, Debug)]
pub(crate) struct NetworkInspectArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    /// Verbose output for diagnostics
    #[arg(short, long)]
    verbose: bool,
    /// Names or IDs
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct NetworkListArgs {
    #[command(flatten)]
    list: ListFlags,
    /// Do not truncate the output
    #[arg(long)]
    no_trunc: bool,
}

impl NetworkCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Create(args) => create(args, client).await,
            Self::Inspect(args) => inspect(args, client).await,
            Self::Ls(args) => list(args, client).await,
            Self::Prune(args) => prune(args, client).await,
            Self::Rm(args) => remove(args, client).await,
            Self::Verify(args) => verify(args, client).await,
        }
    }
}

async fn inspect(args: NetworkInspectArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.networks {
        let mut call = client.get(format!("/networks/{name}"), "inspect the network");
        if args.verbose {
            call = call.query("verbose", "true");
        }
        match call.fetch::<Value>().await {
            Ok(network) => found.push(network),
            Err(error) => failures.push(error),
        }
    }
    print(&inspection.render(&found)?)?;
    Error::all(failures).map(|()| EXIT_DONE)
}

async fn list(args: NetworkListArgs, client: &Client) -> Result<u8, Error> {
    let call = client.get("/networks", "list the networks").filters(&args.list.filters());
    let networks: Vec<NetworkResource> = call.fetch().await?;
    print(&listing(networks, args.no_trunc).render(&args.list.style())?)?;
    Ok(EXIT_DONE)
}

fn listing(mut networks: Vec<NetworkResource>, whole: bool) -> Listing {
    networks.sort_by(|left, right| natural(&left.name, &right.name));
    let flag = |value: bool| if value { "true" } else { "false" };
    let row = |network: &NetworkResource| {
        let labels: Vec<String> = network.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Row::default()
            .with("ID", if whole { &network.id } else { human::short_id(&network.id) })
            .with("Name", &network.name)
            .with("Driver", &network.driver)
            .with("Scope", &network.scope)
            .with("IPv4", flag(network.enable_ipv4))
            .with("IPv6", flag(network.enable_ipv6))
            .with("Internal", flag(network.internal))
            .with("Labels", labels.join(","))
            .with("CreatedAt", human::moment(network.created.0))
    };
    Listing {
        table: vec![("ID", "NETWORK ID"), ("Name", "NAME"), ("Driver", "DRIVER"), ("Scope", "SCOPE")],
        further: vec![
            ("IPv4", "IPV4"),
            ("IPv6", "IPV6"),
            ("Internal", "INTERNAL"),
            ("Labels", "LABELS"),
            ("CreatedAt", "CREATED AT"),
        ],
        identifier: "ID",
        rows: networks.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Style;

    #[test]
    fn the_table_has_dockers_layout() {
        let network = |id: &str, name: &str, scope: &str| NetworkResource {
            id: id.into(),
            name: name.into(),
            driver: "overlay".into(),
            scope: scope.into(),
            ..NetworkResource::default()
        };
        let networks = vec![network("0123456789abcdef", "ingress", "swarm"), network("b", "host", "local")];
        insta::assert_snapshot!(listing(networks, false).render(&Style::Table).unwrap(), @r"
        NETWORK ID     NAME      DRIVER    SCOPE
        b              host      overlay   local
        0123456789ab   ingress   overlay   swarm
        ");
    }
}
