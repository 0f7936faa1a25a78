//! `shoal logs`: what a container wrote.

use clap::Args;
use shoal_api::types::ContainerInspect;
use time::OffsetDateTime;

use crate::error::{EXIT_DONE, Error};
use crate::flags::LogFlags;
use crate::flags::moment::seconds;
use crate::output::console::{print_bytes, print_error_bytes};
use crate::transport::Client;
use crate::transport::stream::{Channel, Frames, next_chunk};

#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    log: LogFlags,
    /// Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    until: Option<String>,
    /// The container's name or ID
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub(crate) async fn logs(args: LogsArgs, client: &Client) -> Result<u8, Error> {
    let path = format!("/containers/{}/json", args.container);
    let container: ContainerInspect = client.get(path, ACTION).fetch().await?;
    let now = OffsetDateTime::now_utc();
    let mut call = args.log.apply(client.get(format!("/containers/{}/logs", container.id), ACTION), now)?;
    if let Some(until) = &args.until {
        call = call.query("until", seconds("until", until, now)?);
    }
    let mut body = call.answer().await?.into_body();
    let mut frames = Frames::default();
    while let Some(chunk) = next_chunk(&mut body, ACTION).await? {
        if container.config.tty {
            print_bytes(&chunk)?;
            continue;
        }
        frames.push(&chunk);
        while let Some((channel, bytes)) = frames.next().map_err(|source| Error::Frames { action: ACTION, source })? {
            match channel {
                Channel::Stdout => print_bytes(&bytes)?,
                Channel::Stderr => print_error_bytes(&bytes)?,
                Channel::System => {
                    let message = String::from_utf8_lossy(&bytes).into_owned();
                    return Err(Error::Stream { action: ACTION, message });
                }
            }
        }
    }
    Ok(EXIT_DONE)
}

const ACTION: &str = "read the logs of the container";
