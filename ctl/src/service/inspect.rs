//! `shoal service inspect`, whole or for people.

use std::fmt::{self, Write};

use clap::Args;
use serde_json::Value;
use shoal_api::types::{PublishMode, Service, UpdateConfig, UpdateStatus};

use super::list::mode;
use crate::error::{EXIT_DONE, Error};
use crate::flags::duration::Nanoseconds;
use crate::output::console::print;
use crate::output::port::protocol;
use crate::output::{Inspection, human};
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string", conflicts_with = "pretty")]
    format: Option<String>,
    /// Print the information in a human friendly format
    #[arg(long)]
    pretty: bool,
    /// Names or IDs
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

pub(crate) async fn inspect(args: InspectArgs, client: &Client) -> Result<u8, Error> {
    let inspection = Inspection::new(args.format.as_deref())?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.services {
        let call = client.get(format!("/services/{name}"), "inspect the service").query("insertDefaults", "true");
        match call.fetch::<Value>().await {
            Ok(service) => found.push(service),
            Err(error) => failures.push(error),
        }
    }
    if args.pretty {
        for service in found {
            let service = serde_json::from_value(service)
                .map_err(|source| Error::Answer { action: "inspect the service", source: source.into() })?;
            print(&(pretty(&service) + "\n"))?;
        }
    } else {
        print(&inspection.render(&found)?)?;
    }
    Error::all(failures).map(|()| EXIT_DONE)
}

fn pretty(service: &Service) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _infallible = write_pretty(&mut text, service);
    text
}

fn write_pretty(out: &mut String, service: &Service) -> fmt::Result {
    let spec = &service.spec;
    writeln!(out, "\nID:\t\t{}", service.id)?;
    writeln!(out, "Name:\t\t{}", spec.name)?;
    for (key, value) in &spec.labels {
        writeln!(out, " {key}={value}")?;
    }
    writeln!(out, "Service Mode:\t{}", human::capitalised(mode(&spec.mode)))?;
    if let Some(replicas) = spec.mode.replicated.as_ref().and_then(|mode| mode.replicas) {
        writeln!(out, " Replicas:\t{replicas}")?;
    }
    if let Some(job) = &spec.mode.replicated_job {
        writeln!(out, " Max Concurrent:\t{}", job.max_concurrent.unwrap_or(1))?;
        writeln!(out, " Total Completions:\t{}", job.total_completions.unwrap_or(1))?;
    }
    write_update_status(out, service.update_status.as_ref())?;
    let placement = spec.task_template.placement.clone().unwrap_or_default();
    writeln!(out, "Placement:")?;
    if !placement.constraints.is_empty() {
        writeln!(out, " Constraints:\t[{}]", placement.constraints.join(" "))?;
    }
    if placement.max_replicas > 0 {
        writeln!(out, " Max Replicas Per Node:\t{}", placement.max_replicas)?;
    }
    write_update_config(out, "UpdateConfig", spec.update_config.as_ref())?;
    write_update_config(out, "RollbackConfig", spec.rollback_config.as_ref())?;
    write_container(out, service)?;
    write_resources(out, service)?;
    let endpoint = spec.endpoint_spec.clone().unwrap_or_default();
    writeln!(out, "Endpoint Mode:\t{}", format!("{:?}", endpoint.mode.unwrap_or_default()).to_lowercase())?;
    if !service.endpoint.ports.is_empty() {
        writeln!(out, "Ports:")?;
    }
    for port in &service.endpoint.ports {
        let how = if port.publish_mode == PublishMode::Host { "host" } else { "ingress" };
        writeln!(out, " PublishedPort = {}", port.published_port)?;
        writeln!(out, "  Protocol = {}", protocol(port.protocol))?;
        writeln!(out, "  TargetPort = {}", port.target_port)?;
        writeln!(out, "  PublishMode = {how}")?;
    }
    Ok(())
}

fn write_update_status(out: &mut String, status: Option<&UpdateStatus>) -> fmt::Result {
    let Some((status, state)) = status.and_then(|status| Some((status, status.state?))) else { return Ok(()) };
    let state = serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    writeln!(out, "UpdateStatus:\n State:\t\t{state}")?;
    if let Some(started) = status.started_at {
        writeln!(out, " Started:\t{started}")?;
    }
    if let Some(completed) = status.completed_at {
        writeln!(out, " Completed:\t{completed}")?;
    }
    writeln!(out, " Message:\t{}", status.message)
}

fn write_update_config(out: &mut String, title: &str, config: Option<&UpdateConfig>) -> fmt::Result {
    let Some(config) = config else { return Ok(()) };
    writeln!(out, "{title}:\n Parallelism:\t{}", config.parallelism)?;
    if config.delay != 0 {
        writeln!(out, " Delay:\t\t{}", Nanoseconds(config.delay))?;
    }
    writeln!(out, " On failure:\t{}", format!("{:?}", config.failure_action).to_lowercase())?;
    if config.monitor != 0 {
        writeln!(out, " Monitoring Period: {}", Nanoseconds(config.monitor))?;
    }
    writeln!(out, " Max failure ratio: {}", config.max_failure_ratio)?;
    let start_first = config.order == shoal_api::types::UpdateOrder::StartFirst;
    writeln!(out, " Update order:      {}", if start_first { "start-first" } else { "stop-first" })
}

fn write_container(out: &mut String, service: &Service) -> fmt::Result {
    let container = service.spec.task_template.container_spec.clone().unwrap_or_default();
    writeln!(out, "ContainerSpec:\n Image:\t\t{}", container.image)?;
    let lists = [("Command", &container.command), ("Args", &container.args), ("Env", &container.env)];
    for (title, words) in lists {
        if !words.is_empty() {
            writeln!(out, " {title}:\t\t{}", words.join(" "))?;
        }
    }
    for (title, text) in [("Dir", &container.dir), ("User", &container.user), ("Hostname", &container.hostname)] {
        if !text.is_empty() {
            writeln!(out, " {title}:\t\t{text}")?;
        }
    }
    if let Some(init) = container.init {
        writeln!(out, " Init:\t\t{init}")?;
    }
    if !container.mounts.is_empty() {
        writeln!(out, "Mounts:")?;
    }
    for mount in &container.mounts {
        writeln!(out, " Target:\t{}\n  Source:\t{}\n  ReadOnly:\t{}", mount.target, mount.source, mount.read_only)?;
    }
    for secret in &container.secrets {
        writeln!(out, " Secret:\t{}", secret.secret_name)?;
    }
    for config in &container.configs {
        writeln!(out, " Config:\t{}", config.config_name)?;
    }
    Ok(())
}

fn write_resources(out: &mut String, service: &Service) -> fmt::Result {
    let resources = service.spec.task_template.resources.clone().unwrap_or_default();
    let cpus = |nano: i64| nano as f64 / 1e9;
    let reserved = resources.reservations.unwrap_or_default();
    let limits = resources.limits.unwrap_or_default();
    let parts = [
        (reserved.nano_cpus, reserved.memory_bytes, 0, "Reservations"),
        (limits.nano_cpus, limits.memory_bytes, limits.pids, "Limits"),
    ];
    if parts.iter().any(|(cpu, memory, pids, _)| cpu + memory + pids > 0) {
        writeln!(out, "Resources:")?;
    }
    for (cpu, memory, pids, title) in parts {
        if cpu + memory + pids == 0 {
            continue;
        }
        writeln!(out, " {title}:")?;
        if cpu > 0 {
            writeln!(out, "  CPU:\t\t{}", cpus(cpu))?;
        }
        if memory > 0 {
            writeln!(out, "  Memory:\t{}", human::size_binary(memory))?;
        }
        if pids > 0 {
            writeln!(out, "  PIDs:\t\t{pids}")?;
        }
    }
    Ok(())
}
