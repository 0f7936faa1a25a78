//! The actor behind one reader: performs what its gathering wants.

use std::sync::Arc;
use std::time::Instant;

use shoal_manager_core::{Change, ChangeSet, Leadership};
use shoal_proto::model::{
    ControlError, ControlErrorKind, ControlReply, ControlRequest, LogOptions, LogRequest, LogRequestId, LogResume,
    LogTarget, NodeId, NodeView, ServiceId, Task, TaskFilter, TaskId,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use super::desk::Seat;
use super::gathering::{Act, Gathering};
use super::{LogLine, LogLines, LogStream, now};
use crate::handle::ManagerHandle;
use crate::limits::LOG_SETS_WAITING;

/// Gathers for one reader. See the module's text.
#[derive(Debug)]
pub(crate) struct Gatherer {
    manager: ManagerHandle,
    seat: Seat,
    target: LogTarget,
    service: ServiceId,
    options: LogOptions,
    changes: broadcast::Receiver<Arc<ChangeSet>>,
    /// Words to nodes that are on their way.
    words: JoinSet<()>,
}

impl Gatherer {
    /// Learns where the tasks are. `service` is the target's. Nothing is asked until [`Gatherer::run`].
    pub(crate) async fn new(
        manager: ManagerHandle,
        target: LogTarget,
        service: ServiceId,
        options: LogOptions,
    ) -> Result<(Self, LogLines), ControlError> {
        // Before the list, so that nothing falls between the two.
        let changes = manager.subscribe_changes();
        let (lines, reader) = mpsc::channel(LOG_SETS_WAITING);
        let gathering = Gathering::new(target, &options, now(), Instant::now());
        let seat = manager.logs_desk().seat(LogRequestId(rand::random()), gathering, service, lines);
        let seat = seat.map_err(|error| ControlError::new(ControlErrorKind::Unavailable, error.to_string()))?;
        let gatherer = Self { manager, seat, target, service, options, changes, words: JoinSet::new() };
        gatherer.look().await?;
        Ok((gatherer, reader))
    }

    /// Serves the reader until all is said or it has gone.
    pub(crate) async fn run(mut self) {
        let reader = Arc::clone(&self.seat.reader);
        let stopped = stopped(self.manager.leadership());
        tokio::pin!(stopped);
        loop {
            let acts = reader.gathering().step(Instant::now());
            for act in acts {
                if self.perform(act).await.is_err() {
                    return;
                }
            }
            let wake = reader.gathering().wake(Instant::now());
            tokio::select! {
                () = reader.lines.closed() => return,
                () = &mut stopped => return,
                () = reader.changed.notified() => {}
                change = self.changes.recv(), if self.options.follow => match change {
                    Ok(set) if !set.resynced => self.follow(&set),
                    Ok(_) | Err(RecvError::Lagged(_)) => self.look_again().await,
                    Err(RecvError::Closed) => return,
                },
                Some(_word) = self.words.join_next() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// Fails when all is said, or nobody is there to hear it.
    async fn perform(&mut self, act: Act) -> Result<(), ()> {
        match act {
            Act::Want { node, resume } => {
                self.want(node, resume);
                Ok(())
            }
            Act::Tell { node, task, text } => {
                let line = self.missing(node, task, text);
                self.seat.reader.lines.send(vec![line]).await.map_err(|_| ())
            }
            Act::End => Err(()),
        }
    }

    fn want(&mut self, node: NodeId, resume: Option<LogResume>) {
        let Some(address) = self.manager.own_address() else { return };
        let request = LogRequest {
            id: self.seat.id,
            manager: address,
            target: self.target,
            options: self.options.clone(),
            resume,
        };
        let manager = self.manager.clone();
        self.words.spawn(async move {
            if let Err(error) = manager.want_logs(node, &request).await {
                // It is asked again before it counts as missing.
                tracing::debug!(%node, reason = &error as &dyn std::error::Error, "a node was not told that logs are wanted");
            }
        });
    }

    fn missing(&self, node: NodeId, task: TaskId, text: String) -> LogLine {
        LogLine {
            node,
            service: self.service,
            task,
            time: now(),
            stream: LogStream::Stderr,
            details: Default::default(),
            text: text.into(),
        }
    }

    /// Takes what changed.
    fn follow(&self, set: &ChangeSet) {
        let mut gathering = self.seat.reader.gathering();
        let at = Instant::now();
        for change in &set.changes {
            match change {
                Change::Task(difference) => {
                    let Some(task) = difference.after.as_ref().or(difference.before.as_ref()) else { continue };
                    match &difference.after {
                        _ if !self.concerns(task) => {}
                        Some(task) => gathering.see_task(task, at),
                        None => gathering.forget_task(task.id, at),
                    }
                }
                Change::Node(difference) => match (&difference.after, &difference.before) {
                    (Some(node), _) => gathering.see_node(node, at),
                    (None, Some(node)) => gathering.forget_node(node.id),
                    (None, None) => {}
                },
                Change::Service(difference) => {
                    let removed = difference.before.as_ref().filter(|_| difference.after.is_none());
                    if removed.is_some_and(|service| service.id == self.service) {
                        gathering.target_removed();
                    }
                }
                _ => {}
            }
        }
    }

    fn concerns(&self, task: &Task) -> bool {
        match self.target {
            LogTarget::Service(service) => task.service == service,
            LogTarget::Task(id) => task.id == id,
        }
    }

    /// After changes that were missed.
    async fn look_again(&self) {
        let service = ControlRequest::GetService { reference: self.service.to_string() };
        if self.manager.call(service).await.is_err_and(|error| error.kind == ControlErrorKind::NotFound) {
            self.seat.reader.gathering().target_removed();
        }
        if let Err(error) = self.look().await {
            tracing::warn!(%error, "new tasks may be missed in logs that are followed: they could not be listed");
        }
    }

    /// Learns of all tasks and nodes.
    async fn look(&self) -> Result<(), ControlError> {
        let filter = match self.target {
            LogTarget::Service(service) => TaskFilter { services: vec![service.to_string()], ..TaskFilter::default() },
            LogTarget::Task(task) => TaskFilter { ids: vec![task.to_string()], ..TaskFilter::default() },
        };
        let (nodes, _) = self.manager.call(ControlRequest::ListNodes).await?;
        let (tasks, _) = self.manager.call(ControlRequest::ListTasks { filter }).await?;
        let (ControlReply::Nodes(nodes), ControlReply::Tasks(tasks)) = (nodes, tasks) else {
            return Err(ControlError::new(ControlErrorKind::Internal, "the answer is to another question"));
        };
        let mut gathering = self.seat.reader.gathering();
        let at = Instant::now();
        gathering.see_nodes(nodes.iter().map(|view: &NodeView| &view.node), at);
        gathering.see_tasks(tasks.iter().filter(|task| self.concerns(task)), at);
        Ok(())
    }
}

/// Waits until this manager has stopped: it was demoted, or its host stops. Nobody tells it of changes after that.
async fn stopped(mut leadership: watch::Receiver<Leadership>) {
    while leadership.changed().await.is_ok() {}
}
