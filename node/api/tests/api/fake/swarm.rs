//! The swarm: one manager.

use async_trait::async_trait;
use shoal_api::types::{
    EngineDescription, Filters, HostVerification, InitRequest, JoinRequest, JoinTokens, ManagerStatus,
    NetworkCreateRequest, NetworkCreateResponse, NetworkPruneResponse, NetworkResource, Node, NodeDescription,
    NodeRole, NodeSpec, NodeState, NodeStatus, Platform, Reachability, Swarm, SwarmSpec, Version, Volume,
    VolumeListResponse,
};
use shoal_api::{ApiError, NetworkBackend, NetworkInspectQuery, NetworkPruneQuery, SwarmBackend, SwarmUpdateQuery};

use super::{Fake, NODE_ID, no_such, time};

pub(crate) fn node() -> Node {
    Node {
        id: NODE_ID.into(),
        version: Version { index: 9 },
        created_at: time(1),
        updated_at: time(2),
        spec: NodeSpec { role: NodeRole::Manager, ..NodeSpec::default() },
        description: NodeDescription {
            hostname: "host-1".into(),
            platform: Platform { architecture: "x86_64".into(), os: "linux".into() },
            engine: EngineDescription { engine_version: "0.1.0".into(), ..EngineDescription::default() },
            ..NodeDescription::default()
        },
        status: NodeStatus { state: NodeState::Ready, addr: "10.0.0.1".into(), ..NodeStatus::default() },
        manager_status: Some(ManagerStatus {
            leader: true,
            reachability: Reachability::Reachable,
            addr: "10.0.0.1:2377".into(),
        }),
    }
}

fn only_node(id: &str) -> Result<(), ApiError> {
    if [NODE_ID, "host-1"].contains(&id) { Ok(()) } else { Err(no_such("node", id)) }
}

#[async_trait]
impl SwarmBackend for Fake {
    async fn inspect_swarm(&self) -> Result<Swarm, ApiError> {
        self.note("inspect_swarm()".into());
        let join_tokens = JoinTokens { worker: "SWMTKN-1-w".into(), manager: "SWMTKN-1-m".into() };
        Ok(Swarm { join_tokens, ..Swarm::default() })
    }

    async fn init_swarm(&self, request: InitRequest) -> Result<String, ApiError> {
        self.note(format!("init_swarm({:?}, {:?})", request.listen_addr, request.default_addr_pool));
        Ok(NODE_ID.into())
    }

    async fn join_swarm(&self, request: JoinRequest) -> Result<(), ApiError> {
        self.note(format!("join_swarm({request:?})"));
        Err(ApiError::unavailable(
            "This node is already part of a swarm. Use \"docker swarm leave\" to leave this swarm",
        ))
    }

    async fn leave_swarm(&self, force: bool) -> Result<(), ApiError> {
        self.note(format!("leave_swarm({force})"));
        if !force {
            self.leaving.acquire().await.unwrap().forget();
            self.note("left the swarm".into());
        }
        Ok(())
    }

    async fn update_swarm(&self, query: SwarmUpdateQuery, spec: SwarmSpec) -> Result<(), ApiError> {
        self.note(format!("update_swarm({query:?}, {:?})", spec.name));
        Ok(())
    }

    async fn unlock_key(&self) -> Result<String, ApiError> {
        self.note("unlock_key()".into());
        Ok(String::new())
    }

    async fn unlock_swarm(&self, key: String) -> Result<(), ApiError> {
        self.note(format!("unlock_swarm({key:?})"));
        Err(ApiError::conflict("swarm is not locked"))
    }

    async fn list_nodes(&self, filters: Filters) -> Result<Vec<Node>, ApiError> {
        self.note(format!("list_nodes({})", filters.to_json()));
        Ok(vec![node()])
    }

    async fn inspect_node(&self, id: &str) -> Result<Node, ApiError> {
        self.note(format!("inspect_node({id})"));
        only_node(id).map(|()| node())
    }

    async fn update_node(&self, id: &str, version: u64, spec: NodeSpec) -> Result<(), ApiError> {
        self.note(format!("update_node({id}, {version}, {spec:?})"));
        only_node(id)
    }

    async fn remove_node(&self, id: &str, force: bool) -> Result<(), ApiError> {
        self.note(format!("remove_node({id}, {force})"));
        only_node(id)
    }
}

#[async_trait]
impl NetworkBackend for Fake {
    async fn list_networks(&self, filters: Filters) -> Result<Vec<NetworkResource>, ApiError> {
        self.note(format!("list_networks({})", filters.to_json()));
        Ok(vec![host_network()])
    }

    async fn inspect_network(&self, id: &str, query: NetworkInspectQuery) -> Result<NetworkResource, ApiError> {
        self.note(format!("inspect_network({id}, {query:?})"));
        if id == "host" { Ok(host_network()) } else { Err(no_such("network", id)) }
    }

    async fn create_network(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse, ApiError> {
        self.note(format!("create_network({})", request.name));
        Ok(NetworkCreateResponse { id: "net1".into(), warning: String::new() })
    }

    async fn remove_network(&self, id: &str) -> Result<(), ApiError> {
        self.note(format!("remove_network({id})"));
        Ok(())
    }

    async fn verify_networks(&self) -> Result<Vec<HostVerification>, ApiError> {
        let differences = vec!["host of 10.0.0.3: shows nothing, should show 192.168.0.2".to_owned()];
        let host = HostVerification {
            node_id: NODE_ID.into(),
            hostname: "host-1".into(),
            state: "differs".into(),
            differences,
        };
        Ok(vec![host])
    }

    async fn prune_networks(&self, query: NetworkPruneQuery) -> Result<NetworkPruneResponse, ApiError> {
        self.note(format!(
            "prune_networks({:?}, {})",
            query.until.map(|until| until.unix_nanos()),
            query.filters.to_json()
        ));
        Ok(NetworkPruneResponse { networks_deleted: Some(vec!["old".into()]) })
    }

    async fn list_volumes(&self, filters: Filters) -> Result<VolumeListResponse, ApiError> {
        self.note(format!("list_volumes({})", filters.to_json()));
        let volume = Volume { name: "data".into(), driver: "local".into(), scope: "local".into(), ..Volume::default() };
        Ok(VolumeListResponse { volumes: vec![volume], warnings: None })
    }
}

fn host_network() -> NetworkResource {
    NetworkResource {
        name: "host".into(),
        id: "hostnet".into(),
        scope: "local".into(),
        driver: "host".into(),
        created: time(1),
        ..NetworkResource::default()
    }
}
