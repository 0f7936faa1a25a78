//! `Dispatcher`: opens workers' sessions on the leader.

use shoal_manager_core::SessionId;
use shoal_proto::grpc::dispatcher_server::Dispatcher;
use shoal_proto::grpc::{ManagerFrame, WorkerFrame};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::session::Session;
use super::{Services, not_leader};
use crate::limits::SESSION_FRAMES;

#[async_trait]
impl Dispatcher for Services {
    type SessionStream = ReceiverStream<Result<ManagerFrame, Status>>;

    async fn session(&self, request: Request<Streaming<WorkerFrame>>) -> Result<Response<Self::SessionStream>, Status> {
        let (identity, caller) = self.node(&request)?;
        {
            let view = self.manager.view();
            if !view.is_leader() {
                return Err(not_leader(view.leader_address()));
            }
        }
        let (frames, stream) = mpsc::channel(SESSION_FRAMES);
        let session = Session {
            node: identity.node,
            role: identity.role,
            id: SessionId(rand::random()),
            observed: caller.remote.ip().to_canonical(),
            manager: self.manager.clone(),
            frames,
            stop: self.stop.clone(),
        };
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
