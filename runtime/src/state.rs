//! What the keeper knows and tells about containers: their state, how they ended, what they use, and events.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::spec::ContainerId;

/// A moment: nanoseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The current time of the host.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Nanoseconds since 1970.
    pub fn as_nanos(self) -> i64 {
        self.0
    }
}

/// RFC 3339 with nanoseconds, trailing zeros dropped as Go does, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_date(days);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if nanos != 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil_date(days: i64) -> (i64, i64, i64) {
    // Counted in eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// What is known of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Which one.
    pub id: ContainerId,
    /// Process id of its first process on the host; absent once it ended.
    pub pid: Option<u32>,
    /// How far it is.
    pub status: ContainerStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// It has a terminal: its output is one raw stream.
    pub terminal: bool,
}

/// How far a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerStatus {
    /// Made, and waiting for `start`.
    Created,
    /// Its command runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// It ended; everything but this record and its log is gone.
    Exited(ExitStatus),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// What the kernel said of its first process.
    pub ending: Ending,
    /// The kernel killed a process of it because its memory limit was reached.
    pub oom_killed: bool,
    /// When its command was executed; absent when it never was.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl ExitStatus {
    /// The exit code as Docker counts: 128 and the signal for a killed process, 255 when it is not known.
    pub fn code(&self) -> i32 {
        self.ending.code()
    }

    /// The signal that killed it.
    pub fn signal(&self) -> Option<Signal> {
        match self.ending {
            Ending::Signal(signal) => Some(signal),
            Ending::Code(_) | Ending::Unknown => None,
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It exited by itself.
    Code(u8),
    /// A signal killed it.
    Signal(Signal),
    /// It ended while no keeper was there to see it, on a kernel that does not remember (before 6.15).
    Unknown,
}

impl Ending {
    /// The exit code as Docker counts: 128 and the signal for a killed process, 255 when it is not known.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => i32::from(code),
            Self::Signal(signal) => 128 + signal.number(),
            Self::Unknown => 255,
        }
    }
}

/// What happened to a container. Whoever missed events learns the outcome from `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Its command was executed.
    Started {
        /// Which container.
        id: ContainerId,
        /// Process id on the host.
        pid: u32,
        /// When.
        at: Timestamp,
    },
    /// It ended.
    Exited {
        /// Which container.
        id: ContainerId,
        /// How.
        status: ExitStatus,
    },
    /// A process started by `exec` ended.
    ExecExited {
        /// In which container.
        id: ContainerId,
        /// Which one.
        exec: ExecId,
        /// How.
        ending: Ending,
    },
    /// The kernel killed a process of it because its memory limit was reached; the container may live on.
    OomKilled {
        /// Which container.
        id: ContainerId,
    },
    /// Events were lost (the receiver was too slow, or the keeper was replaced): call `list`.
    Lagged,
}

/// Names a process started by `exec`; unique on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecId(pub String);

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a container uses now. A figure that the host's kernel does not keep is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Memory in use, page cache included, bytes.
    pub memory_usage: Option<u64>,
    /// The part of it that is page cache which could be dropped (`total_inactive_file`), bytes.
    pub memory_inactive_file: Option<u64>,
    /// The limit in force, bytes; absent when there is none.
    pub memory_limit: Option<u64>,
    /// CPU time used since the start, nanoseconds.
    pub cpu_total: Option<u64>,
    /// The part of it in the kernel, nanoseconds.
    pub cpu_kernel: Option<u64>,
    /// The part of it in user space, nanoseconds.
    pub cpu_user: Option<u64>,
    /// Periods of the CPU quota so far.
    pub cpu_periods: Option<u64>,
    /// Periods in which the quota ran out.
    pub cpu_throttled_periods: Option<u64>,
    /// Time spent waiting for the next period, nanoseconds.
    pub cpu_throttled: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Their limit; absent when there is none.
    pub pids_limit: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_go_prints_it() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_500_000_000, "2024-02-29T23:59:59.5Z"),
            (4_102_444_800_120_000_000, "2100-01-01T00:00:00.12Z"),
        ] {
            assert_eq!(Timestamp(nanos).to_string(), text);
        }
    }

    #[test]
    fn codes_count_as_docker_counts() {
        assert_eq!(Ending::Code(7).code(), 7);
        assert_eq!(Ending::Signal(Signal::KILL).code(), 137);
        assert_eq!(Ending::Unknown.code(), 255);
    }
}
