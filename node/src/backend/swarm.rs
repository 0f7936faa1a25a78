//! The swarm, and this host's place in it.

use async_trait::async_trait;
use rand::Rng;
use shoal_api::types::{Filters, InitRequest, JoinRequest, Node, NodeSpec, Swarm, SwarmSpec};
use shoal_api::{ApiError, SwarmBackend, SwarmUpdateQuery};
use shoal_manager::ca::{JoinToken, TokenSecret};
use shoal_proto::model::{ClusterSpec, ControlRequest, NodeView, Role, TokenRotation, Version};

use super::Daemon;
use super::control::bad_word;
use crate::docker;
use crate::swarm::{InitParameters, JoinParameters, SwarmError, address};

#[async_trait]
impl SwarmBackend for Daemon {
    async fn inspect_swarm(&self) -> Result<Swarm, ApiError> {
        let control = self.control()?;
        let cluster = control.cluster().await?;
        let tls = control.tls_info().await?;
        Ok(Swarm { cluster: docker::cluster_info(&cluster, tls), join_tokens: docker::join_tokens(&cluster) })
    }

    async fn init_swarm(&self, request: InitRequest) -> Result<String, ApiError> {
        if request.force_new_cluster {
            return Err(ApiError::not_implemented("--force-new-cluster is not there yet in this release"));
        }
        if request.auto_lock_managers {
            return Err(ApiError::not_implemented("--autolock is not there yet in this release"));
        }
        let parameters = InitParameters {
            listen: request.listen_addr,
            advertise: request.advertise_addr,
            data_path: request.data_path_addr,
            data_path_port: request.data_path_port,
            spec: docker::cluster_spec(request.spec, &ClusterSpec::default()).map_err(bad_word)?,
            availability: docker::availability(request.availability),
            default_address_pool: request.default_addr_pool,
            subnet_size: request.subnet_size,
        };
        self.swarm.init(parameters).await.map(|node| node.to_string()).map_err(membership_error)
    }

    async fn join_swarm(&self, request: JoinRequest) -> Result<(), ApiError> {
        let parameters = JoinParameters {
            listen: request.listen_addr,
            advertise: request.advertise_addr,
            data_path: request.data_path_addr,
            remotes: request.remote_addrs.iter().map(|remote| address::remote(remote)).collect(),
            token: request.join_token,
            availability: docker::availability(request.availability),
        };
        self.swarm.join(parameters).await.map_err(membership_error)
    }

    async fn leave_swarm(&self, force: bool) -> Result<(), ApiError> {
        if !force && let Ok(control) = self.control() {
            let nodes = control.nodes().await.unwrap_or_default();
            return Err(ApiError::unavailable(leave_warning(&nodes)));
        }
        self.swarm.leave().await.map_err(membership_error)
    }

    async fn update_swarm(&self, query: SwarmUpdateQuery, spec: SwarmSpec) -> Result<(), ApiError> {
        let control = self.control()?;
        if query.rotate.unlock_key {
            return Err(ApiError::not_implemented("managers are not locked in this release: there is no unlock key"));
        }
        let root = control.cluster().await?.root_ca.certificate_pem;
        let fresh = |wanted: bool| wanted.then(|| JoinToken::new(&root, TokenSecret(rand::rng().random())).to_text());
        let rotation =
            TokenRotation { worker: fresh(query.rotate.worker_token), manager: fresh(query.rotate.manager_token) };
        let request = ControlRequest::UpdateCluster {
            version: Version(query.version),
            spec: Box::new(docker::cluster_spec(spec, &ClusterSpec::default()).map_err(bad_word)?),
            rotation,
        };
        control.done(request).await
    }

    async fn unlock_key(&self) -> Result<String, ApiError> {
        self.control()?;
        // Managers are never locked in this release; Docker answers so too when they are not.
        Ok(String::new())
    }

    async fn unlock_swarm(&self, _key: String) -> Result<(), ApiError> {
        Err(ApiError::conflict("swarm is not locked"))
    }

    async fn list_nodes(&self, filters: Filters) -> Result<Vec<Node>, ApiError> {
        let control = self.control()?;
        let tls = control.tls_info().await?;
        let wanted = control.nodes().await?.into_iter().filter(|view| matches(view, &filters));
        Ok(wanted.map(|view| docker::node(view, &tls)).collect())
    }

    async fn inspect_node(&self, id: &str) -> Result<Node, ApiError> {
        let control = self.control()?;
        let own = self.swarm.view().node.map(|node| node.to_string());
        let reference = if id == "self" { own.unwrap_or_else(|| id.to_owned()) } else { id.to_owned() };
        let tls = control.tls_info().await?;
        Ok(docker::node(control.node(&reference).await?, &tls))
    }

    async fn update_node(&self, id: &str, version: u64, spec: NodeSpec) -> Result<(), ApiError> {
        let control = self.control()?;
        let node = control.node(id).await?.node.id;
        let request = ControlRequest::UpdateNode { node, version: Version(version), spec: docker::node_spec(spec) };
        control.done(request).await
    }

    async fn remove_node(&self, id: &str, force: bool) -> Result<(), ApiError> {
        self.control()?.done(ControlRequest::RemoveNode { reference: id.to_owned(), force }).await
    }
}

fn matches(view: &NodeView, filters: &Filters) -> bool {
    let node = &view.node;
    let role = match node.role {
        Role::Worker => "worker",
        Role::Manager => "manager",
    };
    let engine = node.description.engine_labels.clone().into_iter().collect();
    let labels = node.spec.labels.clone().into_iter().collect();
    filters.matches_prefix("id", &node.id.to_string())
        && filters.matches_prefix("name", &node.description.hostname)
        && filters.matches_exact("role", role)
        && filters.matches_exact("membership", "accepted")
        && filters.matches_labels("label", &engine)
        && filters.matches_labels("node.label", &labels)
}

/// What a manager hears that would leave without force, in Docker's words.
fn leave_warning(nodes: &[NodeView]) -> String {
    let managers = nodes.iter().filter(|view| view.node.manager.is_some()).count();
    let mut text = "You are attempting to leave the swarm on a node that is participating as a manager. ".to_owned();
    if managers <= 1 {
        text.push_str(
            "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ",
        );
        return text;
    }
    let left = managers - 1;
    if left < managers / 2 + 1 {
        text.push_str(&format!(
            "Removing this node leaves {left} managers out of {managers}. Without a Raft quorum your swarm will be \
             inaccessible. "
        ));
    }
    text.push_str(
        "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. \
         Use `--force` to suppress this message.",
    );
    text
}

/// A refusal with the status that Docker gives it.
fn membership_error(error: SwarmError) -> ApiError {
    let chain = ApiError::from_source(&error).message;
    if error.is_request() { ApiError::invalid_parameter(chain) } else { ApiError::unavailable(chain) }
}
