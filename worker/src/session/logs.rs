//! Publishes what containers of this host wrote, to the managers that were asked for it.
//!
//! A request comes through the session with the leader; the lines go straight to the manager that it names, by one call
//! on a connection of its own, so that a reader that is slow holds up no session. `reading` gathers the lines. What is
//! not taken is not read: nothing is buffered here but [`LOG_BATCHES_WAITING`] batches of each request.
//!
//! Invariant: a call that ends without its last batch was broken off; the manager then asks again, from where it was.

mod reading;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use shoal_proto::grpc::LogBatch;
use shoal_proto::grpc::logs_client::LogsClient;
use shoal_proto::model::{LogRequest, LogRequestId, LogTarget, TaskId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use self::reading::Reading;
use crate::Connect;
use crate::container::{ContainerError, LogQuery, LogRecord};
use crate::limits::{LOG_BATCHES_WAITING, PUBLICATIONS_MAX};

/// Lines of one container.
pub(crate) type Lines = BoxStream<'static, Result<LogRecord, ContainerError>>;

/// Where lines are read.
#[async_trait::async_trait]
pub(crate) trait LogSource: std::fmt::Debug + Send + Sync {
    /// The containers of a target that there are, the oldest first.
    fn containers(&self, target: LogTarget) -> Vec<(String, TaskId)>;

    /// Wakes whenever a container may have come to be.
    fn arrivals(&self) -> BoxStream<'static, ()>;

    /// The lines of one.
    async fn lines(&self, container: &str, query: LogQuery) -> Result<Lines, ContainerError>;
}

/// The actor that takes requests.
#[derive(Debug)]
pub(crate) struct LogPublisher {
    pub(crate) source: Arc<dyn LogSource>,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) requests: mpsc::Receiver<LogRequest>,
}

/// Why a publication broke off.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error("failed to connect")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the manager ended the call")]
    Status(#[source] Box<tonic::Status>),
}

impl LogPublisher {
    /// Serves requests until the session that brings them is gone.
    pub(crate) async fn run(mut self) {
        let mut publications = JoinSet::new();
        let mut running = BTreeSet::new();
        loop {
            tokio::select! {
                request = self.requests.recv() => {
                    let Some(request) = request else { return };
                    self.accept(request, &mut running, &mut publications);
                }
                Some(ended) = publications.join_next() => match ended {
                    Ok(id) => {
                        running.remove(&id);
                    }
                    Err(error) => tracing::error!(%error, "the publication of logs broke"),
                },
            }
        }
    }

    /// A request that is made again while it is served asks for nothing new.
    fn accept(
        &self,
        request: LogRequest,
        running: &mut BTreeSet<LogRequestId>,
        publications: &mut JoinSet<LogRequestId>,
    ) {
        if publications.len() >= PUBLICATIONS_MAX {
            tracing::warn!(manager = %request.manager, most = PUBLICATIONS_MAX, "logs are not published: too many read them");
            return;
        }
        if !running.insert(request.id) {
            return;
        }
        let (source, connect) = (Arc::clone(&self.source), Arc::clone(&self.connect));
        publications.spawn(async move {
            if let Err(error) = publish(source, connect, &request).await {
                let reason = &error as &dyn std::error::Error;
                tracing::debug!(manager = %request.manager, reason, "logs are not published any longer");
            }
            request.id
        });
    }
}

/// Publishes until all is said, or the manager wants no more.
async fn publish(
    source: Arc<dyn LogSource>,
    connect: Arc<dyn Connect>,
    request: &LogRequest,
) -> Result<(), PublishError> {
    let channel = connect.connect(&request.manager).await.map_err(PublishError::Connect)?;
    let (batches, outbound) = mpsc::channel::<LogBatch>(LOG_BATCHES_WAITING);
    let mut client = LogsClient::new(channel);
    let call = client.publish(ReceiverStream::new(outbound));
    tokio::pin!(call);
    tokio::select! {
        answer = &mut call => return answer.map(|_| ()).map_err(ended),
        // Ends early when the call does, whose answer says why.
        () = Reading::new(source, request).send(batches) => {}
    }
    call.await.map(|_| ()).map_err(ended)
}

fn ended(status: tonic::Status) -> PublishError {
    PublishError::Status(Box::new(status))
}

#[cfg(test)]
mod tests;
