//! The subcommands of `shoal system`, most of which have short forms at the top.

use clap::{Args, Subcommand};

use super::events::{EventsArgs, events};
use super::info::info;
use super::inspect::{InspectArgs, inspect};
use super::version::version;
use crate::error::Error;
use crate::transport::Client;

#[derive(Debug, Subcommand)]
pub(crate) enum SystemCommand {
    /// Get real time events from the server
    Events(EventsArgs),
    /// Display system-wide information
    Info(FormatArgs),
    /// Return low-level information on objects of any kind
    Inspect(InspectArgs),
    /// Show the version information of both sides
    Version(FormatArgs),
}

#[derive(Args, Debug)]
pub(crate) struct FormatArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    pub(crate) format: Option<String>,
}

impl SystemCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Events(args) => events(args, client).await,
            Self::Info(args) => info(args, client).await,
            Self::Inspect(args) => inspect(args, client).await,
            Self::Version(args) => version(args, client).await,
        }
    }
}
