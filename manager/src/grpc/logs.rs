//! `Logs`: managers have the leader tell nodes that logs are wanted; nodes publish them to the manager that asked.

use shoal_proto::codec::decode;
use shoal_proto::grpc::logs_server::Logs;
use shoal_proto::grpc::{LogBatch, LogsPublished, LogsWantedOfNode, LogsWantedTold};
use shoal_proto::model::{LogRequest, LogRequestId, NodeId, ServiceId, TaskId, Timestamp};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Services, not_leader};
use crate::limits::REGISTER_TIMEOUT;
use crate::logs::{LogLine, LogStream, Refusal};

#[async_trait]
impl Logs for Services {
    async fn want(&self, request: Request<LogsWantedOfNode>) -> Result<Response<LogsWantedTold>, Status> {
        self.standing_manager(&request).await?;
        {
            let view = self.manager.view();
            if !view.is_leader() {
                return Err(not_leader(view.leader_address()));
            }
        }
        let asked = request.into_inner();
        let node: NodeId = asked.node_id.parse().map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let wanted = asked.wanted.ok_or_else(|| Status::invalid_argument("the request itself is missing"))?;
        // Read here, so that no worker is sent what it can't read.
        decode::<LogRequest>(&wanted.request)
            .map_err(|error| Status::invalid_argument(format!("the request is of another version: {error}")))?;
        self.manager.want_logs_here(node, wanted).await?;
        Ok(Response::new(LogsWantedTold {}))
    }

    async fn publish(&self, request: Request<Streaming<LogBatch>>) -> Result<Response<LogsPublished>, Status> {
        let (identity, _) = self.node(&request)?;
        let mut batches = request.into_inner();
        let first = timeout(REGISTER_TIMEOUT, batches.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("the first batch did not come in time"))??;
        let mut batch = first.ok_or_else(|| Status::invalid_argument("the first batch is missing"))?;
        let publication = self.manager.logs_desk().publication(LogRequestId(batch.request_id), identity.node);
        let publication = publication.map_err(|refusal| match refusal {
            Refusal::Unknown | Refusal::Unasked => Status::not_found(refusal.to_string()),
        })?;
        let service = publication.service();
        loop {
            let last = batch.last;
            let lines = lines(batch, publication.node(), service)?;
            if publication.hand_on(lines).await.is_err() {
                break;
            }
            if last {
                publication.complete();
                break;
            }
            batch = tokio::select! {
                next = batches.message() => next?.ok_or_else(|| Status::invalid_argument("the last batch is missing"))?,
                () = publication.unwanted() => break,
                () = self.stop.cancelled() => return Err(Status::unavailable("this manager stops")),
            };
        }
        Ok(Response::new(LogsPublished {}))
    }
}

/// The lines of a batch, and one for each gap in them. Who publishes says whose task a line is; where it was written
/// says the certificate.
fn lines(batch: LogBatch, node: NodeId, service: ServiceId) -> Result<Vec<LogLine>, Status> {
    let task = |text: &str| {
        text.parse::<TaskId>().map_err(|error| Status::invalid_argument(format!("a line's task: {error}")))
    };
    let mut lines = Vec::with_capacity(batch.lines.len() + batch.gaps.len());
    for line in batch.lines {
        lines.push(LogLine {
            node,
            service,
            task: task(&line.task_id)?,
            time: Timestamp(line.time_ns),
            stream: if line.is_stderr { LogStream::Stderr } else { LogStream::Stdout },
            details: line.details.into_iter().collect(),
            text: line.text,
        });
    }
    for gap in batch.gaps {
        lines.push(LogLine {
            node,
            service,
            task: task(&gap.task_id)?,
            time: crate::logs::now(),
            stream: LogStream::Stderr,
            details: Default::default(),
            text: format!("warning: logs of this task are missing: {}\n", gap.reason).into(),
        });
    }
    Ok(lines)
}
