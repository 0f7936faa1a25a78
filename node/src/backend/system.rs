//! The daemon itself: version, information, membership.

use std::fs;

use async_trait::async_trait;
use shoal_api::types::{
    AuthConfig, AuthStatus, DiskUsage, IndexConfig, LocalNodeState, Peer, PluginsInfo, RegistryConfig, RuntimeInfo,
    SwarmInfo, SystemInfo, SystemVersion, VersionComponent, VersionPlatform,
};
use shoal_api::{ApiError, ContainerBackend, ContainerListQuery, EventFeed, ImageBackend, ImageListQuery};
use shoal_api::{SwarmMembership, SystemBackend};
use shoal_proto::model::Role;
use tokio::runtime::Handle;

use super::Daemon;
use crate::docker;
use crate::host::HostFacts;
use crate::swarm::Membership;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[async_trait]
impl SystemBackend for Daemon {
    fn server_version(&self) -> String {
        VERSION.to_owned()
    }

    fn swarm_membership(&self) -> SwarmMembership {
        let view = self.swarm.view();
        SwarmMembership { state: local_state(view.membership), manager: view.manager.is_some() }
    }

    async fn version(&self) -> Result<SystemVersion, ApiError> {
        let facts = HostFacts::gather();
        let arch = go_architecture(&facts.machine).to_owned();
        let detail = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let details = [
            detail("Os", "linux"),
            detail("Arch", &arch),
            detail("KernelVersion", &facts.kernel),
            detail("Experimental", "false"),
        ];
        let component = VersionComponent {
            name: "Engine".to_owned(),
            version: VERSION.to_owned(),
            details: details.into_iter().collect(),
        };
        Ok(SystemVersion {
            platform: VersionPlatform { name: "Shoal".to_owned() },
            version: VERSION.to_owned(),
            os: "linux".to_owned(),
            arch,
            kernel_version: facts.kernel,
            components: vec![component],
            ..SystemVersion::default()
        })
    }

    async fn info(&self) -> Result<SystemInfo, ApiError> {
        let facts = HostFacts::gather();
        let containers = self.list_containers(ContainerListQuery { all: true, ..Default::default() }).await?;
        let running = containers.iter().filter(|container| container.state == "running").count();
        let images = self.list_images(ImageListQuery::default()).await?.len();
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Ok(SystemInfo {
            id: self.engine_id.to_string(),
            containers: count(containers.len()),
            containers_running: count(running),
            containers_stopped: count(containers.len() - running),
            images: count(images),
            driver: "overlay2".to_owned(),
            driver_status: vec![["Backing Filesystem".to_owned(), "overlayfs".to_owned()]],
            docker_root_dir: self.settings.data_root.display().to_string(),
            plugins: PluginsInfo {
                volume: names(&["local"]),
                network: names(&["bridge", "host", "null", "overlay"]),
                log: names(&["json-file", "none"]),
                ..PluginsInfo::default()
            },
            memory_limit: true,
            swap_limit: true,
            cpu_cfs_period: true,
            cpu_cfs_quota: true,
            cpu_shares: true,
            cpu_set: true,
            pids_limit: true,
            ipv4_forwarding: true,
            debug: self.settings.log_level == "debug",
            n_fd: u64::try_from(fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)).unwrap_or(u64::MAX),
            // Tasks of the runtime are what goroutines are there.
            n_goroutines: u64::try_from(Handle::current().metrics().num_alive_tasks()).unwrap_or(u64::MAX),
            n_events_listener: u64::try_from(self.events.listeners()).unwrap_or(u64::MAX),
            logging_driver: "json-file".to_owned(),
            cgroup_driver: "cgroupfs".to_owned(),
            cgroup_version: facts.cgroup_version.to_string(),
            kernel_version: facts.kernel,
            operating_system: facts.operating_system,
            os_type: "linux".to_owned(),
            architecture: facts.machine,
            n_cpu: facts.cpus,
            mem_total: i64::try_from(facts.memory).unwrap_or(i64::MAX),
            index_server_address: "https://index.docker.io/v1/".to_owned(),
            registry_config: self.registry_config(),
            name: facts.hostname,
            labels: self.settings.labels.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            server_version: VERSION.to_owned(),
            runtimes: [("shoal".to_owned(), RuntimeInfo { path: "shoal-runtime".to_owned(), ..Default::default() })]
                .into(),
            default_runtime: "shoal".to_owned(),
            swarm: self.swarm_info().await,
            live_restore_enabled: true,
            security_options: names(&["name=seccomp,profile=builtin", "name=cgroupns"]),
            system_time: docker::timestamp(crate::swarm::now()).to_string(),
            ..SystemInfo::default()
        })
    }

    async fn disk_usage(&self) -> Result<DiskUsage, ApiError> {
        let mut images = self.list_images(ImageListQuery::default()).await?;
        let containers = self.list_containers(ContainerListQuery { all: true, ..Default::default() }).await?;
        for image in &mut images {
            let of_image = containers.iter().filter(|container| container.image_id == image.id).count();
            image.containers = i64::try_from(of_image).unwrap_or(i64::MAX);
        }
        let layers_size = images.iter().map(|image| image.size).sum();
        Ok(DiskUsage { layers_size, images, containers, ..DiskUsage::default() })
    }

    async fn authenticate(&self, _auth: AuthConfig) -> Result<AuthStatus, ApiError> {
        Err(ApiError::not_implemented(
            "credentials can't be checked by this release: write them to the client's config.json; pulls use them from there",
        ))
    }

    async fn events(&self) -> Result<EventFeed, ApiError> {
        self.event_feed().await
    }
}

impl Daemon {
    fn registry_config(&self) -> RegistryConfig {
        let docker_hub = IndexConfig {
            name: "docker.io".to_owned(),
            secure: true,
            official: true,
            mirrors: self.settings.registry_mirrors.clone(),
        };
        let (networks, hosts): (Vec<_>, Vec<_>) =
            self.settings.insecure_registries.iter().cloned().partition(|registry| registry.contains('/'));
        let insecure = |name: String| {
            let config = IndexConfig { name: name.clone(), mirrors: Vec::new(), secure: false, official: false };
            (name, config)
        };
        let loopback = ["127.0.0.0/8", "::1/128"].map(str::to_owned);
        RegistryConfig {
            insecure_registry_cidrs: networks.into_iter().chain(loopback).collect(),
            index_configs: hosts.into_iter().map(insecure).chain([("docker.io".to_owned(), docker_hub)]).collect(),
            mirrors: Some(self.settings.registry_mirrors.clone()),
        }
    }

    async fn swarm_info(&self) -> SwarmInfo {
        let view = self.swarm.view();
        let mut info = SwarmInfo {
            node_id: view.node.map(|node| node.to_string()).unwrap_or_default(),
            node_addr: view.address.clone(),
            local_node_state: local_state(view.membership),
            control_available: view.manager.is_some(),
            error: view.error.clone(),
            ..SwarmInfo::default()
        };
        if view.membership != Membership::Active {
            return info;
        }
        info.remote_managers =
            Some(view.managers.iter().map(|addr| Peer { node_id: String::new(), addr: addr.clone() }).collect());
        let Ok(control) = self.control() else { return info };
        // Information must not hang on an election: what the managers do not say now stays empty.
        let asked =
            async { Ok::<_, ApiError>((control.cluster().await?, control.tls_info().await?, control.nodes().await?)) };
        match asked.await {
            Ok((cluster, tls, nodes)) => {
                info.cluster = Some(docker::cluster_info(&cluster, tls));
                info.nodes = nodes.len() as u64;
                info.managers = nodes.iter().filter(|node| node.node.role == Role::Manager).count() as u64;
                let peer = |node: &shoal_proto::model::NodeView| {
                    let addr = node.node.manager.as_ref()?.address.clone();
                    Some(Peer { node_id: node.node.id.to_string(), addr })
                };
                info.remote_managers = Some(nodes.iter().filter_map(peer).collect());
                if info.managers == 2 {
                    info.warnings.push(
                        "the swarm has two managers: the loss of either stops all changes; promote a third".to_owned(),
                    );
                }
            }
            Err(error) => info.error = error.message,
        }
        info
    }
}

fn local_state(membership: Membership) -> LocalNodeState {
    match membership {
        Membership::Inactive => LocalNodeState::Inactive,
        Membership::Pending => LocalNodeState::Pending,
        Membership::Active => LocalNodeState::Active,
        Membership::Error => LocalNodeState::Error,
    }
}

fn go_architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn count(number: usize) -> u64 {
    number as u64
}
