//! Health checks: runs each container's check at its interval, remembers the last results, and tells the core when the
//! container became healthy or unhealthy.
//!
//! One task a container that has a check; it ends with the container. That a container was healthy is marked in its folder,
//! so that a restart of the daemon does not make its task wait again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use shoal_proto::model::Timestamp;
use shoal_worker_core::Input;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::record::Folder;
use super::store::Inner;
use super::{ContainerError, ContainerLife, ContainerRecord, ExecOutput, ExecRequest, LocalContainers};
use crate::events::now;
use crate::image::Healthcheck;
use crate::limits::{HEALTH_OUTPUT_BYTES_MAX, HEALTH_RESULTS_KEPT};

/// How well a container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HealthStatus {
    /// It has no health check.
    #[default]
    None,
    /// No check has succeeded yet, and not too many have failed.
    Starting,
    /// The last checks succeeded.
    Healthy,
    /// Too many checks in a row have failed.
    Unhealthy,
}

/// What is known of a container's health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// How well it is.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last results, oldest first.
    pub log: Vec<HealthResult>,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// 0: well; 1: not; -1: it could not be run or took too long.
    pub exit_code: i32,
    /// The beginning of what it wrote.
    pub output: String,
}

/// What is known of all containers' health. The lock guards the map only.
#[derive(Debug, Default)]
pub(super) struct HealthBook {
    known: Mutex<BTreeMap<String, Health>>,
}

impl HealthBook {
    pub(super) fn get(&self, id: &str) -> Health {
        self.lock().get(id).cloned().unwrap_or_default()
    }

    pub(super) fn set(&self, id: &str, health: Health) {
        self.lock().insert(id.to_owned(), health);
    }

    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Health>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A check with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    args: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Check {
    /// The check that a merged configuration asks for, if it asks for one.
    pub(super) fn of(wished: Option<&Healthcheck>) -> Result<Option<Self>, ContainerError> {
        let Some(wished) = wished else { return Ok(None) };
        let args = match wished.test.split_first() {
            None => return Ok(None),
            Some((kind, _)) if kind == "NONE" => return Ok(None),
            Some((kind, args)) if kind == "CMD" && !args.is_empty() => args.to_vec(),
            Some((kind, [line])) if kind == "CMD-SHELL" => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            Some(_) => {
                let value = wished.test.join(" ");
                return Err(ContainerError::invalid("health check", value, "begin it with CMD, CMD-SHELL or NONE"));
            }
        };
        let or = |nanos: i64, default: Duration| match u64::try_from(nanos) {
            Ok(0) | Err(_) => default,
            Ok(nanos) => Duration::from_nanos(nanos),
        };
        Ok(Some(Self {
            args,
            interval: or(wished.interval, DEFAULT_INTERVAL),
            timeout: or(wished.timeout, DEFAULT_INTERVAL),
            start_period: or(wished.start_period, Duration::ZERO),
            start_interval: or(wished.start_interval, DEFAULT_START_INTERVAL),
            retries: u32::try_from(wished.retries).ok().filter(|retries| *retries > 0).unwrap_or(DEFAULT_RETRIES),
        }))
    }
}

/// Watches over one container.
#[derive(Debug)]
pub(super) struct Monitor {
    containers: Weak<Inner>,
    record: std::sync::Arc<ContainerRecord>,
    check: Check,
    life: watch::Receiver<ContainerLife>,
    health: Health,
    since: Instant,
}

impl LocalContainers {
    /// What is known of a container's health.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn health(&self, name: &str) -> Result<Health, ContainerError> {
        let view = self.inner.registry.find(name)?;
        Ok(self.inner.health.get(&view.record.id))
    }

    /// Watches over a running container from now on, when it has a check. Whether it has.
    pub(super) fn spawn_monitor(&self, id: &str, known_healthy: bool) -> Result<bool, ContainerError> {
        let Some(view) = self.inner.registry.get(id) else { return Ok(false) };
        let Some(check) = Check::of(view.record.config.healthcheck.as_ref())? else { return Ok(false) };
        let Some(life) = self.inner.registry.watch(id) else { return Ok(false) };
        let status = if known_healthy { HealthStatus::Healthy } else { HealthStatus::Starting };
        let health = Health { status, ..Health::default() };
        self.inner.health.set(id, health.clone());
        let containers = std::sync::Arc::downgrade(&self.inner);
        let monitor = Monitor { containers, record: view.record, check, life, health, since: Instant::now() };
        tokio::spawn(monitor.run());
        Ok(true)
    }
}

impl Monitor {
    async fn run(mut self) {
        loop {
            let settling =
                self.health.status == HealthStatus::Starting && self.since.elapsed() < self.check.start_period;
            let pause = if settling { self.check.start_interval.min(self.check.interval) } else { self.check.interval };
            let mut life = self.life.clone();
            tokio::select! {
                _over = life.wait_for(ContainerLife::is_over) => return,
                () = tokio::time::sleep(pause) => {}
            }
            let Some(inner) = self.containers.upgrade() else { return };
            let result = self.probe(&LocalContainers { inner: inner.clone() }).await;
            if self.life.borrow().is_over() {
                return;
            }
            let before = self.health.status;
            let settling = self.since.elapsed() < self.check.start_period;
            self.health.take(result, self.check.retries, settling);
            inner.health.set(&self.record.id, self.health.clone());
            if before != self.health.status {
                self.tell(&inner).await;
            }
        }
    }

    /// Runs the check once.
    async fn probe(&self, containers: &LocalContainers) -> HealthResult {
        let start = now();
        let request =
            ExecRequest { args: self.check.args.clone(), stdout: true, stderr: true, ..ExecRequest::default() };
        let outcome = match containers.create_exec(&self.record.id, request) {
            Ok(id) => run_probe(containers, &id, self.check.timeout).await,
            Err(error) => Err(error),
        };
        let (exit_code, output) = match outcome {
            Ok((code, output)) => (if code == 0 { 0 } else { code.clamp(-1, 1) }, output),
            Err(error) => (-1, crate::executor::chain(&error)),
        };
        HealthResult { start, end: now(), exit_code, output }
    }

    /// Marks, publishes and tells the core.
    async fn tell(&self, inner: &std::sync::Arc<Inner>) {
        let task = self.record.task;
        let (word, input) = match self.health.status {
            HealthStatus::Healthy => ("healthy", Input::Healthy { task }),
            HealthStatus::Unhealthy => ("unhealthy", Input::Unhealthy { task }),
            HealthStatus::None | HealthStatus::Starting => return,
        };
        let marker = inner.roots.folder(&self.record.id).file(HEALTHY_MARKER);
        let marked = match self.health.status {
            HealthStatus::Healthy => File::create(&marker).map(|_file| ()),
            _ => fs::remove_file(&marker).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        if let Err(error) = marked {
            tracing::warn!(container = %self.record.id, %error, "a container's health is not remembered");
        }
        inner.publish_for(&self.record, &format!("health_status: {word}"), BTreeMap::new());
        let inner = inner.clone();
        // The core may be busy; it is waited for where waiting is allowed.
        let _told = tokio::task::spawn_blocking(move || inner.tell(input)).await;
    }
}

impl Health {
    /// Takes the result of a check: success heals at once, failures count unless the container is settling.
    fn take(&mut self, result: HealthResult, retries: u32, settling: bool) {
        if result.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if !(settling && self.status == HealthStatus::Starting) {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        if self.log.len() == HEALTH_RESULTS_KEPT {
            self.log.remove(0);
        }
        self.log.push(result);
    }
}

/// Whether a container that runs was healthy when it was last looked at.
pub(super) fn was_healthy(folder: &Folder) -> bool {
    folder.file(HEALTHY_MARKER).exists()
}

async fn run_probe(containers: &LocalContainers, id: &str, timeout: Duration) -> Result<(i32, String), ContainerError> {
    let Some(streams) = containers.start_exec(id, false).await? else { return Ok((-1, String::new())) };
    let ExecOutput::Pipes { stdout, stderr } = streams.output else { return Ok((-1, String::new())) };
    let read = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            // A stream that breaks has said what it had to say.
            let _read = stdout.take(HEALTH_OUTPUT_BYTES_MAX).read_to_end(&mut output).await;
        }
        output
    };
    let read_errors = async {
        let mut output = Vec::new();
        if let Some(stderr) = stderr {
            let _read = stderr.take(HEALTH_OUTPUT_BYTES_MAX).read_to_end(&mut output).await;
        }
        output
    };
    let whole = async {
        let (mut output, errors) = tokio::join!(read, read_errors);
        streams.finished.await;
        output.extend(errors);
        output
    };
    match tokio::time::timeout(timeout, whole).await {
        Ok(output) => {
            let code = containers.inspect_exec(id)?.exit_code.unwrap_or(-1);
            Ok((code, String::from_utf8_lossy(&output).into_owned()))
        }
        Err(_) => {
            containers.kill_exec(id).await?;
            Ok((-1, format!("Health check exceeded timeout ({timeout:?})")))
        }
    }
}

const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_START_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_RETRIES: u32 = 3;
const HEALTHY_MARKER: &str = "healthy";

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: i32) -> HealthResult {
        HealthResult { start: Timestamp(0), end: Timestamp(1), exit_code, output: String::new() }
    }

    #[test]
    fn a_success_heals_and_failures_in_a_row_condemn() {
        let mut health = Health { status: HealthStatus::Starting, ..Health::default() };
        for _ in 0..5 {
            health.take(result(1), 3, true);
            assert_eq!((health.status, health.failing_streak), (HealthStatus::Starting, 0));
        }
        health.take(result(0), 3, true);
        assert_eq!(health.status, HealthStatus::Healthy);
        for (streak, status) in [(1, HealthStatus::Healthy), (2, HealthStatus::Healthy), (3, HealthStatus::Unhealthy)] {
            health.take(result(-1), 3, true);
            assert_eq!((health.failing_streak, health.status), (streak, status));
        }
        assert_eq!(health.log.len(), HEALTH_RESULTS_KEPT);
    }

    #[test]
    fn a_check_is_read_with_dockers_defaults() {
        let words = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let of = |test: &[&str]| Check::of(Some(&Healthcheck { test: words(test), ..Healthcheck::default() }));
        assert_eq!(of(&["NONE"]).unwrap(), None);
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&["CMD-SHELL", "exit 1"]).unwrap().unwrap().args, ["/bin/sh", "-c", "exit 1"]);
        let check = of(&["CMD", "/check"]).unwrap().unwrap();
        assert_eq!((check.interval, check.retries), (Duration::from_secs(30), 3));
        for broken in [&["CMD"][..], &["CURL", "x"], &["CMD-SHELL"]] {
            assert!(of(broken).is_err(), "{broken:?}");
        }
    }
}
