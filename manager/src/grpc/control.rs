//! `Control`: what the doors of one manager ask of the leader.

use shoal_proto::codec::{decode, encode};
use shoal_proto::grpc::control_answer::Outcome;
use shoal_proto::grpc::control_server::Control;
use shoal_proto::grpc::{ControlAnswer, ControlCall};
use shoal_proto::model::ControlRequest;
use tonic::{Request, Response, Status, async_trait};

use super::{Services, not_leader};

#[async_trait]
impl Control for Services {
    async fn call(&self, request: Request<ControlCall>) -> Result<Response<ControlAnswer>, Status> {
        self.standing_manager(&request).await?;
        let call = request.into_inner();
        let asked: ControlRequest = decode(&call.request)
            .map_err(|error| Status::invalid_argument(format!("the request is of another version: {error}")))?;
        let outcome = if call.forwarded {
            let view = self.manager.view();
            if !view.is_leader() {
                return Err(not_leader(view.leader_address()));
            }
            self.manager.call_here(asked).await
        } else {
            self.manager.call(asked).await
        };
        let internal = |_| Status::internal("the answer could not be written");
        let answer = match outcome {
            Ok((reply, index)) => {
                ControlAnswer { outcome: Some(Outcome::Reply(encode(&reply).map_err(internal)?.into())), index }
            }
            Err(refusal) => {
                ControlAnswer { outcome: Some(Outcome::Refusal(encode(&refusal).map_err(internal)?.into())), index: 0 }
            }
        };
        Ok(Response::new(answer))
    }
}
