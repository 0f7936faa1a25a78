//! The domain: what a swarm consists of, in types that carry its rules.
//!
//! Nothing here does anything but parse, print and compare. Objects ([`Service`], [`Task`], [`Node`], [`Network`],
//! [`Payload`], [`Cluster`]) are what the store holds; specs are the user's wish inside them; [`AssignmentSet`] is what a worker is
//! told; [`ControlRequest`] is what the doors ask of the leader.

mod assignment;
mod cluster;
mod container;
mod control;
mod id;
mod log;
mod meta;
mod network;
mod node;
mod payload;
mod service;
mod task;
mod tunnel;
mod verification;

pub use assignment::{
    AssignmentDiff, AssignmentSet, Drained, NetworkAssignment, NetworkService, NetworkTask, PayloadAssignment,
    PeerEndpoints, Revision, ServiceBackend, ServiceEndpoints, ServiceSet, TaskAssignment, TaskReport,
};
pub use cluster::{CaConfig, Cluster, ClusterSpec, JoinTokens, RaftConfig, RootCa, Sensitive, TokenRotation};
pub use container::{
    BindOptions, ContainerSpec, DnsConfig, HealthCheck, Mount, MountKind, MountPropagation, Privileges,
    PullCredentials, TmpfsOptions, Ulimit, VolumeOptions,
};
pub use control::{
    ControlError, ControlErrorKind, ControlReply, ControlRequest, NodeView, Reference, Rollback, ServiceStatus,
    ServiceView, TaskFilter,
};
pub use id::{ClusterId, Id, IdError, NetworkId, NodeId, PayloadId, ServiceId, TaskId};
pub use log::{LogOptions, LogRequest, LogRequestId, LogResume, LogTarget};
pub use meta::{Labels, Meta, Timestamp, Version};
pub use network::{Cidr, CidrError, IpamConfig, LocalNetwork, Network, NetworkDriver, NetworkSpec};
pub use node::{
    Availability, ManagerStatus, Node, NodeDescription, NodeSpec, NodeState, NodeStatus, Platform, Plugin,
    Reachability, Role,
};
pub use payload::{
    FileTarget, Payload, PayloadKind, PayloadReference, PayloadSpec, PayloadTarget, SensitiveBytes, TemplateDriver,
};
pub use service::{
    Endpoint, EndpointMode, EndpointSpec, FailureAction, LogDriver, NetworkAttachmentSpec, Placement, PortConfig,
    PortProtocol, Preference, PublishMode, ResourceLimits, ResourceReservations, Resources, RestartCondition,
    RestartPolicy, Service, ServiceMode, ServiceSpec, TaskSpec, UpdateConfig, UpdateOrder, UpdateState, UpdateStatus,
    VirtualIp,
};
pub use task::{NetworkAttachment, PortStatus, Task, TaskExit, TaskState, TaskStatus};
pub use tunnel::{TunnelKey, TunnelKeyError};
pub use verification::{EndpointDigest, HostState, HostVerification, Verification};
