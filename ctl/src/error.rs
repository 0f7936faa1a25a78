//! The one place where failures meet people: what failed, why (the chain of causes), and a `hint:` with the next
//! command. Also the exit codes.
//!
//! Every part of the command line returns `Error`; nothing else prints failures or chooses an exit code.

use std::error::Error as _;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use crate::flags::FlagError;
use crate::output::template::TemplateError;
use crate::transport::host::{HostError, Origin};
use crate::transport::stream::FrameError;

/// The command did what was asked.
pub(crate) const EXIT_DONE: u8 = 0;
/// The command failed, or a service did not converge.
pub(crate) const EXIT_FAILED: u8 = 1;
/// The arguments make no sense; nothing was sent. Docker's code; `exec` keeps lower ones for the command it runs.
pub(crate) const EXIT_USAGE: u8 = 125;
/// `exec`: the command exists and cannot be run.
pub(crate) const EXIT_NOT_EXECUTABLE: u8 = 126;
/// `exec`: the command does not exist.
pub(crate) const EXIT_NOT_FOUND: u8 = 127;
/// Stopped by Ctrl-C while the operation went on in the background.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Everything that can go wrong, by cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to use {value:?} as the address of a daemon")]
    Host { value: String, origin: Origin, source: HostError },
    #[error("failed to connect to {host}")]
    Connect { host: String, origin: Origin, source: io::Error },
    #[error("the daemon speaks API version {server}, older than any that shoal speaks")]
    VersionTooOld { server: String },
    #[error("failed to {action}: error response from daemon: {message}")]
    Api { action: &'static str, status: u16, message: String },
    #[error("failed to {action}: the daemon answered {status} where it should have given over the connection")]
    NotTakenOver { action: &'static str, status: u16 },
    #[error("failed to {action}: the connection broke")]
    Transport { action: &'static str, source: hyper::Error },
    #[error("failed to {action}: the answer could not be read to its end")]
    Body { action: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("failed to {action}: the daemon's answer makes no sense")]
    Answer { action: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("failed to {action}: the daemon's stream makes no sense")]
    Frames { action: &'static str, source: FrameError },
    #[error("failed to {action}: the request could not be written as JSON")]
    Encode { action: &'static str, source: serde_json::Error },
    #[error("failed to {action}: the request is no valid HTTP")]
    Request { action: &'static str, source: hyper::http::Error },
    #[error("failed to {action}: {message}")]
    Stream { action: &'static str, message: String },
    #[error(transparent)]
    Flag(#[from] FlagError),
    #[error("failed to use the --format template")]
    Template(#[from] TemplateError),
    #[error("failed to read {path}")]
    ReadFile { path: PathBuf, source: io::Error },
    #[error("failed to write the output")]
    Output { source: io::Error },
    #[error("the reader of the output went away")]
    OutputClosed,
    #[error("failed to read the standard input")]
    Input { source: io::Error },
    #[error("failed to use the terminal")]
    Terminal { source: io::Error },
    #[error("failed to watch for signals")]
    Signals { source: io::Error },
    #[error("no such {kind}: {name}")]
    NotFound { kind: &'static str, name: String },
    #[error("no unlock key is set: the swarm is not locked")]
    NoUnlockKey,
    #[error("service {service} {operation} paused: {message}")]
    Paused { service: String, operation: &'static str, message: String },
    #[error("service {service} did not converge: {reason}")]
    NotConverged { service: String, reason: String },
    #[error("service {service} did not converge: it was rolled back ({message})")]
    RolledBack { service: String, message: String },
    #[error("stopped watching; the operation continues in the background")]
    Interrupted { service: String },
    #[error("{} of the objects failed", .0.len())]
    Several(Vec<Error>),
}

impl Error {
    /// Success when nothing failed; one failure stands for itself.
    pub(crate) fn all(mut failures: Vec<Self>) -> Result<(), Self> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Several(failures)),
        }
    }

    /// The exit code that tells scripts what kind of failure this is.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Flag(_) | Self::Host { .. } | Self::Template(_) => EXIT_USAGE,
            Self::Interrupted { .. } => EXIT_INTERRUPTED,
            // `shoal ps | head` is no failure of either.
            Self::OutputClosed => EXIT_DONE,
            Self::Api { action: EXEC, message, .. } | Self::Stream { action: EXEC, message } => exec_code(message),
            _ => EXIT_FAILED,
        }
    }

    /// All that standard error shows: the failure, its causes, and a hint where there is one.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::OutputClosed => return String::new(),
            Self::Several(errors) => return errors.iter().map(Self::report).collect(),
            Self::Interrupted { service } => {
                return format!(
                    "Operation continuing in background.\nUse `shoal service ps {service}` to check progress.\n"
                );
            }
            _ => {}
        }
        let mut text = format!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            let _infallible = write!(text, ": {error}");
            cause = error.source();
        }
        text.push('\n');
        if let Some(hint) = self.hint() {
            let _infallible = writeln!(text, "hint: {hint}");
        }
        text
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "the socket belongs to root: run the command with sudo, or as a user of the socket's group".into()
            }
            Self::Connect { origin, .. } => format!("is shoald running? {}", address_advice(*origin)),
            Self::Host { origin, .. } => address_advice(*origin).into(),
            Self::VersionTooOld { .. } => "upgrade the daemon; `shoal version` shows both sides".into(),
            Self::Transport { .. } | Self::Body { .. } => {
                "the daemon may be restarting: run the command again, and see its log if that fails too".into()
            }
            Self::Answer { .. } | Self::Frames { .. } | Self::NotTakenOver { .. } => {
                "check with `shoal version` that the address belongs to shoald or dockerd".into()
            }
            Self::Api { action, status, message } => return api_hint(action, *status, message),
            Self::Stream { message, .. } => return image_hint(message),
            Self::Template(_) => "`--format json` prints every field".into(),
            Self::Paused { service, .. } => format!(
                "see why with `shoal service ps --no-trunc {service}`, then `shoal service update` with a mended spec, or `shoal service rollback {service}`"
            ),
            Self::NotConverged { service, .. } => format!(
                "it keeps trying in the background: `shoal service ps --no-trunc {service}` shows its tasks, `shoal logs CONTAINER` on a task's host what it wrote"
            ),
            Self::RolledBack { service, .. } => format!(
                "it runs as before the update: `shoal service ps --no-trunc {service}` shows why the new tasks failed"
            ),
            Self::NoUnlockKey => "managers are not locked: they start without a key".into(),
            Self::NotFound { kind, .. } => return listing_of(kind).map(|list| format!("`{list}` shows what there is")),
            Self::Flag(error) => return error.hint(),
            _ => return None,
        })
    }
}

/// The action under which `exec` runs its command, whose failures have their own exit codes.
pub(crate) const EXEC: &str = "run the command in the container";

fn exec_code(message: &str) -> u8 {
    if message.contains("permission denied") {
        EXIT_NOT_EXECUTABLE
    } else if message.contains("executable file not found") || message.contains("no such file or directory") {
        EXIT_NOT_FOUND
    } else {
        EXIT_FAILED
    }
}

fn address_advice(origin: Origin) -> &'static str {
    match origin {
        Origin::Flag => "check the address given with --host",
        Origin::ShoalHost => "check the address in the environment variable SHOAL_HOST",
        Origin::DockerHost => {
            "the address comes from the environment variable DOCKER_HOST; --host or SHOAL_HOST overrides it"
        }
        Origin::Default => "start it, or name another daemon with --host or SHOAL_HOST",
    }
}

/// The next command for a failure that the daemon reported.
fn api_hint(action: &str, status: u16, message: &str) -> Option<String> {
    let known: &[(&str, &str)] = &[
        ("update out of sequence", "someone changed it at the same moment: look at it again and repeat the command"),
        ("already part of a swarm", "`shoal swarm leave` first, if it should belong to another swarm"),
        (
            "not part of a swarm",
            "make this host a manager with `shoal swarm init`, or let it join with `shoal swarm join`",
        ),
        (
            "not a swarm manager",
            "run the command on a manager, or make this host one: `shoal swarm init` for a new swarm, `shoal node promote` from a manager",
        ),
        ("does not have a leader", "more than half of the managers must run: start them, then repeat the command"),
        ("is not down and can't be removed", "stop the daemon there first, or add --force"),
        ("must be demoted", "`shoal node demote NODE` first"),
        ("attempting to demote the last manager", "promote another node first: `shoal node promote NODE`"),
        ("loss of quorum", "bring the other managers back first: `shoal node ls` shows who is unreachable"),
        ("is already in use by service", "choose another published port; `shoal service ls` shows those taken"),
        (
            "name conflicts with an existing object",
            "choose another --name, or change the one there with `shoal service update`",
        ),
        (
            "does not have a previous spec",
            "there is nothing to roll back to: `shoal service update` with the spec that you want",
        ),
        ("invalid join token", "`shoal swarm join-token worker` (or manager) on a manager prints the right one"),
        ("You are attempting to leave the swarm", "add --force if this is meant"),
    ];
    if let Some((_, hint)) = known.iter().find(|(text, _)| message.contains(text)) {
        return Some((*hint).to_owned());
    }
    if status == 404 {
        // What a registry does not have, no list here shows.
        if action.contains("pull") {
            return image_hint(message);
        }
        let kind =
            ["service", "node", "task", "network", "image", "container"].into_iter().find(|kind| action.contains(kind));
        return kind.and_then(listing_of).map(|list| format!("`{list}` shows what there is"));
    }
    image_hint(message)
}

fn image_hint(message: &str) -> Option<String> {
    if message.contains("No such image") {
        Some("`shoal pull IMAGE` fetches it".into())
    } else if message.contains("server gave HTTP response to HTTPS client") {
        Some("if the registry speaks plain HTTP, start shoald with --insecure-registry HOST:PORT".into())
    } else {
        None
    }
}

fn listing_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "service" | "task" => "shoal service ls",
        "node" => "shoal node ls",
        "network" => "shoal network ls",
        "image" => "shoal image ls",
        "container" => "shoal ps --all",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "error/tests.rs"]
mod tests;
