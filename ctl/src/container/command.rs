//! The subcommands of `shoal container`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::exec::{ExecArgs, exec};
use super::list::{ListArgs, list};
use super::logs::{LogsArgs, logs};
use crate::error::{EXIT_DONE, Error};
use crate::output::Inspection;
use crate::output::console::print;
use crate::transport::Client;

#[derive(Debug, Subcommand)]
pub(crate) enum ContainerCommand {
    /// Execute a command in a running container
    Exec(ExecArgs),
    /// Display detailed information on one or more containers
    Inspect(ContainerInspectArgs),
    /// List containers
    #[command(name = "ls", visible_aliases = ["list", "ps"])]
    List(ListArgs),
    /// Fetch the logs of a container
    Logs(LogsArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ContainerInspectArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    /// Names or IDs
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl ContainerCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Exec(args) => exec(args, client).await,
            Self::Inspect(args) => inspect(args, client).await,
            Self::List(args) => list(args, client).await,
            Self::Logs(args) => logs(args, client).await,
        }
    }
}

async fn inspect(args: ContainerInspectArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.containers {
        match client.get(format!("/containers/{name}/json"), "inspect the container").fetch::<Value>().await {
            Ok(container) => found.push(container),
            Err(error) => failures.push(error),
        }
    }
    print(&inspection.render(&found)?)?;
    Error::all(failures).map(|()| EXIT_DONE)
}
