//! The daemon itself.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use shoal_api::types::{
    AuthConfig, AuthStatus, Commit, DiskUsage, LocalNodeState, Peer, PluginsInfo, RuntimeInfo, SwarmInfo, SystemInfo,
    SystemVersion, VersionComponent,
};
use shoal_api::{ApiError, EventFeed, SwarmMembership, SystemBackend};
use tokio::sync::broadcast::error::RecvError;

use super::{Fake, NODE_ID};

#[async_trait]
impl SystemBackend for Fake {
    fn server_version(&self) -> String {
        "0.1.0".into()
    }

    fn swarm_membership(&self) -> SwarmMembership {
        SwarmMembership { state: LocalNodeState::Active, manager: true }
    }

    async fn version(&self) -> Result<SystemVersion, ApiError> {
        self.note("version()".into());
        Ok(SystemVersion {
            version: "0.1.0".into(),
            os: "linux".into(),
            arch: "amd64".into(),
            kernel_version: "6.18.0".into(),
            components: vec![VersionComponent {
                name: "Engine".into(),
                version: "0.1.0".into(),
                details: [("Os".into(), "linux".into()), ("Arch".into(), "amd64".into())].into(),
            }],
            ..SystemVersion::default()
        })
    }

    async fn info(&self) -> Result<SystemInfo, ApiError> {
        self.note("info()".into());
        Ok(SystemInfo {
            id: "engine".into(),
            containers: 1,
            containers_running: 1,
            images: 1,
            driver: "overlay2".into(),
            plugins: PluginsInfo { network: vec!["host".into()], ..PluginsInfo::default() },
            cgroup_driver: "cgroupfs".into(),
            cgroup_version: "1".into(),
            kernel_version: "6.18.0".into(),
            operating_system: "Debian".into(),
            os_type: "linux".into(),
            architecture: "x86_64".into(),
            n_cpu: 2,
            mem_total: 1 << 30,
            name: "host-1".into(),
            server_version: "0.1.0".into(),
            default_runtime: "shoal".into(),
            runtimes: [("shoal".into(), RuntimeInfo::default())].into(),
            runc_commit: Commit { id: "none".into() },
            swarm: SwarmInfo {
                node_id: NODE_ID.into(),
                node_addr: "10.0.0.1".into(),
                local_node_state: LocalNodeState::Active,
                control_available: true,
                nodes: 1,
                managers: 1,
                remote_managers: Some(vec![Peer { node_id: NODE_ID.into(), addr: "10.0.0.1:2377".into() }]),
                ..SwarmInfo::default()
            },
            ..SystemInfo::default()
        })
    }

    async fn disk_usage(&self) -> Result<DiskUsage, ApiError> {
        self.note("disk_usage()".into());
        Ok(DiskUsage { layers_size: 7, ..DiskUsage::default() })
    }

    async fn authenticate(&self, auth: AuthConfig) -> Result<AuthStatus, ApiError> {
        self.note(format!("authenticate({auth:?})"));
        if auth.password != "right" {
            return Err(ApiError::unauthorized("incorrect username or password"));
        }
        Ok(AuthStatus { status: "Login Succeeded".into(), ..AuthStatus::default() })
    }

    async fn events(&self) -> Result<EventFeed, ApiError> {
        let state = self.noted("events()".into());
        let live = futures_util::stream::unfold(self.events.subscribe(), |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((Ok(event), receiver)),
                Err(RecvError::Closed) => None,
                Err(lagged) => Some((Err(ApiError::system(lagged.to_string())), receiver)),
            }
        });
        Ok(EventFeed { past: state.past_events.clone(), live: live.boxed() })
    }
}
