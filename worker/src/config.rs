//! What a worker is told once, by the daemon that assembles it.

use std::path::PathBuf;
use std::time::Duration;

use shoal_proto::model::{LogDriver, NodeDescription, Ulimit};

use crate::limits::TUNNEL_KEY_AGE;
use crate::network::VipTranslation;

/// What a worker is told once.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// What must survive a restart of the host: images, containers, volumes, assignments.
    pub data_root: PathBuf,
    /// What ends with the host's uptime: the keeper's socket and state, network namespaces.
    pub exec_root: PathBuf,
    /// What this node says of itself to the managers. Its host name is that of containers on the host's network.
    pub description: NodeDescription,
    /// The program `shoal-runtime`.
    pub runtime_binary: PathBuf,
    /// Registries without a valid certificate: host, host:port or CIDR.
    pub insecure_registries: Vec<String>,
    /// Asked before docker.io.
    pub registry_mirrors: Vec<String>,
    /// Absolute cgroup path for containers.
    pub cgroup_parent: Option<String>,
    /// How services' virtual addresses are translated.
    pub vip_translation: VipTranslation,
    /// Resource limits of containers whose spec does not name them.
    pub default_ulimits: Vec<Ulimit>,
    /// Where output goes when the spec does not say; json-file without rotation when absent.
    pub default_log_driver: Option<LogDriver>,
    /// Ask a local image before the registry (`DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1`).
    pub prefer_offline_image: bool,
    /// Age at which the key of encrypted networks is replaced.
    pub tunnel_key_age: Duration,
}

impl WorkerConfig {
    /// The usual settings: Docker's defaults, the runtime as given.
    #[must_use]
    pub fn new(
        data_root: impl Into<PathBuf>,
        exec_root: impl Into<PathBuf>,
        runtime_binary: impl Into<PathBuf>,
    ) -> Self {
        Self {
            data_root: data_root.into(),
            exec_root: exec_root.into(),
            description: NodeDescription::default(),
            runtime_binary: runtime_binary.into(),
            insecure_registries: Vec::new(),
            registry_mirrors: Vec::new(),
            cgroup_parent: None,
            vip_translation: VipTranslation::default(),
            default_ulimits: Vec::new(),
            default_log_driver: None,
            prefer_offline_image: false,
            tunnel_key_age: TUNNEL_KEY_AGE,
        }
    }
}
