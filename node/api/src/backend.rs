//! What the API asks of the daemon behind it: traits by area, declared here and implemented by whoever runs the
//! server. Objects are named as the client named them: full id, exact name, or an unambiguous prefix of the id.
//!
//! A backend judges values (admission) and filters its own lists; the server has already refused unknown filter
//! keys, malformed JSON and bad queries.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::ApiError;
use crate::query::{
    ContainerListQuery, ImageListQuery, ImageRemoveQuery, LogsQuery, NetworkInspectQuery, NetworkPruneQuery,
    PullRequest, ServiceCreateQuery, ServiceListQuery, ServiceUpdateQuery, SwarmUpdateQuery, TerminalSize,
};
use crate::types::{
    AuthConfig, AuthStatus, Config, ConfigSpec, ContainerInspect, ContainerSummary, DiskUsage, DistributionInspect,
    EventMessage, ExecCreateRequest, ExecInspect, ExecStartRequest, Filters, HostVerification, ImageDeleteItem,
    ImageInspect, ImageSummary, InitRequest, JoinRequest, LocalNodeState, NetworkCreateRequest, NetworkCreateResponse,
    NetworkPruneResponse, NetworkResource, Node, NodeSpec, ProgressMessage, Secret, SecretSpec, Service,
    ServiceCreateResponse, ServiceSpec, ServiceUpdateResponse, StringMap, Swarm, SwarmSpec, SystemInfo, SystemVersion,
    Task, Timestamp, VolumeListResponse,
};

/// Everything that the server needs.
pub trait Backend:
    SystemBackend + SwarmBackend + ServiceBackend + SecretBackend + ImageBackend + ContainerBackend + NetworkBackend
{
}

impl<T> Backend for T where
    T: SystemBackend + SwarmBackend + ServiceBackend + SecretBackend + ImageBackend + ContainerBackend + NetworkBackend
{
}

/// The daemon itself.
#[async_trait]
pub trait SystemBackend: Send + Sync + 'static {
    /// The daemon's version, for the `Server` header.
    fn server_version(&self) -> String;

    /// This host's place in the swarm, for the header of `_ping`. Must not block.
    fn swarm_membership(&self) -> SwarmMembership;

    /// The server fills in the API versions.
    async fn version(&self) -> Result<SystemVersion, ApiError>;

    async fn info(&self) -> Result<SystemInfo, ApiError>;

    async fn disk_usage(&self) -> Result<DiskUsage, ApiError>;

    /// Checks credentials against their registry.
    async fn authenticate(&self, auth: AuthConfig) -> Result<AuthStatus, ApiError>;

    /// Recent events and those to come. The server applies filters, `since` and `until`.
    async fn events(&self) -> Result<EventFeed, ApiError>;
}

/// This host's place in the swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmMembership {
    pub state: LocalNodeState,
    pub manager: bool,
}

/// Events before and after a moment, without gap or repetition.
pub struct EventFeed {
    /// Oldest first.
    pub past: Vec<EventMessage>,
    pub live: BoxStream<'static, Result<EventMessage, ApiError>>,
}

/// The swarm and its nodes.
#[async_trait]
pub trait SwarmBackend: Send + Sync + 'static {
    async fn inspect_swarm(&self) -> Result<Swarm, ApiError>;

    /// Answers this node's id.
    async fn init_swarm(&self, request: InitRequest) -> Result<String, ApiError>;

    async fn join_swarm(&self, request: JoinRequest) -> Result<(), ApiError>;

    /// A manager leaves only by `force`.
    async fn leave_swarm(&self, force: bool) -> Result<(), ApiError>;

    async fn update_swarm(&self, query: SwarmUpdateQuery, spec: SwarmSpec) -> Result<(), ApiError>;

    /// Empty when managers are not locked.
    async fn unlock_key(&self) -> Result<String, ApiError>;

    async fn unlock_swarm(&self, key: String) -> Result<(), ApiError>;

    /// Filter keys: id, name, label, node.label, role, membership.
    async fn list_nodes(&self, filters: Filters) -> Result<Vec<Node>, ApiError>;

    async fn inspect_node(&self, id: &str) -> Result<Node, ApiError>;

    /// `version` is the one that the client saw.
    async fn update_node(&self, id: &str, version: u64, spec: NodeSpec) -> Result<(), ApiError>;

    async fn remove_node(&self, id: &str, force: bool) -> Result<(), ApiError>;
}

/// Services and tasks.
#[async_trait]
pub trait ServiceBackend: Send + Sync + 'static {
    async fn list_services(&self, query: ServiceListQuery) -> Result<Vec<Service>, ApiError>;

    async fn create_service(
        &self,
        spec: ServiceSpec,
        query: ServiceCreateQuery,
    ) -> Result<ServiceCreateResponse, ApiError>;

    /// `insert_defaults` fills what the user left to the orchestrator.
    async fn inspect_service(&self, id: &str, insert_defaults: bool) -> Result<Service, ApiError>;

    async fn update_service(
        &self,
        id: &str,
        spec: ServiceSpec,
        query: ServiceUpdateQuery,
    ) -> Result<ServiceUpdateResponse, ApiError>;

    /// Answers warnings: which hosts may still lead connections to it.
    async fn remove_service(&self, id: &str) -> Result<Vec<String>, ApiError>;

    async fn service_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError>;

    /// Filter keys: id, name, label, service, node, desired-state, `_up-to-date`, runtime.
    async fn list_tasks(&self, filters: Filters) -> Result<Vec<Task>, ApiError>;

    async fn inspect_task(&self, id: &str) -> Result<Task, ApiError>;

    async fn task_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError>;
}

/// Secrets and configs.
#[async_trait]
pub trait SecretBackend: Send + Sync + 'static {
    /// Without their data. Filter keys: id, name, names, label.
    async fn list_secrets(&self, filters: Filters) -> Result<Vec<Secret>, ApiError>;

    /// Without its data.
    async fn inspect_secret(&self, id: &str) -> Result<Secret, ApiError>;

    /// Answers its id.
    async fn create_secret(&self, spec: SecretSpec) -> Result<String, ApiError>;

    /// `version` is the one that the client saw. Only labels may differ.
    async fn update_secret(&self, id: &str, version: u64, spec: SecretSpec) -> Result<(), ApiError>;

    async fn remove_secret(&self, id: &str) -> Result<(), ApiError>;

    /// Filter keys: id, name, names, label.
    async fn list_configs(&self, filters: Filters) -> Result<Vec<Config>, ApiError>;

    async fn inspect_config(&self, id: &str) -> Result<Config, ApiError>;

    /// Answers its id.
    async fn create_config(&self, spec: ConfigSpec) -> Result<String, ApiError>;

    /// `version` is the one that the client saw. Only labels may differ.
    async fn update_config(&self, id: &str, version: u64, spec: ConfigSpec) -> Result<(), ApiError>;

    async fn remove_config(&self, id: &str) -> Result<(), ApiError>;
}

/// Images of this host, and registries.
#[async_trait]
pub trait ImageBackend: Send + Sync + 'static {
    /// An error before the first message becomes the request's status, a later one the stream's last message.
    async fn pull_image(
        &self,
        request: PullRequest,
    ) -> Result<BoxStream<'static, Result<ProgressMessage, ApiError>>, ApiError>;

    /// Reads an archive of docker's or OCI's form. `quiet` leaves progress out.
    async fn load_image(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
        quiet: bool,
    ) -> Result<BoxStream<'static, Result<ProgressMessage, ApiError>>, ApiError>;

    async fn list_images(&self, query: ImageListQuery) -> Result<Vec<ImageSummary>, ApiError>;

    async fn inspect_image(&self, name: &str) -> Result<ImageInspect, ApiError>;

    async fn remove_image(&self, name: &str, query: ImageRemoveQuery) -> Result<Vec<ImageDeleteItem>, ApiError>;

    /// Asks the registry what it has under a name.
    async fn inspect_distribution(&self, name: &str, auth: AuthConfig) -> Result<DistributionInspect, ApiError>;
}

/// Containers of this host, and commands run in them.
#[async_trait]
pub trait ContainerBackend: Send + Sync + 'static {
    async fn list_containers(&self, query: ContainerListQuery) -> Result<Vec<ContainerSummary>, ApiError>;

    /// `size` fills `SizeRw` and `SizeRootFs`.
    async fn inspect_container(&self, id: &str, size: bool) -> Result<ContainerInspect, ApiError>;

    async fn container_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError>;

    /// Answers the exec's id; nothing runs yet.
    async fn create_exec(&self, container: &str, request: ExecCreateRequest) -> Result<String, ApiError>;

    /// Starts it, attached unless `request.detach`. The terminal is the one of `request.tty`.
    async fn start_exec(&self, id: &str, request: ExecStartRequest) -> Result<ExecStarted, ApiError>;

    async fn resize_exec(&self, id: &str, size: TerminalSize) -> Result<(), ApiError>;

    async fn inspect_exec(&self, id: &str) -> Result<ExecInspect, ApiError>;
}

/// Networks and volumes.
#[async_trait]
pub trait NetworkBackend: Send + Sync + 'static {
    /// Filter keys: dangling, driver, id, label, name, scope, type.
    async fn list_networks(&self, filters: Filters) -> Result<Vec<NetworkResource>, ApiError>;

    async fn inspect_network(&self, id: &str, query: NetworkInspectQuery) -> Result<NetworkResource, ApiError>;

    async fn create_network(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse, ApiError>;

    async fn remove_network(&self, id: &str) -> Result<(), ApiError>;

    /// Has every host compare what its kernel shows with what the managers want; all hosts of the swarm.
    async fn verify_networks(&self) -> Result<Vec<HostVerification>, ApiError>;

    /// Removes networks that nobody uses.
    async fn prune_networks(&self, query: NetworkPruneQuery) -> Result<NetworkPruneResponse, ApiError>;

    /// Filter keys: dangling, driver, label, name.
    async fn list_volumes(&self, filters: Filters) -> Result<VolumeListResponse, ApiError>;
}

/// Log lines of a container, a task or a service.
pub struct LogFeed {
    /// Whether the container has a terminal: its lines are sent as they are, without frames.
    pub tty: bool,
    pub records: BoxStream<'static, Result<LogRecord, ApiError>>,
}

/// A line, or a part of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    pub stream: OutputStream,
    pub time: Timestamp,
    /// For services `com.docker.swarm.node.id`, `com.docker.swarm.service.id` and `com.docker.swarm.task.id`.
    pub details: StringMap,
    /// With its newline, if it had one.
    pub line: Bytes,
}

/// Which of a process's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// What came of starting an exec.
pub enum ExecStarted {
    /// It runs, and nobody listens.
    Detached,
    /// It runs; the server connects these ends to the client.
    Attached(ExecStreams),
    /// The command could not be run; the text is shown to the user. The exit code (126 or 127) must already be what
    /// [`ContainerBackend::inspect_exec`] answers.
    Failed(String),
}

/// A process's ends, as pipes or as a terminal.
pub struct ExecStreams {
    /// Dropped when the client closes its side: the process must then see the end of its input. `None` when the exec
    /// was created without stdin.
    pub stdin: Option<ByteWriter>,
    pub output: ExecOutput,
    /// Ends once [`ContainerBackend::inspect_exec`] answers the exit code; the client is cut off only then.
    pub finished: BoxFuture<'static, ()>,
}

/// Where a process writes to.
pub enum ExecOutput {
    /// A terminal: one stream, sent as it is.
    Terminal(ByteReader),
    /// Two pipes, sent in frames; one that was not asked for is `None`.
    Pipes { stdout: Option<ByteReader>, stderr: Option<ByteReader> },
}

/// A source of bytes.
pub type ByteReader = Pin<Box<dyn AsyncRead + Send>>;

/// A sink of bytes.
pub type ByteWriter = Pin<Box<dyn AsyncWrite + Send>>;

impl fmt::Debug for EventFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFeed").field("past", &self.past).finish_non_exhaustive()
    }
}

impl fmt::Debug for LogFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFeed").field("tty", &self.tty).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExecStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detached => f.write_str("Detached"),
            Self::Attached(streams) => f.debug_tuple("Attached").field(streams).finish(),
            Self::Failed(reason) => f.debug_tuple("Failed").field(reason).finish(),
        }
    }
}

impl fmt::Debug for ExecStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecStreams").field("output", &self.output).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExecOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminal(_) => "Terminal",
            Self::Pipes { .. } => "Pipes",
        })
    }
}
