//! Measures the log store: entries a second, every write synced, at 1, 64 and 512 entries in flight.
//!
//! The driver drains its inbox before it writes, so what is in flight is written as one. Run it on the disk that counts:
//! `cargo run --release -p shoal-manager --example log_store -- DIRECTORY`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shoal_manager::DataKey;
use shoal_manager::log::{FileLog, LogStore};
use shoal_manager_core::{LogEntry, Persist};

/// As large as a small service's spec.
const ENTRY_BYTES: usize = 512;
const MEASURED: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for in_flight in [1, 64, 512] {
        let directory = tempfile::TempDir::new_in(&directory)?;
        let (mut log, _) = FileLog::open(directory.path(), DataKey([7; 32]))?;
        measure("file", &mut log, in_flight)?;
    }
    Ok(())
}

fn measure(name: &str, log: &mut dyn LogStore, in_flight: u64) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = Bytes::from(vec![1; ENTRY_BYTES]);
    let mut next = 1;
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < MEASURED {
        let entries = (next..next + in_flight).map(|index| LogEntry { index, term: 1, bytes: bytes.clone() }).collect();
        let started = Instant::now();
        log.append(Persist {
            entries,
            hard_state: Some(Bytes::from_static(b"term, vote, commit")),
            ..Persist::default()
        })?;
        times.push(started.elapsed());
        next += in_flight;
    }
    times.sort_unstable();
    let rate = (next - 1) as f64 / begin.elapsed().as_secs_f64();
    let (median, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{name:6} {in_flight:4} in flight: {rate:9.0} entries/s, a write p50 {median:?}, p99 {late:?}");
    Ok(())
}
