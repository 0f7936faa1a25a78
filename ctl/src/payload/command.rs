//! The subcommands of `shoal secret` and `shoal config`.

use clap::Subcommand;

use super::change::{CreateArgs, RemoveArgs, create, remove};
use super::show::{InspectArgs, inspect, list};
use crate::error::Error;
use crate::flags::ListFlags;
use crate::transport::Client;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    Config,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Create a secret from a file or STDIN as content
    Create(CreateArgs),
    /// Display detailed information on one or more secrets
    Inspect(InspectArgs),
    /// List secrets
    #[command(visible_alias = "list")]
    Ls(ListFlags),
    /// Remove one or more secrets
    #[command(visible_alias = "remove")]
    Rm(RemoveArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Create a config from a file or STDIN
    Create(CreateArgs),
    /// Display detailed information on one or more configs
    Inspect(InspectArgs),
    /// List configs
    #[command(visible_alias = "list")]
    Ls(ListFlags),
    /// Remove one or more configs
    #[command(visible_alias = "remove")]
    Rm(RemoveArgs),
}

impl SecretCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Create(args) => create(Kind::Secret, args, client).await,
            Self::Inspect(args) => inspect(Kind::Secret, args, client).await,
            Self::Ls(flags) => list(Kind::Secret, flags, client).await,
            Self::Rm(args) => remove(Kind::Secret, args, client).await,
        }
    }
}

impl ConfigCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Create(args) => create(Kind::Config, args, client).await,
            Self::Inspect(args) => inspect(Kind::Config, args, client).await,
            Self::Ls(flags) => list(Kind::Config, flags, client).await,
            Self::Rm(args) => remove(Kind::Config, args, client).await,
        }
    }
}

impl Kind {
    /// Where they are in the API.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Secret => "/secrets",
            Self::Config => "/configs",
        }
    }

    /// One of two texts.
    pub(super) fn choose(self, of_secret: &'static str, of_config: &'static str) -> &'static str {
        match self {
            Self::Secret => of_secret,
            Self::Config => of_config,
        }
    }
}
