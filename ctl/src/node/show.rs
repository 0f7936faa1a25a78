//! `shoal node inspect` and `shoal node ps`.

use std::fmt::{self, Write};

use clap::Args;
use serde_json::Value;
use shoal_api::types::{Node, NodeRole};

use super::command::resolve;
use super::list::{availability, manager, state};
use crate::error::{EXIT_DONE, Error};
use crate::output::console::print;
use crate::output::{Inspection, human};
use crate::service::{TaskListFlags, listed_tasks};
use crate::transport::{Client, Filters};

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string", conflicts_with = "pretty")]
    format: Option<String>,
    /// Print the information in a human friendly format
    #[arg(long)]
    pretty: bool,
    /// Names or IDs; self is the node that answers
    #[arg(required = true, value_name = "self|NODE")]
    nodes: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    list: TaskListFlags,
    /// Names or IDs; self is the node that answers
    #[arg(value_name = "NODE", default_value = "self")]
    nodes: Vec<String>,
}

pub(crate) async fn inspect(args: InspectArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let (found, failures) = fetch_all(client, &args.nodes).await;
    if args.pretty {
        for node in found {
            let node = serde_json::from_value(node)
                .map_err(|source| Error::Answer { action: "inspect the node", source: source.into() })?;
            print(&(pretty(&node) + "\n"))?;
        }
    } else {
        print(&inspection.render(&found)?)?;
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

pub(crate) async fn tasks(args: TasksArgs, client: &Client) -> Result<u8, Error> {
    let (found, failures) = fetch_all(client, &args.nodes).await;
    let ids: Vec<&str> = found.iter().filter_map(|node| node["ID"].as_str()).collect();
    if !ids.is_empty() {
        let wanted = ids.into_iter().map(|id| (id.to_owned(), true)).collect();
        let filters = Filters::from([("node".to_owned(), wanted)]);
        print(&listed_tasks(client, &args.list, &filters).await?)?;
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

async fn fetch_all(client: &Client, names: &[String]) -> (Vec<Value>, Vec<Error>) {
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        match fetch(client, name).await {
            Ok(node) => found.push(node),
            Err(error) => failures.push(error),
        }
    }
    (found, failures)
}

async fn fetch(client: &Client, name: &str) -> Result<Value, Error> {
    let id = resolve(client, name).await?;
    client.get(format!("/nodes/{id}"), "inspect the node").fetch().await
}

fn pretty(node: &Node) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _infallible = write_pretty(&mut text, node);
    text
}

fn write_pretty(out: &mut String, node: &Node) -> fmt::Result {
    let description = &node.description;
    writeln!(out, "ID:\t\t\t{}", node.id)?;
    if !node.spec.name.is_empty() {
        writeln!(out, "Name:\t\t\t{}", node.spec.name)?;
    }
    if !node.spec.labels.is_empty() {
        writeln!(out, "Labels:")?;
    }
    for (key, value) in &node.spec.labels {
        writeln!(out, " - {key}={value}")?;
    }
    writeln!(out, "Hostname:              \t{}", description.hostname)?;
    writeln!(out, "Joined at:             \t{}", node.created_at)?;
    writeln!(
        out,
        "Role:                  \t{}",
        if node.spec.role == NodeRole::Manager { "Manager" } else { "Worker" }
    )?;
    writeln!(out, "Status:")?;
    writeln!(out, " State:\t\t\t{}", state(node.status.state))?;
    if !node.status.message.is_empty() {
        writeln!(out, " Message:\t\t{}", node.status.message)?;
    }
    writeln!(out, " Availability:         \t{}", availability(node.spec.availability))?;
    writeln!(out, " Address:\t\t{}", node.status.addr)?;
    if let Some(status) = &node.manager_status {
        writeln!(out, "Manager Status:")?;
        writeln!(out, " Address:\t\t{}", status.addr)?;
        writeln!(out, " Raft Status:\t\t{}", if status.leader { "Reachable" } else { manager(node) })?;
        writeln!(out, " Leader:\t\t{}", if status.leader { "Yes" } else { "No" })?;
    }
    writeln!(out, "Platform:")?;
    writeln!(out, " Operating System:\t{}", description.platform.os)?;
    writeln!(out, " Architecture:\t\t{}", description.platform.architecture)?;
    writeln!(out, "Resources:")?;
    writeln!(out, " CPUs:\t\t\t{}", description.resources.nano_cpus / 1_000_000_000)?;
    writeln!(out, " Memory:\t\t{}", human::size_binary(description.resources.memory_bytes))?;
    writeln!(out, "Engine Version:\t\t{}", description.engine.engine_version)?;
    for (key, value) in &description.engine.labels {
        writeln!(out, " - {key}={value}")?;
    }
    Ok(())
}
