//! The subcommands of `shoal swarm`.

use clap::{Args, Subcommand};
use shoal_api::types::{Swarm, UnlockRequest};

use super::form::{InitArgs, JoinArgs, init, join};
use super::settings::{UpdateArgs, update};
use super::tokens::{JoinTokenArgs, join_token};
use crate::error::{EXIT_DONE, Error};
use crate::output::console::{print, print_line};
use crate::transport::Client;

#[derive(Debug, Subcommand)]
pub(crate) enum SwarmCommand {
    /// Display the root CA
    Ca,
    /// Initialize a swarm
    Init(InitArgs),
    /// Join a swarm as a node and/or manager
    Join(JoinArgs),
    /// Manage join tokens
    JoinToken(JoinTokenArgs),
    /// Leave the swarm
    Leave(LeaveArgs),
    /// Unlock swarm; the key is read from standard input
    Unlock,
    /// Display the unlock key
    UnlockKey(UnlockKeyArgs),
    /// Update the swarm
    Update(UpdateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct LeaveArgs {
    /// Force this node to leave the swarm, ignoring warnings
    #[arg(short, long)]
    force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UnlockKeyArgs {
    /// Only display token
    #[arg(short, long)]
    quiet: bool,
}

impl SwarmCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<u8, Error> {
        match self {
            Self::Ca => ca(client).await?,
            Self::Init(args) => init(args, client).await?,
            Self::Join(args) => join(args, client).await?,
            Self::JoinToken(args) => join_token(args, client).await?,
            Self::Leave(args) => leave(args, client).await?,
            Self::Unlock => unlock(client).await?,
            Self::UnlockKey(args) => unlock_key(args, client).await?,
            Self::Update(args) => update(args, client).await?,
        }
        Ok(EXIT_DONE)
    }
}

/// The swarm as it stands.
pub(super) async fn fetch(client: &Client) -> Result<Swarm, Error> {
    client.get("/swarm", "inspect the swarm").fetch().await
}

async fn ca(client: &Client) -> Result<(), Error> {
    let root = fetch(client).await?.cluster.tls_info.trust_root;
    print(&format!("{}\n", root.trim_end()))
}

async fn leave(args: LeaveArgs, client: &Client) -> Result<(), Error> {
    let mut call = client.post("/swarm/leave", "leave the swarm");
    if args.force {
        call = call.query("force", "1");
    }
    call.done().await?;
    print_line("Node left the swarm.")
}

async fn unlock(client: &Client) -> Result<(), Error> {
    let mut key = String::new();
    std::io::stdin().read_line(&mut key).map_err(|source| Error::Input { source })?;
    let body = UnlockRequest { unlock_key: key.trim().to_owned() };
    client.post("/swarm/unlock", "unlock the swarm").json(&body).done().await
}

async fn unlock_key(args: UnlockKeyArgs, client: &Client) -> Result<(), Error> {
    let key = fetch_unlock_key(client).await?;
    if key.is_empty() {
        return Err(Error::NoUnlockKey);
    }
    if args.quiet { print_line(&key) } else { print(&unlock_text(&key)) }
}

pub(super) async fn fetch_unlock_key(client: &Client) -> Result<String, Error> {
    let answer: UnlockRequest = client.get("/swarm/unlockkey", "read the unlock key").fetch().await?;
    Ok(answer.unlock_key)
}

pub(super) fn unlock_text(key: &str) -> String {
    format!(
        "To unlock a swarm manager after it restarts, run the `shoal swarm unlock`\n\
         command and provide the following key:\n\n    {key}\n\n\
         Remember to store this key in a password manager, since without it you\n\
         will not be able to restart the manager.\n"
    )
}
