//! The flags that `service create` and `service update` share. Each is absent unless given: create applies them to a
//! fresh spec, update to the one that stands, by the same functions (`apply`).

use clap::Args;
use shoal_api::types::{EndpointMode, FailureAction, RestartCondition, UpdateOrder};

use crate::flags::duration::{Nanoseconds, PositiveNanoseconds};
use crate::flags::pair::Pair;
use crate::flags::quantity::{Bytes, NanoCpus};
use crate::flags::word::word;
use crate::flags::words::Words;

#[derive(Args, Debug, Default)]
pub(crate) struct SharedFlags {
    #[command(flatten)]
    pub(crate) wait: WaitFlags,
    #[command(flatten)]
    pub(crate) container: ContainerFlags,
    #[command(flatten)]
    pub(crate) health: HealthFlags,
    #[command(flatten)]
    pub(crate) resources: ResourceFlags,
    #[command(flatten)]
    pub(crate) restart: RestartFlags,
    #[command(flatten)]
    pub(crate) update: UpdateFlags,
    #[command(flatten)]
    pub(crate) rollback: RollbackFlags,
    #[command(flatten)]
    pub(crate) scale: ScaleFlags,
    #[command(flatten)]
    pub(crate) delivery: DeliveryFlags,
}

/// Waiting for convergence.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct WaitFlags {
    /// Exit immediately instead of waiting for the service to converge
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Suppress progress output
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Args, Debug, Default)]
pub(crate) struct ContainerFlags {
    /// Add Linux capabilities
    #[arg(long, value_name = "list")]
    pub(crate) cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "list")]
    pub(crate) cap_drop: Vec<String>,
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "command")]
    pub(crate) entrypoint: Option<Words>,
    /// Container hostname
    #[arg(long, value_name = "string")]
    pub(crate) hostname: Option<String>,
    /// Use an init inside each service container to forward signals and reap processes
    #[arg(long)]
    pub(crate) init: Option<bool>,
    /// Service container isolation mode
    #[arg(long, value_name = "string")]
    pub(crate) isolation: Option<String>,
    /// Tune host's OOM preferences (-1000 to 1000)
    #[arg(long, value_name = "int", value_parser = clap::value_parser!(i64).range(-1000..=1000))]
    pub(crate) oom_score_adj: Option<i64>,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    pub(crate) read_only: Option<bool>,
    /// Time to wait before force killing a container (ns|us|ms|s|m|h) (default 10s)
    #[arg(long, value_name = "duration")]
    pub(crate) stop_grace_period: Option<Nanoseconds>,
    /// Signal to stop the container
    #[arg(long, value_name = "string")]
    pub(crate) stop_signal: Option<String>,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub(crate) tty: Option<bool>,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    pub(crate) user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    pub(crate) workdir: Option<String>,
    /// Logging driver for service
    #[arg(long, value_name = "string")]
    pub(crate) log_driver: Option<String>,
    /// Logging driver options
    #[arg(long, value_name = "list", requires = "log_driver")]
    pub(crate) log_opt: Vec<Pair>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct HealthFlags {
    /// Command to run to check health
    #[arg(long, value_name = "string")]
    pub(crate) health_cmd: Option<String>,
    /// Time between running the check (ms|s|m|h)
    #[arg(long, value_name = "duration")]
    pub(crate) health_interval: Option<PositiveNanoseconds>,
    /// Consecutive failures needed to report unhealthy
    #[arg(long, value_name = "int")]
    pub(crate) health_retries: Option<i64>,
    /// Time between running the check during the start period (ms|s|m|h)
    #[arg(long, value_name = "duration")]
    pub(crate) health_start_interval: Option<PositiveNanoseconds>,
    /// Start period for the container to initialize before counting retries towards unstable (ms|s|m|h)
    #[arg(long, value_name = "duration")]
    pub(crate) health_start_period: Option<PositiveNanoseconds>,
    /// Maximum time to allow one check to run (ms|s|m|h)
    #[arg(long, value_name = "duration")]
    pub(crate) health_timeout: Option<PositiveNanoseconds>,
    /// Disable any container-specified HEALTHCHECK
    #[arg(long)]
    pub(crate) no_healthcheck: bool,
}

#[derive(Args, Debug, Default)]
pub(crate) struct ResourceFlags {
    /// Limit CPUs
    #[arg(long, value_name = "decimal")]
    pub(crate) limit_cpu: Option<NanoCpus>,
    /// Limit Memory
    #[arg(long, value_name = "bytes")]
    pub(crate) limit_memory: Option<Bytes>,
    /// Limit maximum number of processes (default 0 = unlimited)
    #[arg(long, value_name = "int")]
    pub(crate) limit_pids: Option<i64>,
    /// Reserve CPUs
    #[arg(long, value_name = "decimal")]
    pub(crate) reserve_cpu: Option<NanoCpus>,
    /// Reserve Memory
    #[arg(long, value_name = "bytes")]
    pub(crate) reserve_memory: Option<Bytes>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct RestartFlags {
    /// Restart when condition is met ("none", "on-failure", "any") (default "any")
    #[arg(long, value_name = "string", value_parser = word::<RestartCondition>)]
    pub(crate) restart_condition: Option<RestartCondition>,
    /// Delay between restart attempts (ns|us|ms|s|m|h) (default 5s)
    #[arg(long, value_name = "duration")]
    pub(crate) restart_delay: Option<Nanoseconds>,
    /// Maximum number of restarts before giving up
    #[arg(long, value_name = "uint")]
    pub(crate) restart_max_attempts: Option<u64>,
    /// Window used to evaluate the restart policy (ns|us|ms|s|m|h)
    #[arg(long, value_name = "duration")]
    pub(crate) restart_window: Option<Nanoseconds>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct UpdateFlags {
    /// Delay between updates (ns|us|ms|s|m|h) (default 0s)
    #[arg(long, value_name = "duration")]
    pub(crate) update_delay: Option<Nanoseconds>,
    /// Action on update failure ("pause", "continue", "rollback") (default "pause")
    #[arg(long, value_name = "string", value_parser = word::<FailureAction>)]
    pub(crate) update_failure_action: Option<FailureAction>,
    /// Failure rate to tolerate during an update (default 0)
    #[arg(long, value_name = "float")]
    pub(crate) update_max_failure_ratio: Option<f32>,
    /// Duration after each task update to monitor for failure (ns|us|ms|s|m|h) (default 5s)
    #[arg(long, value_name = "duration")]
    pub(crate) update_monitor: Option<Nanoseconds>,
    /// Update order ("start-first", "stop-first") (default "stop-first")
    #[arg(long, value_name = "string", value_parser = word::<UpdateOrder>)]
    pub(crate) update_order: Option<UpdateOrder>,
    /// Maximum number of tasks updated simultaneously (0 to update all at once) (default 1)
    #[arg(long, value_name = "uint")]
    pub(crate) update_parallelism: Option<u64>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct RollbackFlags {
    /// Delay between task rollbacks (ns|us|ms|s|m|h) (default 0s)
    #[arg(long, value_name = "duration")]
    pub(crate) rollback_delay: Option<Nanoseconds>,
    /// Action on rollback failure ("pause", "continue") (default "pause")
    #[arg(long, value_name = "string", value_parser = word::<FailureAction>)]
    pub(crate) rollback_failure_action: Option<FailureAction>,
    /// Failure rate to tolerate during a rollback (default 0)
    #[arg(long, value_name = "float")]
    pub(crate) rollback_max_failure_ratio: Option<f32>,
    /// Duration after each task rollback to monitor for failure (ns|us|ms|s|m|h) (default 5s)
    #[arg(long, value_name = "duration")]
    pub(crate) rollback_monitor: Option<Nanoseconds>,
    /// Rollback order ("start-first", "stop-first") (default "stop-first")
    #[arg(long, value_name = "string", value_parser = word::<UpdateOrder>)]
    pub(crate) rollback_order: Option<UpdateOrder>,
    /// Maximum number of tasks rolled back simultaneously (0 to roll back all at once) (default 1)
    #[arg(long, value_name = "uint")]
    pub(crate) rollback_parallelism: Option<u64>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct ScaleFlags {
    /// Number of tasks
    #[arg(long, value_name = "uint")]
    pub(crate) replicas: Option<u64>,
    /// Number of job tasks to run concurrently (default equal to --replicas)
    #[arg(long, value_name = "uint")]
    pub(crate) max_concurrent: Option<u64>,
    /// Maximum number of tasks per node (default 0 = unlimited)
    #[arg(long, value_name = "uint")]
    pub(crate) replicas_max_per_node: Option<u64>,
    /// Endpoint mode (vip or dnsrr) (default "vip")
    #[arg(long, value_name = "string", value_parser = word::<EndpointMode>)]
    pub(crate) endpoint_mode: Option<EndpointMode>,
}

/// How the image's name travels.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct DeliveryFlags {
    /// Do not query the registry to resolve image digest and supported platforms
    #[arg(long)]
    pub(crate) no_resolve_image: bool,
    /// Send registry authentication details to swarm agents
    #[arg(long)]
    pub(crate) with_registry_auth: bool,
}
