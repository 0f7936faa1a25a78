//! Docker's defaults for rights, paths and sizes.

use std::path::PathBuf;

use crate::capability::CapabilitySet;
use crate::signal::Signal;

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD,
/// AUDIT_WRITE, SETFCAP.
pub const CAPABILITIES: CapabilitySet = CapabilitySet::from_bits(0xa804_25fb);

/// Hidden, because they tell about the host or let a container disturb it.
pub const MASKED_PATHS: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Readable, never writable.
pub const READONLY_PATHS: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Size of `/dev/shm`, bytes.
pub const SHM_SIZE: u64 = 64 << 20;

/// Asks a process to end.
pub const STOP_SIGNAL: Signal = Signal::TERM;

/// The `PATH` of a process whose environment has none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(crate) fn masked_paths() -> Vec<PathBuf> {
    MASKED_PATHS.iter().map(PathBuf::from).collect()
}

pub(crate) fn readonly_paths() -> Vec<PathBuf> {
    READONLY_PATHS.iter().map(PathBuf::from).collect()
}

pub(crate) fn shm_size() -> u64 {
    SHM_SIZE
}

pub(crate) fn stop_signal() -> Signal {
    STOP_SIGNAL
}
