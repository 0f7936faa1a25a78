//! `shoal service scale web=3 db=2`.

use clap::Args;
use shoal_api::types::ServiceMode;

use super::update::{Sending, fetch, send};
use super::watch::watch;
use crate::error::{EXIT_DONE, Error};
use crate::flags::FlagError;
use crate::output::console::print_line;
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct ScaleArgs {
    /// Exit immediately instead of waiting for the service to converge
    #[arg(short, long)]
    detach: bool,
    /// Services and how many tasks each should have
    #[arg(required = true, value_name = "SERVICE=REPLICAS")]
    targets: Vec<String>,
}

/// Scales all services, then waits for each in turn; one that cannot be scaled does not stop the others.
pub(crate) async fn scale(args: ScaleArgs, client: &Client) -> Result<u8, Error> {
    let targets = args.targets.iter().map(|target| parse(target)).collect::<Result<Vec<_>, _>>()?;
    let mut failures = Vec::new();
    let mut scaled = Vec::new();
    for (service, replicas) in targets {
        match scale_one(client, service, replicas).await {
            Ok(()) => {
                print_line(&format!("{service} scaled to {replicas}"))?;
                scaled.push(service);
            }
            Err(error) => failures.push(error),
        }
    }
    if !args.detach {
        for service in scaled {
            match watch(client, service, false).await {
                Ok(_) => {}
                Err(interrupted @ Error::Interrupted { .. }) => return Err(interrupted),
                Err(error) => failures.push(error),
            }
        }
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

fn parse(target: &str) -> Result<(&str, u64), FlagError> {
    let wrong = || FlagError::Scale(target.to_owned());
    let (service, replicas) = target.split_once('=').ok_or_else(wrong)?;
    let replicas = replicas.parse().map_err(|_| wrong())?;
    if service.is_empty() { Err(wrong()) } else { Ok((service, replicas)) }
}

async fn scale_one(client: &Client, name: &str, replicas: u64) -> Result<(), Error> {
    let service = fetch(client, name).await?;
    let mut spec = service.spec.clone();
    set_replicas(&mut spec.mode, name, replicas)?;
    send(client, &service, &spec, Sending::default()).await
}

fn set_replicas(mode: &mut ServiceMode, name: &str, replicas: u64) -> Result<(), FlagError> {
    if mode.global.is_some() || mode.global_job.is_some() {
        let kind = if mode.global.is_some() { "global" } else { "global-job" };
        return Err(FlagError::NotScalable(name.to_owned(), kind));
    }
    if let Some(job) = &mut mode.replicated_job {
        job.total_completions = Some(replicas);
    } else {
        mode.replicated.get_or_insert_default().replicas = Some(replicas);
    }
    Ok(())
}
