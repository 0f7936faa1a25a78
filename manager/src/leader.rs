//! Calls to the leader from a manager that follows: the channel to it, kept while the leader is the same.
//!
//! What is carried here says that it was carried, so that it is never carried on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shoal_proto::codec::{CodecError, decode, encode};
use shoal_proto::grpc::certificate_authority_client::CertificateAuthorityClient;
use shoal_proto::grpc::control_answer::Outcome;
use shoal_proto::grpc::control_client::ControlClient;
use shoal_proto::grpc::logs_client::LogsClient;
use shoal_proto::grpc::raft_client::RaftClient;
use shoal_proto::grpc::{
    ControlCall, IssueReply, IssueRequest, JoinReply, JoinRequest, LeaveReply, LeaveRequest, LogsWantedOfNode,
};
use shoal_proto::model::{ControlError, ControlReply, ControlRequest};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::limits::MESSAGE_BYTES;
use crate::tls::{ConnectError, ManagerConnector};

/// Marks a call that a follower carried to the leader: answer or refuse, never carry on.
pub(crate) const FORWARDED: &str = "shoal-forwarded";

/// Carries calls to the leader.
#[derive(Debug)]
pub(crate) struct LeaderClient {
    connector: ManagerConnector,
    /// The last leader's address and a channel to it.
    channel: Mutex<Option<(String, Channel)>>,
}

/// A call did not come back with the leader's answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CarryError {
    /// It never left, so that it may be made again.
    #[error("reach the leader")]
    Unreachable(#[source] ConnectError),
    /// The one that was taken for the leader is not. The call had no effect.
    #[error("find the leader at {0}")]
    NotLeader(String),
    /// It left, and whether it took effect is not known.
    #[error("hear from the leader at {address}")]
    Lost {
        /// host:port.
        address: String,
        /// What the transport said.
        #[source]
        source: Box<Status>,
    },
    /// The leader answered in words of another version.
    #[error("understand the leader")]
    Codec(#[from] CodecError),
}

impl LeaderClient {
    pub(crate) fn new(connector: ManagerConnector) -> Self {
        Self { connector, channel: Mutex::new(None) }
    }

    /// Carries a request of the doors.
    pub(crate) async fn call(
        &self,
        address: &str,
        request: &ControlRequest,
        deadline: Duration,
    ) -> Result<Result<(ControlReply, u64), ControlError>, CarryError> {
        let call = ControlCall { request: encode(request)?.into(), forwarded: true };
        let mut client = ControlClient::new(self.channel(address).await?)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let answer = client.call(carried(call, deadline)).await.map_err(|status| self.lost(address, status))?;
        let answer = answer.into_inner();
        match answer.outcome {
            Some(Outcome::Reply(bytes)) => Ok(Ok((decode(&bytes)?, answer.index))),
            Some(Outcome::Refusal(bytes)) => Ok(Err(decode(&bytes)?)),
            None => Err(self.lost(address, Status::internal("the answer is empty"))),
        }
    }

    /// Carries a host's request for a certificate.
    pub(crate) async fn issue(
        &self,
        address: &str,
        request: IssueRequest,
        deadline: Duration,
    ) -> Result<IssueReply, Status> {
        let channel = self.channel(address).await.map_err(unavailable)?;
        let mut client = CertificateAuthorityClient::new(channel);
        Ok(client.issue(carried(request, deadline)).await?.into_inner())
    }

    /// Carries a manager's request to become a member.
    pub(crate) async fn join(
        &self,
        address: &str,
        request: JoinRequest,
        deadline: Duration,
    ) -> Result<JoinReply, Status> {
        let channel = self.channel(address).await.map_err(unavailable)?;
        Ok(RaftClient::new(channel).join(carried(request, deadline)).await?.into_inner())
    }

    /// Carries a manager's request to be a member no longer.
    pub(crate) async fn leave(
        &self,
        address: &str,
        request: LeaveRequest,
        deadline: Duration,
    ) -> Result<LeaveReply, Status> {
        let channel = self.channel(address).await.map_err(unavailable)?;
        Ok(RaftClient::new(channel).leave(carried(request, deadline)).await?.into_inner())
    }

    /// Has the leader tell a node that logs are wanted.
    pub(crate) async fn want_logs(
        &self,
        address: &str,
        request: LogsWantedOfNode,
        deadline: Duration,
    ) -> Result<(), Status> {
        let channel = self.channel(address).await.map_err(unavailable)?;
        LogsClient::new(channel).want(carried(request, deadline)).await?;
        Ok(())
    }

    async fn channel(&self, address: &str) -> Result<Channel, CarryError> {
        {
            let kept = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, channel)) = &*kept
                && of == address
            {
                return Ok(channel.clone());
            }
        }
        let channel = self.connector.connect(address).await.map_err(CarryError::Unreachable)?;
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = Some((address.to_owned(), channel.clone()));
        Ok(channel)
    }

    /// Forgets the channel, because it may be what failed, and tells apart what had no effect.
    fn lost(&self, address: &str, status: Status) -> CarryError {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match status.code() {
            Code::FailedPrecondition => CarryError::NotLeader(address.to_owned()),
            _ => CarryError::Lost { address: address.to_owned(), source: Box::new(status) },
        }
    }
}

fn carried<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request.metadata_mut().insert(FORWARDED, MetadataValue::from_static("1"));
    request
}

fn unavailable(error: CarryError) -> Status {
    let mut status = Status::unavailable("the leader could not be reached; try again");
    status.set_source(std::sync::Arc::new(error));
    status
}
