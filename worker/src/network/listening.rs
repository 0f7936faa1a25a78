//! Whether something listens on a container's ports: looked up again and again, because the kernel tells nobody of it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::limits::{LISTEN_PAUSE_FIRST, LISTEN_PAUSE_MAX};
use super::netlink::Listeners;

/// Waits until something listens on all of these TCP ports in the namespace that is kept on a file. Returns those that
/// nothing listened on when the limit had passed.
///
/// # Errors
/// Fails when the kernel can't be asked: the namespace is gone, or the kernel has no socket monitor.
pub async fn await_listeners(namespace: &Path, ports: &BTreeSet<u16>, limit: Duration) -> io::Result<BTreeSet<u16>> {
    let deadline = Instant::now() + limit;
    let namespace = namespace.to_owned();
    let mut listeners = tokio::task::spawn_blocking(move || Listeners::open(&namespace)).await??;
    let mut pause = LISTEN_PAUSE_FIRST;
    loop {
        // The answer is there before the question returns: no thread waits.
        let silent: BTreeSet<u16> = ports.difference(&listeners.ports()?).copied().collect();
        if silent.is_empty() || Instant::now() >= deadline {
            return Ok(silent);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LISTEN_PAUSE_MAX);
    }
}
