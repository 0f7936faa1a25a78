//! The containers of this host as the publisher of logs sees them: by the task or service that they belong to.

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use shoal_proto::model::{LogTarget, TaskId};
use tokio::sync::broadcast::error::RecvError;

use super::LogQuery;
use crate::container::{ContainerError, ContainerRecord, LocalContainers};
use crate::events::LocalEventKind;
use crate::session::{Lines, LogSource};

#[async_trait]
impl LogSource for LocalContainers {
    fn containers(&self, target: LogTarget) -> Vec<(String, TaskId)> {
        let mut all = self.list();
        all.retain(|view| is_of(&view.record, target));
        all.into_iter().rev().map(|view| (view.record.id.clone(), view.record.task)).collect()
    }

    fn arrivals(&self) -> BoxStream<'static, ()> {
        let live = self.inner.events.subscribe().live;
        let next = |mut live: tokio::sync::broadcast::Receiver<crate::events::LocalEvent>| async move {
            loop {
                match live.recv().await {
                    Ok(event) if event.kind == LocalEventKind::Container && event.action == "create" => break,
                    // One of those that were missed may be it.
                    Err(RecvError::Lagged(_)) => break,
                    Ok(_) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
            Some(((), live))
        };
        unfold(live, next).boxed()
    }

    async fn lines(&self, container: &str, query: LogQuery) -> Result<Lines, ContainerError> {
        self.logs(container, query).await.map(|(_tty, lines)| lines)
    }
}

fn is_of(record: &ContainerRecord, target: LogTarget) -> bool {
    match target {
        LogTarget::Task(task) => record.task == task,
        LogTarget::Service(service) => {
            let label = record.config.labels.get(SERVICE_LABEL);
            label.is_some_and(|label| *label == service.to_string())
        }
    }
}

/// What every container of a service bears.
const SERVICE_LABEL: &str = "com.docker.swarm.service.id";
