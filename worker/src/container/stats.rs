//! What a container uses now, with what a reader needs to make a share of it.

use shoal_proto::model::Timestamp;
use shoal_runtime::state::Stats;

use super::store::key;
use super::{ContainerError, LocalContainers};
use crate::events::now;

/// What a container uses at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatsSample {
    /// When it was read.
    pub read: Timestamp,
    /// What the container uses.
    pub stats: Stats,
    /// CPU time of the whole host since its start, nanoseconds.
    pub system_cpu: u64,
    /// CPUs of the host.
    pub online_cpus: u32,
}

impl LocalContainers {
    /// What a running container uses now.
    ///
    /// # Errors
    /// When there is none, it does not run, or the keeper does not answer.
    pub async fn stats(&self, name: &str) -> Result<StatsSample, ContainerError> {
        let view = self.inner.registry.find(name)?;
        if !view.life.is_running() {
            return Err(ContainerError::NotRunning(view.record.id.clone()));
        }
        let id = view.record.id.clone();
        self.blocking(move |inner| {
            let stats = inner.keeper.stats(&key(&id)?)?;
            let proc_stat = std::fs::read_to_string(PROC_STAT);
            let text = proc_stat.map_err(|error| ContainerError::file("read", PROC_STAT, error))?;
            let (system_cpu, online_cpus) = host_cpu(&text);
            Ok(StatsSample { read: now(), stats, system_cpu, online_cpus })
        })
        .await
    }
}

/// CPU time of the host in nanoseconds, and how many CPUs it has, from /proc/stat.
fn host_cpu(text: &str) -> (u64, u32) {
    let mut total = 0;
    let mut cpus = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            // user, nice, system, idle, iowait, irq, softirq, steal: guests are in user already.
            Some("cpu") => {
                let ticks: u64 = words.take(8).filter_map(|word| word.parse::<u64>().ok()).sum();
                total = ticks * NANOS_A_TICK;
            }
            Some(word) if word.starts_with("cpu") => cpus += 1,
            _ => {}
        }
    }
    (total, cpus)
}

const PROC_STAT: &str = "/proc/stat";
/// The kernel tells user space in hundredths of a second on every platform that we run on.
const NANOS_A_TICK: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_time_is_the_sum_of_its_ticks() {
        let text = "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 1 1\ncpu1 1 1 1\nintr 5\n";
        assert_eq!(host_cpu(text), (360_000_000, 2));
    }
}
