//! The subcommands of `shoal node`.

use clap::{Args, Subcommand};
use shoal_api::types::{NodeRole, SystemInfo};

use super::change::{UpdateArgs, change_roles, update};
use super::list::list;
use super::show::{InspectArgs, TasksArgs, inspect, tasks};
use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::print_line;
use crate::transport::Client;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Demote one or more nodes from manager in the swarm
    Demote(NodesArgs),
    /// Display detailed information on one or more nodes
    Inspect(InspectArgs),
    /// List nodes in the swarm
    #[command(visible_alias = "list")]
    Ls(ListFlags),
    /// Promote one or more nodes to manager in the swarm
    Promote(NodesArgs),
    /// List tasks running on one or more nodes, defaults to current node
    Ps(TasksArgs),
    /// Remove one or more nodes from the swarm
    #[command(visible_alias = "remove")]
    Rm(RemoveArgs),
    /// Update a node
    Update(UpdateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct NodesArgs {
    /// Names or IDs
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// Force remove a node from the swarm
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    nodes: NodesArgs,
}

impl NodeCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Demote(args) => change_roles(client, &args.nodes, NodeRole::Worker).await,
            Self::Inspect(args) => inspect(args, client).await,
            Self::Ls(flags) => list(flags, client).await,
            Self::Promote(args) => change_roles(client, &args.nodes, NodeRole::Manager).await,
            Self::Ps(args) => tasks(args, client).await,
            Self::Rm(args) => remove(args, client).await,
            Self::Update(args) => update(args, client).await,
        }
    }
}

/// The name to ask for: `self` is the node that answers.
pub(super) async fn resolve(client: &Client, name: &str) -> Result<String, Error> {
    if name != "self" {
        return Ok(name.to_owned());
    }
    let info: SystemInfo = client.get("/info", "find this node").fetch().await?;
    if info.swarm.node_id.is_empty() {
        // Asking for an empty identifier would list all nodes; a call of the swarm says what is the matter.
        client.get("/nodes", "find this node").done().await?;
        return Err(Error::NotFound { kind: "node", name: name.to_owned() });
    }
    Ok(info.swarm.node_id)
}

async fn remove(args: RemoveArgs, client: &Client) -> Result<u8, Error> {
    let mut failures = Vec::new();
    for node in &args.nodes.nodes {
        let mut call = client.delete(format!("/nodes/{node}"), "remove the node");
        if args.force {
            call = call.query("force", "1");
        }
        match call.done().await {
            Ok(()) => print_line(node)?,
            Err(error) => failures.push(error),
        }
    }
    Error::all(failures).map(|()| EXIT_DONE)
}
