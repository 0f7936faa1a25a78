//! The lines of all containers of a request, gathered into batches.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{BoxStream, SelectAll, StreamExt, once};
use shoal_proto::grpc::{LogBatch, LogGap, LogLine};
use shoal_proto::model::{LogRequest, LogTarget, TaskId, Timestamp};
use tokio::sync::mpsc;

use super::LogSource;
use crate::container::{ContainerError, LogQuery, LogRecord, OutputStream};
use crate::limits::LOG_BATCH_BYTES;

/// Reads for one request.
pub(super) struct Reading<'a> {
    source: Arc<dyn LogSource>,
    request: &'a LogRequest,
    /// Containers whose lines are read or were.
    opened: BTreeSet<String>,
    items: SelectAll<BoxStream<'static, Item>>,
}

/// The manager takes no more.
struct Unwanted;

/// What was read, or could not be.
type Item = (TaskId, Result<LogRecord, ContainerError>);

impl<'a> Reading<'a> {
    pub(super) fn new(source: Arc<dyn LogSource>, request: &'a LogRequest) -> Self {
        Self { source, request, opened: BTreeSet::new(), items: SelectAll::new() }
    }

    /// Sends all that is wanted, the last batch last.
    pub(super) async fn send(mut self, batches: mpsc::Sender<LogBatch>) {
        // Fails when the call is over, and then its answer says why.
        let _ended = self.converse(&batches).await;
    }

    async fn converse(&mut self, batches: &mpsc::Sender<LogBatch>) -> Result<(), Unwanted> {
        // At once: it says that this node answers.
        put(batches, LogBatch { request_id: self.request.id.0, ..LogBatch::default() }).await?;
        // Before the containers are listed: one that is made meanwhile is heard of.
        let mut arrivals = self.source.arrivals();
        self.open_unread(true).await;
        while !self.is_over() {
            tokio::select! {
                item = self.items.next(), if !self.items.is_empty() => {
                    // Nothing: the last of them has ended.
                    if let Some(item) = item {
                        put(batches, self.batch(item)).await?;
                    }
                }
                Some(()) = arrivals.next(), if self.request.options.follow => self.open_unread(false).await,
            }
        }
        put(batches, LogBatch { last: true, ..LogBatch::default() }).await
    }

    /// Whether nothing can come any more. One task has one container; a service always can get another.
    fn is_over(&self) -> bool {
        let is_one = matches!(self.request.target, LogTarget::Task(_)) && !self.opened.is_empty();
        self.items.is_empty() && (is_one || !self.request.options.follow)
    }

    /// Begins to read the containers that are not read yet: those that were there `first`, and those that came since.
    async fn open_unread(&mut self, first: bool) {
        for (container, task) in self.source.containers(self.request.target) {
            if !self.opened.insert(container.clone()) {
                continue;
            }
            let lines = match self.source.lines(&container, self.query(task, first)).await {
                Ok(lines) => lines.map(move |line| (task, line)).boxed(),
                // It was removed since it was listed: with it went what it wrote.
                Err(ContainerError::NotFound(_)) => continue,
                Err(error) => once(async move { (task, Err(error)) }).boxed(),
            };
            self.items.push(lines);
        }
    }

    fn query(&self, task: TaskId, first: bool) -> LogQuery {
        let options = &self.request.options;
        let resume = self.request.resume.as_ref().filter(|_| first);
        let from = resume.map(|resume| match resume.after.get(&task) {
            Some(last) => Timestamp(last.0.saturating_add(1)),
            None => resume.begun,
        });
        LogQuery {
            follow: options.follow,
            stdout: options.stdout,
            stderr: options.stderr,
            since: options.since.max(from),
            until: options.until,
            tail: options.tail.filter(|_| first && resume.is_none()),
        }
    }

    /// This item, and what else is there already, up to a batch's size.
    fn batch(&mut self, first: Item) -> LogBatch {
        let mut batch = LogBatch::default();
        let mut bytes = add(&mut batch, first);
        while bytes < LOG_BATCH_BYTES
            && let Some(Some(item)) = self.items.next().now_or_never()
        {
            bytes += add(&mut batch, item);
        }
        batch
    }
}

async fn put(batches: &mpsc::Sender<LogBatch>, batch: LogBatch) -> Result<(), Unwanted> {
    batches.send(batch).await.map_err(|_| Unwanted)
}

/// Adds an item, and says how much room it takes.
fn add(batch: &mut LogBatch, (task, outcome): Item) -> usize {
    let task_id = task.to_string();
    match outcome {
        Ok(record) => {
            let details: usize = record.details.iter().map(|(key, value)| key.len() + value.len()).sum();
            let bytes = LINE_BYTES + record.line.len() + details;
            batch.lines.push(LogLine {
                task_id,
                time_ns: record.time.0,
                is_stderr: record.stream == OutputStream::Stderr,
                details: record.details.into_iter().collect(),
                text: record.line,
            });
            bytes
        }
        Err(error) => {
            let reason = with_causes(&error);
            let bytes = LINE_BYTES + reason.len();
            batch.gaps.push(LogGap { task_id, reason });
            bytes
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What a line takes beside its text: the task's id, the time, the tags.
const LINE_BYTES: usize = 48;
