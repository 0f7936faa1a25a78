//! `shoal service logs`: the lines of all tasks of a service, or of one task, each with the task that wrote it.
//!
//! The daemon sends one line a frame and puts the identifiers of node, service and task before it as details.

use std::collections::BTreeMap;

use clap::Args;
use shoal_api::types::{Node, Service, Task};
use time::OffsetDateTime;

use crate::error::{EXIT_DONE, Error};
use crate::flags::{FlagError, LogFlags};
use crate::output::console::{print_bytes, print_error_bytes};
use crate::output::human::short_id;
use crate::transport::Client;
use crate::transport::stream::{Channel, Frames, next_chunk};

#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    log: LogFlags,
    /// Do not map IDs to Names in output
    #[arg(long)]
    no_resolve: bool,
    /// Do not include task IDs in output
    #[arg(long)]
    no_task_ids: bool,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Do not neatly format logs
    #[arg(long)]
    raw: bool,
    /// A service or task
    #[arg(value_name = "SERVICE|TASK")]
    target: String,
}

pub(crate) async fn logs(mut args: LogsArgs, client: &Client) -> Result<u8, Error> {
    let (path, tty) = find(client, &args.target).await?;
    if tty && !args.raw {
        return Err(FlagError::TtyLogs.into());
    }
    let shown = args.log.details;
    // Without the details nobody could tell whose line it is.
    args.log.details |= !args.raw;
    let call = args.log.apply(client.get(path, ACTION), OffsetDateTime::now_utc())?;
    let mut body = call.answer().await?.into_body();
    let mut labels = Labels { client, args: &args, details: shown, tasks: BTreeMap::new() };
    let mut frames = Frames::default();
    while let Some(chunk) = next_chunk(&mut body, ACTION).await? {
        if tty {
            print_bytes(&chunk)?;
            continue;
        }
        frames.push(&chunk);
        while let Some((channel, line)) = frames.next().map_err(|source| Error::Frames { action: ACTION, source })? {
            let labelled = if args.raw { line.to_vec() } else { labels.label(&line).await? };
            match channel {
                Channel::Stdout => print_bytes(&labelled)?,
                Channel::Stderr => print_error_bytes(&labelled)?,
                Channel::System => {
                    let message = String::from_utf8_lossy(&line).into_owned();
                    return Err(Error::Stream { action: ACTION, message });
                }
            }
        }
    }
    Ok(EXIT_DONE)
}

/// Where the logs of a service, or else of a task, are, and whether they come from a terminal.
async fn find(client: &Client, target: &str) -> Result<(String, bool), Error> {
    let has_tty =
        |task: &shoal_api::types::TaskSpec| task.container_spec.as_ref().is_some_and(|container| container.tty);
    match super::update::fetch(client, target).await {
        Ok(service) => Ok((format!("/services/{target}/logs"), has_tty(&service.spec.task_template))),
        Err(Error::Api { status: 404, .. }) => {
            let task = client.get(format!("/tasks/{target}"), "find the service or task").fetch::<Task>().await?;
            Ok((format!("/tasks/{target}/logs"), has_tty(&task.spec)))
        }
        Err(other) => Err(other),
    }
}

struct Labels<'a> {
    client: &'a Client,
    args: &'a LogsArgs,
    /// Did the user ask for details?
    details: bool,
    /// What stands before the lines of each task.
    tasks: BTreeMap<String, String>,
}

impl Labels<'_> {
    async fn label(&mut self, line: &[u8]) -> Result<Vec<u8>, Error> {
        let parts = split(line, self.args.log.timestamps);
        let details: BTreeMap<&str, &str> =
            parts.details.split(',').filter_map(|detail| detail.split_once('=')).collect();
        let id = |kind: &str| details.get(format!("com.docker.swarm.{kind}.id").as_str()).copied().unwrap_or_default();
        let (task, service, node) = (id("task"), id("service"), id("node"));
        if !self.tasks.contains_key(task) {
            let label = self.name(task, service, node).await?;
            self.tasks.insert(task.to_owned(), label);
        }
        let mut text = Vec::new();
        if !parts.timestamp.is_empty() {
            text.extend_from_slice(parts.timestamp.as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(self.tasks.get(task).map_or("", String::as_str).as_bytes());
        text.extend_from_slice(b"    | ");
        if self.details {
            let rest: Vec<&str> =
                parts.details.split(',').filter(|detail| !detail.starts_with("com.docker.swarm.")).collect();
            text.extend_from_slice(rest.join(",").as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(parts.message);
        Ok(text)
    }

    /// `web.1.abcdefghijkl@host`; identifiers in place of names that are not asked for, or are not there any more.
    async fn name(&self, task: &str, service: &str, node: &str) -> Result<String, Error> {
        let short = |id: &str| if self.args.no_trunc { id.to_owned() } else { short_id(id).to_owned() };
        let (mut name, mut host) = (short(service), short(node));
        if !self.args.no_resolve {
            let found = there(super::update::fetch(self.client, service).await)?;
            let placed = there(self.client.get(format!("/tasks/{task}"), ACTION).fetch::<Task>().await)?;
            name = found.map_or(name, |found: Service| found.spec.name);
            if let Some(task) = placed {
                let place = if task.slot > 0 { task.slot.to_string() } else { short(&task.node_id) };
                name += &format!(".{place}");
            }
            let found = there(self.client.get(format!("/nodes/{node}"), ACTION).fetch::<Node>().await)?;
            host = found.map_or(host, |found| found.description.hostname);
        }
        if !self.args.no_task_ids {
            name += &format!(".{}", short(task));
        }
        Ok(format!("{name}@{host}"))
    }
}

/// What was found; nothing when it was removed meanwhile.
fn there<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::Api { status: 404, .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

struct Parts<'a> {
    timestamp: &'a str,
    details: &'a str,
    message: &'a [u8],
}

/// Cuts a line into its timestamp, if there is one, its details, and the message.
fn split(line: &[u8], timestamps: bool) -> Parts<'_> {
    let mut rest = line;
    let mut word = || {
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after.strip_prefix(b" ").unwrap_or(after);
        std::str::from_utf8(word).unwrap_or_default()
    };
    let timestamp = if timestamps { word() } else { "" };
    let details = word();
    Parts { timestamp, details, message: rest }
}

const ACTION: &str = "read the logs of the service";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_into_its_parts() {
        let parts = split(b"2026-01-01T00:00:00Z a=1,b=2 two words\n", true);
        assert_eq!(
            (parts.timestamp, parts.details, parts.message),
            ("2026-01-01T00:00:00Z", "a=1,b=2", &b"two words\n"[..])
        );
        let parts = split(b"a=1 ", false);
        assert_eq!((parts.timestamp, parts.details, parts.message), ("", "a=1", &b""[..]));
    }
}
