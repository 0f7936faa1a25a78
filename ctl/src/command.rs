//! The top of the command line: docker's nouns and their short forms, and how arguments are read.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::container::{ContainerCommand, ExecArgs, ListArgs, LogsArgs};
use crate::error::Error;
use crate::image::{ImageCommand, ImageListArgs, ImageRemoveArgs, LoadArgs, PullArgs};
use crate::network::NetworkCommand;
use crate::node::NodeCommand;
use crate::output::console::print;
use crate::payload::{ConfigCommand, SecretCommand};
use crate::service::ServiceCommand;
use crate::swarm::SwarmCommand;
use crate::system::{EventsArgs, FormatArgs, InspectArgs, SystemCommand, client_text};
use crate::transport::Client;
use crate::transport::host::{Host, Origin};

/// Drives shoald, and any daemon that speaks Docker's Engine API.
#[derive(Debug, Parser)]
#[command(name = "shoal", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// Daemon socket to connect to; else SHOAL_HOST, then DOCKER_HOST [default: unix:///var/run/shoal.sock]
    #[arg(short = 'H', long, value_name = "string")]
    pub(crate) host: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Manage the swarm
    #[command(subcommand)]
    Swarm(SwarmCommand),
    /// Manage swarm nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Manage services
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Manage swarm secrets
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Manage swarm configs
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Manage containers
    #[command(subcommand)]
    Container(ContainerCommand),
    /// Manage images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Manage networks
    #[command(subcommand)]
    Network(NetworkCommand),
    /// See the daemon as a whole
    #[command(subcommand)]
    System(SystemCommand),
    /// List containers
    Ps(ListArgs),
    /// Execute a command in a running container
    Exec(ExecArgs),
    /// Fetch the logs of a container
    Logs(LogsArgs),
    /// Return low-level information on objects of any kind
    Inspect(InspectArgs),
    /// Download an image from a registry
    Pull(PullArgs),
    /// Load an image from a tar archive or STDIN
    Load(LoadArgs),
    /// List images
    Images(ImageListArgs),
    /// Remove one or more images
    Rmi(ImageRemoveArgs),
    /// Show the version information of both sides
    Version(FormatArgs),
    /// Display system-wide information
    Info(FormatArgs),
    /// Get real time events from the server
    Events(EventsArgs),
}

impl Arguments {
    /// Reads the arguments of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut definition = definition();
        let matches = definition.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))
    }
}

impl Command {
    /// Connects and does what was asked; the number is the exit code.
    pub(crate) async fn run(self, host: Host, origin: Origin) -> Result<u8, Error> {
        let client = Client::connect(host, origin).await;
        if let (Self::Version(FormatArgs { format: None }), Err(_)) = (&self, &client) {
            // Of the two sides this one is known even now.
            print(&client_text("not agreed"))?;
        }
        self.run_with(&client?).await
    }

    async fn run_with(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Swarm(command) => command.run(client).await,
            Self::Node(command) => command.run(client).await,
            Self::Service(command) => command.run(client).await,
            Self::Secret(command) => command.run(client).await,
            Self::Config(command) => command.run(client).await,
            Self::Container(command) => command.run(client).await,
            Self::Image(command) => command.run(client).await,
            Self::Network(command) => command.run(client).await,
            Self::System(command) => command.run(client).await,
            Self::Ps(args) => ContainerCommand::List(args).run(client).await,
            Self::Exec(args) => ContainerCommand::Exec(args).run(client).await,
            Self::Logs(args) => ContainerCommand::Logs(args).run(client).await,
            Self::Inspect(args) => SystemCommand::Inspect(args).run(client).await,
            Self::Pull(args) => ImageCommand::Pull(args).run(client).await,
            Self::Load(args) => ImageCommand::Load(args).run(client).await,
            Self::Images(args) => ImageCommand::List(args).run(client).await,
            Self::Rmi(args) => ImageCommand::Remove(args).run(client).await,
            Self::Version(args) => SystemCommand::Version(args).run(client).await,
            Self::Info(args) => SystemCommand::Info(args).run(client).await,
            Self::Events(args) => SystemCommand::Events(args).run(client).await,
        }
    }
}

/// The commands with docker's habits, which differ from clap's: a switch takes `=true` and `=false`, a value may begin
/// with a hyphen, and of a flag given twice the later one stands.
fn definition() -> clap::Command {
    with_dockers_habits(Arguments::command())
}

fn with_dockers_habits(command: clap::Command) -> clap::Command {
    command.mut_args(docker_argument).mut_subcommands(with_dockers_habits)
}

fn docker_argument(argument: clap::Arg) -> clap::Arg {
    if argument.is_positional() {
        return argument;
    }
    let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
    let is_bool = argument.get_value_parser().type_id() == std::any::TypeId::of::<bool>();
    let argument = match argument.get_action() {
        ArgAction::SetTrue | ArgAction::Set => {
            let id = argument.get_id().clone();
            argument.overrides_with(id)
        }
        _ => argument,
    };
    match (is_switch, is_bool) {
        (true, _) => as_switch(argument).default_value("false").hide_default_value(true),
        (false, true) => as_switch(argument),
        _ if matches!(argument.get_action(), ArgAction::Set | ArgAction::Append) => {
            argument.allow_hyphen_values(true).hide_possible_values(true)
        }
        _ => argument,
    }
}

/// A flag that stands alone or with `=true`, `=false` and the other words that Go reads.
fn as_switch(argument: clap::Arg) -> clap::Arg {
    let truth = |word: String| matches!(word.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True");
    argument
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_name("bool")
        .hide_possible_values(true)
        .value_parser(PossibleValuesParser::new(BOOLEANS).map(truth))
}

const BOOLEANS: [&str; 12] = ["true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}
