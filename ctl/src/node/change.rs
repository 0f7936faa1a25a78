//! `shoal node update`, `promote` and `demote`: the node's spec as it stands, with one thing changed.

use clap::Args;
use shoal_api::types::{Node, NodeAvailability, NodeRole};

use super::command::resolve;
use crate::error::{EXIT_DONE, Error};
use crate::flags::FlagError;
use crate::flags::pair::{Pair, label, to_map};
use crate::flags::word::word;
use crate::output::console::print_line;
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    /// Availability of the node ("active", "pause", "drain")
    #[arg(long, value_name = "string", value_parser = word::<NodeAvailability>)]
    availability: Option<NodeAvailability>,
    /// Add or update a node label ("key=value")
    #[arg(long, value_name = "list", value_parser = label)]
    label_add: Vec<Pair>,
    /// Remove a node label if exists
    #[arg(long, value_name = "list")]
    label_rm: Vec<String>,
    /// Role of the node ("worker", "manager")
    #[arg(long, value_name = "string", value_parser = word::<NodeRole>)]
    role: Option<NodeRole>,
    /// The node's name or ID
    #[arg(value_name = "NODE")]
    node: String,
}

pub(crate) async fn update(args: UpdateArgs, client: &Client) -> Result<u8, Error> {
    let mut node = fetch(client, &args.node).await?;
    args.apply(&mut node)?;
    send(client, &node).await?;
    print_line(&args.node)?;
    Ok(EXIT_DONE)
}

/// Gives nodes a role; one that has it already is told so and is no failure.
pub(crate) async fn change_roles(client: &Client, names: &[String], role: NodeRole) -> Result<u8, Error> {
    for name in names {
        let mut node = fetch(client, name).await?;
        if node.spec.role == role {
            let kind = if role == NodeRole::Manager { "manager" } else { "worker" };
            print_line(&format!("Node {name} is already a {kind}."))?;
            continue;
        }
        node.spec.role = role;
        send(client, &node).await?;
        print_line(&match role {
            NodeRole::Manager => format!("Node {name} promoted to a manager in the swarm."),
            NodeRole::Worker => format!("Manager {name} demoted in the swarm."),
        })?;
    }
    Ok(EXIT_DONE)
}

async fn fetch(client: &Client, name: &str) -> Result<Node, Error> {
    let id = resolve(client, name).await?;
    client.get(format!("/nodes/{id}"), "inspect the node").fetch().await
}

async fn send(client: &Client, node: &Node) -> Result<(), Error> {
    let call = client.post(format!("/nodes/{}/update", node.id), "update the node");
    call.query("version", node.version.index.to_string()).json(&node.spec).done().await
}

impl UpdateArgs {
    fn apply(&self, node: &mut Node) -> Result<(), FlagError> {
        let spec = &mut node.spec;
        spec.role = self.role.unwrap_or(spec.role);
        spec.availability = self.availability.unwrap_or(spec.availability);
        spec.labels.extend(to_map(&self.label_add));
        for key in &self.label_rm {
            if spec.labels.remove(key).is_none() {
                return Err(FlagError::NoLabel { node: self.node.clone(), label: key.clone() });
            }
        }
        Ok(())
    }
}
