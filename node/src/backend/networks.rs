//! Networks: the swarm's, and the three that every host has.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use shoal_api::types::{
    Filters, HostVerification, NetworkCreateRequest, NetworkCreateResponse, NetworkPruneResponse, NetworkResource,
    VolumeListResponse,
};
use shoal_api::{ApiError, ErrorKind, NetworkBackend, NetworkInspectQuery, NetworkPruneQuery};
use shoal_proto::model::{ControlRequest, Network, NetworkDriver, NetworkId, TaskFilter};

use super::Daemon;
use super::control::{Control, bad_word};
use crate::docker;

/// Every host has these, in a swarm or not.
const LOCAL: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];

#[async_trait]
impl NetworkBackend for Daemon {
    async fn list_networks(&self, filters: Filters) -> Result<Vec<NetworkResource>, ApiError> {
        check(&filters)?;
        let mut networks: Vec<NetworkResource> =
            LOCAL.iter().map(|(name, driver)| local_network(name, driver)).collect();
        let dangling = filters.values("dangling").next().map(|value| matches!(value, "true" | "1"));
        match self.control() {
            Ok(control) => {
                let overlays = overlays(&control).await?;
                let unused = match dangling {
                    Some(_) => self.unused(&control, &overlays).await?,
                    None => Vec::new(),
                };
                let wanted =
                    |network: &Network| dangling.is_none_or(|dangling| unused.contains(&network.id) == dangling);
                networks.extend(overlays.into_iter().filter(wanted).map(docker::network_resource));
            }
            // A network is on a host that is no manager because a task there uses it.
            Err(_) if dangling == Some(true) => {}
            Err(_) => {
                let told = self.worker.assignments();
                networks.extend(told.networks.iter().map(|(id, network)| docker::standing_network(*id, network)));
            }
        }
        if dangling == Some(true) {
            networks.retain(|network| network.scope == "swarm");
        }
        networks.retain(|network| is_wanted(network, &filters));
        Ok(networks)
    }

    async fn inspect_network(&self, id: &str, query: NetworkInspectQuery) -> Result<NetworkResource, ApiError> {
        let local = LOCAL.iter().find(|(name, _)| *name == id);
        if let Some((name, driver)) = local.filter(|_| query.scope != "swarm") {
            return Ok(local_network(name, driver));
        }
        let control = match self.control() {
            Ok(control) if query.scope != "local" => control,
            Ok(_) => return Err(not_found(id)),
            Err(_) => return self.inspect_standing(id),
        };
        let network = control.network(id).await?;
        let mut shown = docker::network_resource(network.clone());
        if query.verbose {
            let (services, nodes) = (control.services().await?, control.nodes().await?);
            let tasks = control.tasks(TaskFilter::default()).await?;
            shown.services = docker::network_services(&network, &services, &tasks, &nodes);
        }
        self.add_this_host(network.id, &mut shown);
        Ok(shown)
    }

    async fn create_network(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse, ApiError> {
        let spec = docker::network_spec(request).map_err(bad_word)?;
        let request = ControlRequest::CreateNetwork { spec: Box::new(spec) };
        let id = self.control()?.create_network(request).await?;
        Ok(NetworkCreateResponse { id: id.to_string(), ..NetworkCreateResponse::default() })
    }

    async fn remove_network(&self, id: &str) -> Result<(), ApiError> {
        if LOCAL.iter().any(|(name, _)| *name == id) {
            return Err(ApiError::forbidden(format!("{id} is a pre-defined network and cannot be removed")));
        }
        self.control()?.done(ControlRequest::RemoveNetwork { reference: id.to_owned() }).await
    }

    async fn verify_networks(&self) -> Result<Vec<HostVerification>, ApiError> {
        let hosts = self.control()?.verify_networks().await?;
        Ok(hosts.into_iter().map(docker::host_verification).collect())
    }

    async fn prune_networks(&self, query: NetworkPruneQuery) -> Result<NetworkPruneResponse, ApiError> {
        // Who manages nothing has no network that it could remove.
        let Ok(control) = self.control() else { return Ok(NetworkPruneResponse::default()) };
        let overlays = overlays(&control).await?;
        let unused = self.unused(&control, &overlays).await?;
        let mut deleted = Vec::new();
        for network in overlays.into_iter().filter(|network| unused.contains(&network.id)) {
            let shown = docker::network_resource(network);
            let is_old = query.until.is_none_or(|until| shown.created.0 < until.0);
            let is_named = query.filters.matches_labels("label", &shown.labels)
                && query.filters.matches_no_label("label!", &shown.labels);
            if !is_old || !is_named {
                continue;
            }
            match control.done(ControlRequest::RemoveNetwork { reference: shown.id }).await {
                Ok(()) => deleted.push(shown.name),
                // Somebody uses it, or removed it, since it was looked at.
                Err(error) if matches!(error.kind, ErrorKind::InvalidParameter | ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(NetworkPruneResponse { networks_deleted: Some(deleted) })
    }

    async fn list_volumes(&self, filters: Filters) -> Result<VolumeListResponse, ApiError> {
        self.local_volumes(&filters).await
    }
}

impl Daemon {
    /// A network that stands on this host, which manages nothing: what it was told of it.
    fn inspect_standing(&self, reference: &str) -> Result<NetworkResource, ApiError> {
        let told = self.worker.assignments();
        let is_it = |(id, network): &(&NetworkId, &shoal_proto::model::NetworkAssignment)| {
            network.name == reference || id.to_string().starts_with(reference)
        };
        let mut found = told.networks.iter().filter(is_it);
        match (found.next(), found.next()) {
            (Some((id, network)), None) => {
                let mut shown = docker::standing_network(*id, network);
                self.add_this_host(*id, &mut shown);
                Ok(shown)
            }
            (Some(_), Some(_)) => Err(ApiError::invalid_parameter(format!(
                "network {reference} is ambiguous: several begin so, give more characters"
            ))),
            (None, _) => Err(not_found(reference)),
        }
    }

    /// What only this host knows: its containers on the network, and with whom it shares it.
    fn add_this_host(&self, id: NetworkId, shown: &mut NetworkResource) {
        shown.containers = docker::network_containers(id, &self.worker.containers().list());
        let view = self.swarm.view();
        if let Some(node) = view.node {
            let address = view.address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            shown.peers = docker::network_peers(id, (node, address), &self.worker.assignments());
        }
    }

    /// Those that nobody uses; the routing mesh's is not among them.
    async fn unused(&self, control: &Control, networks: &[Network]) -> Result<Vec<NetworkId>, ApiError> {
        let (services, tasks) = (control.services().await?, control.tasks(TaskFilter::default()).await?);
        let unused =
            networks.iter().filter(|network| !network.spec.ingress && !docker::is_used(network, &services, &tasks));
        Ok(unused.map(|network| network.id).collect())
    }
}

async fn overlays(control: &Control) -> Result<Vec<Network>, ApiError> {
    let networks = control.networks().await?.into_values();
    Ok(networks.filter(|network| network.spec.driver == NetworkDriver::Overlay).collect())
}

/// Refuses words that these filters do not have.
fn check(filters: &Filters) -> Result<(), ApiError> {
    for (key, known) in [("type", &["custom", "builtin"][..]), ("dangling", &["true", "false", "1", "0"])] {
        if let Some(other) = filters.values(key).find(|value| !known.contains(value)) {
            let words = known.join(" or ");
            return Err(ApiError::invalid_parameter(format!("invalid filter '{key}={other}': {words} is expected")));
        }
    }
    Ok(())
}

fn is_wanted(network: &NetworkResource, filters: &Filters) -> bool {
    let is_builtin = network.ingress || LOCAL.iter().any(|(name, _)| *name == network.name);
    let kind = if is_builtin { "builtin" } else { "custom" };
    filters.matches("name", |value| network.name.contains(value))
        && filters.matches_prefix("id", &network.id)
        && filters.matches_exact("driver", &network.driver)
        && filters.matches_exact("scope", &network.scope)
        && filters.matches_exact("type", kind)
        && filters.matches_labels("label", &network.labels)
}

fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("network {id} not found"))
}

fn local_network(name: &str, driver: &str) -> NetworkResource {
    NetworkResource {
        name: name.to_owned(),
        id: name.to_owned(),
        scope: "local".to_owned(),
        driver: driver.to_owned(),
        enable_ipv4: true,
        ..NetworkResource::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_networks() {
        let ingress = NetworkResource { name: "ingress".into(), ingress: true, ..local_network("a1", "overlay") };
        let mut net = NetworkResource { scope: "swarm".into(), ..local_network("net", "overlay") };
        net.labels.insert("tier".into(), "front".into());
        let all = [local_network("host", "host"), ingress, net];
        for (text, wanted) in [
            (r#"{}"#, vec!["host", "ingress", "net"]),
            (r#"{"type":["custom"]}"#, vec!["net"]),
            (r#"{"type":["builtin"]}"#, vec!["host", "ingress"]),
            (r#"{"driver":["overlay"],"scope":["swarm"]}"#, vec!["net"]),
            (r#"{"name":["ost","et"]}"#, vec!["host", "net"]),
            (r#"{"label":["tier=front"]}"#, vec!["net"]),
            (r#"{"id":["ne"]}"#, vec!["net"]),
        ] {
            let filters = Filters::parse(text).unwrap();
            let chosen: Vec<&str> =
                all.iter().filter(|one| is_wanted(one, &filters)).map(|one| one.name.as_str()).collect();
            assert_eq!(chosen, wanted, "{text}");
        }
        let refused = check(&Filters::parse(r#"{"type":["odd"]}"#).unwrap()).unwrap_err();
        assert_eq!(refused.message, "invalid filter 'type=odd': custom or builtin is expected");
        assert!(check(&Filters::parse(r#"{"dangling":["maybe"]}"#).unwrap()).is_err());
    }
}
