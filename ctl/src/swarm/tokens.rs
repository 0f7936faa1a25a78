//! `shoal swarm join-token`: how others enter the swarm.

use clap::{Args, ValueEnum};
use shoal_api::types::{Node, Swarm, SystemInfo};

use super::command::fetch;
use super::settings::{Rotation, send};
use crate::error::Error;
use crate::output::console::{print, print_line};
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct JoinTokenArgs {
    /// Only display token
    #[arg(short, long)]
    quiet: bool,
    /// Rotate join token
    #[arg(long)]
    rotate: bool,
    /// For whom the token is
    #[arg(value_name = "worker|manager")]
    role: JoinRole,
}

/// What a node will be that enters with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum JoinRole {
    Worker,
    Manager,
}

impl JoinRole {
    fn word(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Manager => "manager",
        }
    }

    fn token(self, swarm: &Swarm) -> &str {
        match self {
            Self::Worker => &swarm.join_tokens.worker,
            Self::Manager => &swarm.join_tokens.manager,
        }
    }
}

pub(crate) async fn join_token(args: JoinTokenArgs, client: &Client) -> Result<(), Error> {
    let role = args.role;
    let mut swarm = fetch(client).await?;
    if args.rotate {
        let rotation = Rotation { worker: role == JoinRole::Worker, manager: role == JoinRole::Manager };
        send(client, swarm.cluster.version.index, &swarm.cluster.spec, rotation).await?;
        swarm = fetch(client).await?;
        if !args.quiet {
            print_line(&format!("Successfully rotated {} join token.\n", role.word()))?;
        }
    }
    if args.quiet {
        return print_line(role.token(&swarm));
    }
    let info: SystemInfo = client.get("/info", "find this node").fetch().await?;
    print(&join_text(client, &info.swarm.node_id, role, &swarm).await?)
}

/// The command to type on the host that shall enter, with the address of a manager.
pub(super) async fn join_text(client: &Client, node: &str, role: JoinRole, swarm: &Swarm) -> Result<String, Error> {
    let node: Node = client.get(format!("/nodes/{node}"), "find this node").fetch().await?;
    let address = node.manager_status.map(|status| status.addr).unwrap_or_default();
    let (word, token) = (role.word(), role.token(swarm));
    Ok(format!(
        "To add a {word} to this swarm, run the following command:\n\n    shoal swarm join --token {token} {address}\n\n"
    ))
}
