//! The JSON of the Docker Engine API as Rust types, one module an object.
//!
//! Owns names, optionality and the way Go writes zero values; knows no HTTP, and judges no value (that is
//! admission's work in the manager). Both directions: the server reads requests and writes answers with the same
//! types as a client writes and reads. Read with [`decode`], which takes `null` for "not given" as Go does.
//! Durations are nanoseconds, sizes are bytes, CPUs are billionths, unless a field says otherwise.

mod auth;
mod base64_bytes;
mod container;
mod container_config;
mod container_spec;
mod events;
mod exec;
mod filters;
mod image;
mod info;
mod json;
mod mount;
mod network;
mod node;
mod progress;
mod resources;
mod secret;
mod service;
mod swarm;
mod system;
mod task;
mod timestamp;
mod volume;

pub use auth::{AuthConfig, AuthStatus};
pub use base64_bytes::Base64Bytes;
pub use container::{
    ContainerHealth, ContainerInspect, ContainerNetworkSettings, ContainerState, ContainerSummary, HealthLogEntry,
    MountPoint, PortSummary, SummaryHostConfig, SummaryNetworkSettings,
};
pub use container_config::{ContainerConfig, HostConfig, LogConfig, PortBinding, RestartPolicyConfig};
pub use container_spec::{
    AppArmorOpts, ConfigReference, ContainerSpec, CredentialSpec, DnsConfig, Empty, FileTarget, HealthConfig,
    Privileges, SeLinuxContext, SeccompOpts, SecretReference, Ulimit,
};
pub use events::{EventActor, EventMessage};
pub use exec::{ExecCreateRequest, ExecInspect, ExecProcessConfig, ExecStartRequest};
pub use filters::{FilterError, Filters};
pub use image::{
    Descriptor, DistributionInspect, ImageConfig, ImageDeleteItem, ImageInspect, ImageMetadata, ImageSummary,
    OciPlatform, RootFs,
};
pub use info::{Commit, IndexConfig, PluginsInfo, RegistryConfig, RuntimeInfo, SystemInfo};
pub use json::{DecodeError, decode};
pub use mount::{BindOptions, ClusterOptions, ImageOptions, Mount, MountType, TmpfsOptions, VolumeOptions};
pub use network::{
    ConfigReferenceName, EndpointIpamConfig, EndpointResource, EndpointSettings, HostVerification, Ipam, IpamConfig,
    NetworkCreateRequest, NetworkCreateResponse, NetworkPeer, NetworkPruneResponse, NetworkResource, NetworkService,
    NetworkServiceTask,
};
pub use node::{
    EngineDescription, ManagerStatus, Node, NodeAvailability, NodeDescription, NodeRole, NodeSpec, NodeState,
    NodeStatus, Platform, PluginDescription, Reachability, TlsInfo,
};
pub use progress::{ErrorDetail, ErrorResponse, IdResponse, ProgressDetail, ProgressMessage, UpperIdResponse};
pub use resources::{
    DiscreteGenericResource, GenericResource, Limit, NamedGenericResource, ResourceRequirements, Resources,
};
pub use secret::{Config, ConfigSpec, Secret, SecretSpec};
pub use service::{
    Endpoint, EndpointMode, EndpointSpec, EndpointVirtualIp, FailureAction, JobStatus, PortConfig, PortProtocol,
    PublishMode, ReplicatedJob, ReplicatedService, Service, ServiceCreateResponse, ServiceMode, ServiceSpec,
    ServiceStatus, ServiceUpdateResponse, UpdateConfig, UpdateOrder, UpdateState, UpdateStatus,
};
pub use swarm::{
    CaConfig, ClusterInfo, DispatcherConfig, EncryptionConfig, ExternalCa, InitRequest, JoinRequest, JoinTokens,
    LocalNodeState, OrchestrationConfig, Peer, RaftConfig, Swarm, SwarmInfo, SwarmSpec, TaskDefaults, UnlockRequest,
    Version,
};
pub use system::{DiskUsage, SystemVersion, VersionComponent, VersionPlatform};
pub use task::{
    ContainerStatus, Driver, NetworkAttachment, NetworkAttachmentConfig, NetworkAttachmentSpec, Placement,
    PlacementPreference, PluginPrivilege, PluginSpec, PortStatus, RestartCondition, RestartPolicy, SpreadOver,
    SwarmIpamConfig, SwarmIpamOptions, SwarmNetwork, SwarmNetworkSpec, Task, TaskSpec, TaskState, TaskStatus,
    VolumeAttachment,
};
pub use timestamp::Timestamp;
pub use volume::{Volume, VolumeCreateRequest, VolumeListResponse, VolumeUsage};

use std::collections::BTreeMap;

/// Labels, driver options and other maps of text.
pub type StringMap = BTreeMap<String, String>;
