//! `shoal network verify`: whether every host leads connections where the managers want them.

use clap::Args;
use shoal_api::types::HostVerification;

use crate::error::{EXIT_DONE, EXIT_FAILED, Error};
use crate::output::console::print;
use crate::output::order::natural;
use crate::output::{Listing, Row, Style};
use crate::transport::Client;

#[derive(Args, Debug)]
pub(crate) struct NetworkVerifyArgs {
    /// Format output: 'table', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Only display the names of hosts that are not as they should be
    #[arg(short, long)]
    quiet: bool,
}

/// Ends with code 1 when a host differs, failed or did not answer. Hosts that are down serve nobody.
pub(super) async fn verify(args: NetworkVerifyArgs, client: &Client) -> Result<u8, Error> {
    let hosts: Vec<HostVerification> = client.get("/shoal/networks/verify", "verify the networks").fetch().await?;
    let is_well = hosts.iter().all(|host| matches!(host.state.as_str(), "ok" | "down"));
    let style = Style::new(args.format.as_deref(), args.quiet);
    print(&listing(hosts, args.quiet).render(&style)?)?;
    Ok(if is_well { EXIT_DONE } else { EXIT_FAILED })
}

fn listing(mut hosts: Vec<HostVerification>, faulty_only: bool) -> Listing {
    hosts.retain(|host| !faulty_only || !matches!(host.state.as_str(), "ok" | "down"));
    hosts.sort_by(|left, right| natural(&left.hostname, &right.hostname));
    Listing {
        table: vec![("Hostname", "HOST"), ("State", "STATE"), ("Difference", "DIFFERENCE")],
        further: vec![("ID", "ID")],
        identifier: "Hostname",
        rows: hosts.iter().flat_map(rows).collect(),
    }
}

/// A row for each difference; one for a host without any.
fn rows(host: &HostVerification) -> Vec<Row> {
    let row = |difference: &str| {
        Row::default()
            .with("ID", &host.node_id)
            .with("Hostname", &host.hostname)
            .with("State", &host.state)
            .with("Difference", difference)
    };
    match host.differences.as_slice() {
        [] => vec![row(remark(&host.state))],
        differences => differences.iter().map(|difference| row(difference)).collect(),
    }
}

fn remark(state: &str) -> &'static str {
    match state {
        "silent" => "did not answer in time: look whether its daemon runs",
        "down" => "not compared",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, state: &str, differences: &[&str]) -> HostVerification {
        let differences = differences.iter().map(|line| (*line).to_owned()).collect();
        HostVerification { node_id: "n".into(), hostname: name.into(), state: state.into(), differences }
    }

    #[test]
    fn a_row_for_each_difference() {
        let hosts = || {
            vec![
                host("host2", "differs", &["one", "another"]),
                host("host1", "ok", &[]),
                host("host3", "silent", &[]),
                host("host4", "down", &[]),
            ]
        };
        let table = listing(hosts(), false).render(&Style::Table).unwrap();
        let expected = [
            "HOST      STATE     DIFFERENCE",
            "host1     ok",
            "host2     differs   one",
            "host2     differs   another",
            "host3     silent    did not answer in time: look whether its daemon runs",
            "host4     down      not compared",
        ];
        assert_eq!(table.lines().map(str::trim_end).collect::<Vec<_>>(), expected);
        assert_eq!(listing(hosts(), true).render(&Style::Quiet).unwrap(), "host2\nhost2\nhost3\n");
    }
}
