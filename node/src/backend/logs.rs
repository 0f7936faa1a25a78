//! Logs of services and tasks, gathered by the manager on this host from all nodes.

use futures_util::StreamExt;
use futures_util::stream::{self, unfold};
use shoal_api::{ApiError, LogFeed, LogRecord, LogsQuery, OutputStream};
use shoal_manager::{LogLine, LogStream};
use shoal_proto::model::{LogOptions, LogTarget, ServiceId, TaskSpec, Timestamp};

use super::Daemon;
use crate::docker;

impl Daemon {
    pub(super) async fn logs_of_service(&self, reference: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        let service = self.control()?.service(reference).await?.service;
        self.gathered(LogTarget::Service(service.id), service.id, &service.spec.task, query).await
    }

    pub(super) async fn logs_of_task(&self, reference: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        let task = self.control()?.task(reference).await?;
        self.gathered(LogTarget::Task(task.id), task.service, &task.spec, query).await
    }

    async fn gathered(
        &self,
        target: LogTarget,
        service: ServiceId,
        spec: &TaskSpec,
        query: LogsQuery,
    ) -> Result<LogFeed, ApiError> {
        if let Some(driver) = spec.log_driver.as_ref().filter(|driver| driver.name == "none") {
            return Err(ApiError::not_implemented(format!(
                "configured logging driver does not support reading: the tasks' is '{}'; give the service --log-driver \
                 json-file",
                driver.name
            )));
        }
        let lines = self.control()?.logs(target, service, log_options(query)).await?;
        let sets = unfold(lines, |mut lines| async move { lines.recv().await.map(|set| (set, lines)) });
        let records = sets.flat_map(|set| stream::iter(set.into_iter().map(|line| Ok(record(line))))).boxed();
        Ok(LogFeed { tty: spec.container.tty, records })
    }
}

fn log_options(query: LogsQuery) -> LogOptions {
    LogOptions {
        follow: query.follow,
        stdout: query.streams.stdout,
        stderr: query.streams.stderr,
        since: query.since.map(nanoseconds),
        until: query.until.map(nanoseconds),
        tail: query.tail,
    }
}

/// A time that a client gave; one that is out of range counts as the nearest that is in it.
pub(super) fn nanoseconds(time: shoal_api::types::Timestamp) -> Timestamp {
    let nanoseconds = time.unix_nanos();
    Timestamp(i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX }))
}

/// A line with where it is from, which clients show before it.
fn record(line: LogLine) -> LogRecord {
    let context = [
        ("com.docker.swarm.node.id", line.node.to_string()),
        ("com.docker.swarm.service.id", line.service.to_string()),
        ("com.docker.swarm.task.id", line.task.to_string()),
    ];
    let mut details: shoal_api::types::StringMap = line.details.into_iter().collect();
    details.extend(context.map(|(key, value)| (key.to_owned(), value)));
    LogRecord {
        stream: match line.stream {
            LogStream::Stdout => OutputStream::Stdout,
            LogStream::Stderr => OutputStream::Stderr,
        },
        time: docker::timestamp(line.time),
        details,
        line: line.text,
    }
}
