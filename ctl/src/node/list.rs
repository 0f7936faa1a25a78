//! `shoal node ls`.

use shoal_api::types::{Node, NodeAvailability, NodeState, Reachability, SystemInfo};

use crate::error::{EXIT_DONE, Error};
use crate::flags::ListFlags;
use crate::output::console::print;
use crate::output::order::natural;
use crate::output::{Listing, Row};
use crate::transport::Client;

pub(crate) async fn list(flags: ListFlags, client: &Client) -> Result<u8, Error> {
    let call = client.get("/nodes", "list the nodes").filters(&flags.filters());
    let nodes: Vec<Node> = call.fetch().await?;
    let info: SystemInfo = client.get("/info", "find this node").fetch().await?;
    print(&listing(nodes, &info.swarm.node_id).render(&flags.style())?)?;
    Ok(EXIT_DONE)
}

fn listing(mut nodes: Vec<Node>, own: &str) -> Listing {
    nodes.sort_by(|left, right| natural(&left.description.hostname, &right.description.hostname));
    Listing {
        table: vec![
            ("MarkedID", "ID"),
            ("Hostname", "HOSTNAME"),
            ("Status", "STATUS"),
            ("Availability", "AVAILABILITY"),
            ("ManagerStatus", "MANAGER STATUS"),
            ("EngineVersion", "ENGINE VERSION"),
        ],
        further: vec![("ID", "ID"), ("Self", ""), ("TLSStatus", "TLS STATUS")],
        identifier: "ID",
        rows: nodes.iter().map(|node| row(node, node.id == own)).collect(),
    }
}

fn row(node: &Node, own: bool) -> Row {
    Row::default()
        .with("MarkedID", format!("{} {}", node.id, if own { "*" } else { " " }))
        .with("ID", &node.id)
        .with_flag("Self", own)
        .with("Hostname", &node.description.hostname)
        .with("Status", state(node.status.state))
        .with("Availability", availability(node.spec.availability))
        .with("ManagerStatus", manager(node))
        .with("EngineVersion", &node.description.engine.engine_version)
        .with("TLSStatus", if node.description.tls_info.trust_root.is_empty() { "Unknown" } else { "Ready" })
}

/// A node's state as lists show it.
pub(super) fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Unknown => "Unknown",
        NodeState::Down => "Down",
        NodeState::Ready => "Ready",
        NodeState::Disconnected => "Disconnected",
    }
}

/// A node's availability as lists show it.
pub(super) fn availability(availability: NodeAvailability) -> &'static str {
    match availability {
        NodeAvailability::Active => "Active",
        NodeAvailability::Pause => "Pause",
        NodeAvailability::Drain => "Drain",
    }
}

/// A node's part in the managers' quorum; empty for workers.
pub(super) fn manager(node: &Node) -> &'static str {
    match &node.manager_status {
        None => "",
        Some(status) if status.leader => "Leader",
        Some(status) => match status.reachability {
            Reachability::Unknown => "Unknown",
            Reachability::Unreachable => "Unreachable",
            Reachability::Reachable => "Reachable",
        },
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::types::ManagerStatus;

    use super::*;
    use crate::output::Style;

    fn nodes() -> Vec<Node> {
        ["host10", "host2"]
            .into_iter()
            .zip(["bbbbbbbbbbbbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaaaaaaaaaaaa"])
            .map(|(host, id)| {
                let mut node = Node { id: id.into(), ..Node::default() };
                node.description.hostname = host.into();
                node.description.engine.engine_version = "0.1.0".into();
                node.status.state = NodeState::Ready;
                if host == "host2" {
                    node.manager_status = Some(ManagerStatus { leader: true, ..ManagerStatus::default() });
                }
                node
            })
            .collect()
    }

    #[test]
    fn the_table_has_dockers_layout() {
        let listing = listing(nodes(), "aaaaaaaaaaaaaaaaaaaaaaaaa");
        insta::assert_snapshot!(listing.render(&Style::Table).unwrap(), @r"
        ID                            HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION
        aaaaaaaaaaaaaaaaaaaaaaaaa *   host2      Ready     Active         Leader           0.1.0
        bbbbbbbbbbbbbbbbbbbbbbbbb     host10     Ready     Active                          0.1.0
        ");
        assert_eq!(listing.render(&Style::Quiet).unwrap(), "aaaaaaaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbbbbbbbbbbb\n");
    }
}
