//! `shoal ps`.

use clap::Args;
use shoal_api::types::{ContainerSummary, PortSummary};
use time::OffsetDateTime;

use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::print;
use crate::output::{Listing, Row, human};
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "int", default_value_t = -1, hide_default_value = true)]
    last: i64,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    #[command(flatten)]
    list: ListFlags,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
}

pub(crate) async fn list(args: ListArgs, client: &Client) -> Result<u8, Error> {
    let mut call = client.get("/containers/json", "list the containers").filters(&args.list.filters());
    if args.all {
        call = call.query("all", "1");
    }
    let last = if args.latest { 1 } else { args.last };
    if last > 0 {
        call = call.query("limit", last.to_string());
    }
    if args.size {
        call = call.query("size", "1");
    }
    let containers: Vec<ContainerSummary> = call.fetch().await?;
    print(&listing(&containers, &args, OffsetDateTime::now_utc()).render(&args.list.style())?)?;
    Ok(EXIT_DONE)
}

fn listing(containers: &[ContainerSummary], args: &ListArgs, now: OffsetDateTime) -> Listing {
    let mut table = vec![
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("RunningFor", "CREATED"),
        ("Status", "STATUS"),
        ("Ports", "PORTS"),
        ("Names", "NAMES"),
    ];
    let mut further = vec![
        ("CreatedAt", "CREATED AT"),
        ("State", "STATE"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("Networks", "NETWORKS"),
    ];
    if args.size { &mut table } else { &mut further }.push(("Size", "SIZE"));
    let rows = containers.iter().map(|container| row(container, args.no_trunc, now)).collect();
    Listing { table, further, identifier: "ID", rows }
}

fn row(container: &ContainerSummary, whole: bool, now: OffsetDateTime) -> Row {
    let command = if whole { container.command.clone() } else { human::ellipsis(&container.command, COMMAND_WIDTH) };
    let names: Vec<&str> = container.names.iter().map(|name| name.trim_start_matches('/')).collect();
    let labels: Vec<String> = container.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mounts: Vec<&str> = container
        .mounts
        .iter()
        .map(|mount| if mount.name.is_empty() { &mount.source } else { &mount.name })
        .map(String::as_str)
        .collect();
    let networks: Vec<&str> = container.network_settings.networks.keys().map(String::as_str).collect();
    let size = format!("{} (virtual {})", human::size(container.size_rw, 3), human::size(container.size_root_fs, 3));
    Row::default()
        .with("ID", if whole { &container.id } else { human::short_id(&container.id) })
        .with("Image", if container.image.is_empty() { "<no image>" } else { image(&container.image) })
        .with("Command", format!("\"{command}\""))
        .with("RunningFor", format!("{} ago", human::age_unix(container.created, now)))
        .with("CreatedAt", human::moment_unix(container.created))
        .with("Status", &container.status)
        .with("State", &container.state)
        .with("Ports", ports(&container.ports))
        .with("Names", names.join(","))
        .with("Labels", labels.join(","))
        .with("Mounts", mounts.join(","))
        .with("Networks", networks.join(","))
        .with("Size", size)
}

/// The image without the digest that a service pins it to.
fn image(image: &str) -> &str {
    image.split_once('@').map_or(image, |(name, _)| name)
}

fn ports(ports: &[PortSummary]) -> String {
    let show = |port: &PortSummary| match (port.public_port, port.ip.contains(':')) {
        (0, _) => format!("{}/{}", port.private_port, port.kind),
        (public, true) => format!("[{}]:{public}->{}/{}", port.ip, port.private_port, port.kind),
        (public, false) => format!("{}:{public}->{}/{}", port.ip, port.private_port, port.kind),
    };
    let mut sorted: Vec<&PortSummary> = ports.iter().collect();
    sorted.sort_by_key(|port| (port.private_port, port.public_port, &port.kind, &port.ip));
    sorted.into_iter().map(show).collect::<Vec<_>>().join(", ")
}

/// Characters of a command in the list.
const COMMAND_WIDTH: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Style;

    #[test]
    fn the_table_has_dockers_layout() {
        let container = ContainerSummary {
            id: "0123456789abcdef".into(),
            names: vec!["/web.1.abc".into()],
            image: "reg:5000/web:1@sha256:ab".into(),
            command: "/bin/server --with many words".into(),
            created: 1_000,
            status: "Up 2 minutes".into(),
            ports: vec![
                PortSummary { private_port: 80, kind: "tcp".into(), ..PortSummary::default() },
                PortSummary { ip: "0.0.0.0".into(), private_port: 90, public_port: 8090, kind: "tcp".into() },
            ],
            ..ContainerSummary::default()
        };
        let args =
            ListArgs { all: false, last: -1, latest: false, list: ListFlags::default(), no_trunc: false, size: false };
        let now = OffsetDateTime::from_unix_timestamp(1_150).unwrap();
        insta::assert_snapshot!(listing(&[container], &args, now).render(&Style::Table).unwrap(), @r#"
        CONTAINER ID   IMAGE            COMMAND                  CREATED         STATUS         PORTS                          NAMES
        0123456789ab   reg:5000/web:1   "/bin/server --with …"   2 minutes ago   Up 2 minutes   80/tcp, 0.0.0.0:8090->90/tcp   web.1.abc
        "#);
    }
}
