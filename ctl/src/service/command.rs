//! The subcommands of `shoal service`.

use clap::{Args, Subcommand};
use shoal_api::types::ServiceUpdateResponse;

use super::create::{CreateArgs, create};
use super::flags::WaitFlags;
use super::inspect::{InspectArgs, inspect};
use super::list::list;
use super::logs::{LogsArgs, logs};
use super::progress::Goal;
use super::scale::{ScaleArgs, scale};
use super::tasks::{TasksArgs, tasks};
use super::update::{Sending, UpdateArgs, fetch, send, update};
use super::watch::watch_for;
use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::{note, print_line};
use crate::transport::Client;

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Create a new service
    Create(Box<CreateArgs>),
    /// Display detailed information on one or more services
    Inspect(InspectArgs),
    /// Fetch the logs of a service or task
    Logs(LogsArgs),
    /// List services
    #[command(visible_alias = "list")]
    Ls(ListFlags),
    /// List the tasks of one or more services
    Ps(TasksArgs),
    /// Remove one or more services
    #[command(visible_alias = "remove")]
    Rm(RemoveArgs),
    /// Revert changes to a service's configuration
    Rollback(RollbackArgs),
    /// Scale one or multiple replicated services
    Scale(ScaleArgs),
    /// Update a service
    Update(Box<UpdateArgs>),
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// Names or IDs
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RollbackArgs {
    #[command(flatten)]
    wait: WaitFlags,
    /// The service's name or ID
    #[arg(value_name = "SERVICE")]
    service: String,
}

impl ServiceCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Create(args) => create(*args, client).await,
            Self::Inspect(args) => inspect(args, client).await,
            Self::Logs(args) => logs(args, client).await,
            Self::Ls(flags) => list(flags, client).await,
            Self::Ps(args) => tasks(args, client).await,
            Self::Rm(args) => remove(args, client).await,
            Self::Rollback(args) => rollback(args, client).await,
            Self::Scale(args) => scale(args, client).await,
            Self::Update(args) => update(*args, client).await,
        }
    }
}

async fn remove(args: RemoveArgs, client: &Client) -> Result<u8, Error> {
    let mut failures = Vec::new();
    for service in &args.services {
        let removed = client.delete(format!("/services/{service}"), "remove the service").fetch_if_any().await;
        match removed {
            Ok(answer) => {
                let answer: ServiceUpdateResponse = answer.unwrap_or_default();
                answer.warnings.iter().for_each(|warning| note(warning));
                print_line(service)?;
            }
            Err(error) => failures.push(error),
        }
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

async fn rollback(args: RollbackArgs, client: &Client) -> Result<u8, Error> {
    let service = fetch(client, &args.service).await?;
    let sending = Sending { rollback: true, ..Sending::default() };
    send(client, &service, &service.spec, sending).await?;
    print_line(&args.service)?;
    if args.wait.detach {
        return Ok(EXIT_DONE);
    }
    watch_for(client, &args.service, args.wait.quiet, Goal::Rollback).await
}
