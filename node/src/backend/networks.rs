//! Networks: the swarm's, and the three that every host has.

use async_trait::async_trait;
use shoal_api::types::{
    Filters, HostVerification, NetworkCreateRequest, NetworkCreateResponse, NetworkResource, VolumeListResponse,
};
use shoal_api::{ApiError, NetworkBackend, NetworkInspectQuery};
use shoal_proto::model::{ControlRequest, NetworkDriver};

use super::Daemon;
use super::control::bad_word;
use crate::docker;

/// Every host has these, in a swarm or not.
const LOCAL: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];

#[async_trait]
impl NetworkBackend for Daemon {
    async fn list_networks(&self, filters: Filters) -> Result<Vec<NetworkResource>, ApiError> {
        let mut networks: Vec<NetworkResource> =
            LOCAL.iter().map(|(name, driver)| local_network(name, driver)).collect();
        if let Ok(control) = self.control() {
            let overlays =
                control.networks().await?.into_values().filter(|one| one.spec.driver == NetworkDriver::Overlay);
            networks.extend(overlays.map(docker::network_resource));
        }
        networks.retain(|network| {
            filters.matches("name", |value| network.name.contains(value))
                && filters.matches_prefix("id", &network.id)
                && filters.matches_exact("driver", &network.driver)
                && filters.matches_exact("scope", &network.scope)
                && filters.matches_labels("label", &network.labels)
        });
        Ok(networks)
    }

    async fn inspect_network(&self, id: &str, query: NetworkInspectQuery) -> Result<NetworkResource, ApiError> {
        let local = LOCAL.iter().find(|(name, _)| *name == id);
        if let Some((name, driver)) = local.filter(|_| query.scope != "swarm") {
            return Ok(local_network(name, driver));
        }
        match self.control() {
            Ok(control) => control.network(id).await.map(docker::network_resource),
            Err(_) => Err(ApiError::not_found(format!("network {id} not found"))),
        }
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

    async fn list_volumes(&self, filters: Filters) -> Result<VolumeListResponse, ApiError> {
        self.local_volumes(&filters).await
    }
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
