//! Limits and weights of a container. An absent value is "no limit" or the kernel's own default.

use serde::{Deserialize, Serialize};

/// Limits and weights, in the units of Docker's API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Hard limit of memory, bytes.
    pub memory: Option<u64>,
    /// Hard limit of memory and swap together, bytes; `-1` is no limit of swap. Needs `memory`.
    pub memory_swap: Option<i64>,
    /// Memory below which the container is spared when the host runs short, bytes.
    pub memory_reservation: Option<u64>,
    /// CPU time in billionths of a CPU: `1_500_000_000` is one and a half.
    pub nano_cpus: Option<u64>,
    /// Microseconds of CPU time a period; wins over `nano_cpus`.
    pub cpu_quota: Option<i64>,
    /// Length of a period, microseconds.
    pub cpu_period: Option<u64>,
    /// Relative weight, 2 to 262144, 1024 being neutral.
    pub cpu_shares: Option<u64>,
    /// CPUs that may be used, as in `0-3,7`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes that may be used, as in `0-1`.
    pub cpuset_mems: Option<String>,
    /// How many processes and threads there may be; `-1` and `0` are no limit.
    pub pids: Option<i64>,
}
