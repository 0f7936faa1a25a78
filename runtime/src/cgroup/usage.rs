//! What the kernel says about a cgroup: use, limits, kills.

use std::fs;
use std::path::Path;

use crate::cgroup::Location;
use crate::state::Stats;

/// How many processes of it the kernel killed because its memory limit was reached; 0 when nobody counts.
pub(crate) fn oom_kills(location: &Location) -> u64 {
    let Some(directory) = location.directory("memory") else { return 0 };
    let file = if location.v2 { "memory.events" } else { "memory.oom_control" };
    keyed(&read(&directory.join(file)), "oom_kill").unwrap_or(0)
}

/// Processes in it, by their ids on the host.
pub(crate) fn member_pids(location: &Location) -> Vec<u32> {
    let Some((directory, _)) = location.directories.first() else { return Vec::new() };
    read(&directory.join("cgroup.procs")).lines().filter_map(|line| line.parse().ok()).collect()
}

/// What it uses now.
pub(crate) fn stats(location: &Location) -> Stats {
    if location.v2 { v2(location) } else { v1(location) }
}

fn v1(location: &Location) -> Stats {
    let file = |controller: &str, name: &str| {
        location.directory(controller).map(|directory| read(&directory.join(name))).unwrap_or_default()
    };
    let number = |controller: &str, name: &str| file(controller, name).trim().parse::<u64>().ok();
    let (memory, cpu) = (file("memory", "memory.stat"), file("cpu", "cpu.stat"));
    let account = file("cpuacct", "cpuacct.stat");
    let ticks = |key| keyed(&account, key).map(|ticks| ticks * NANOS_A_TICK);
    Stats {
        memory_usage: number("memory", "memory.usage_in_bytes"),
        memory_inactive_file: keyed(&memory, "total_inactive_file"),
        memory_limit: number("memory", "memory.limit_in_bytes").filter(|limit| *limit < V1_NO_LIMIT),
        cpu_total: number("cpuacct", "cpuacct.usage"),
        cpu_kernel: ticks("system"),
        cpu_user: ticks("user"),
        cpu_periods: keyed(&cpu, "nr_periods"),
        cpu_throttled_periods: keyed(&cpu, "nr_throttled"),
        cpu_throttled: keyed(&cpu, "throttled_time"),
        pids: number("pids", "pids.current"),
        pids_limit: number("pids", "pids.max"),
    }
}

fn v2(location: &Location) -> Stats {
    let file =
        |name: &str| location.directories.first().map(|(directory, _)| read(&directory.join(name))).unwrap_or_default();
    let number = |name: &str| file(name).trim().parse::<u64>().ok();
    let (memory, cpu) = (file("memory.stat"), file("cpu.stat"));
    let micros = |key| keyed(&cpu, key).map(|micros| micros * 1000);
    Stats {
        memory_usage: number("memory.current"),
        memory_inactive_file: keyed(&memory, "inactive_file"),
        memory_limit: number("memory.max"),
        cpu_total: micros("usage_usec"),
        cpu_kernel: micros("system_usec"),
        cpu_user: micros("user_usec"),
        cpu_periods: keyed(&cpu, "nr_periods"),
        cpu_throttled_periods: keyed(&cpu, "nr_throttled"),
        cpu_throttled: micros("throttled_usec"),
        pids: number("pids.current"),
        pids_limit: number("pids.max"),
    }
}

/// The number after a key in `key number` lines.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A figure that cannot be read is one that this kernel does not keep: it is reported as absent.
fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// cpuacct.stat counts in USER_HZ, which is 100 on every architecture that runs containers.
const NANOS_A_TICK: u64 = 10_000_000;
/// v1 writes "no limit" as the largest page count; nothing real is near 2^62.
const V1_NO_LIMIT: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_words() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom"), None);
    }
}
