//! Asking a swarm's managers to be let into the consensus.

use std::sync::Arc;
use std::time::Instant;

use shoal_proto::grpc::JoinRequest;
use shoal_proto::grpc::raft_client::RaftClient;
use tokio::time::sleep;
use tonic::{Code, Request, Status};

use super::ManagerError;
use crate::config::ManagerConfig;
use crate::limits::{JOIN_RETRY, JOIN_TIMEOUT, REQUEST_TIMEOUT};
use crate::tls::ManagerConnector;

/// Asks each of `remotes` in turn, and again for a while, and returns this manager's number.
pub(super) async fn ask_to_join(
    config: &ManagerConfig,
    advertise: &str,
    remotes: &[String],
) -> Result<u64, ManagerError> {
    let connector = ManagerConnector::new(&config.tls.client);
    let until = Instant::now() + JOIN_TIMEOUT;
    loop {
        let mut last = Status::unavailable("no manager's address is known");
        for remote in remotes {
            match try_to_join(&connector, remote, config, advertise).await {
                Ok(raft_id) => return Ok(raft_id),
                Err(status) => last = status,
            }
        }
        let passes =
            matches!(last.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled);
        if !passes || Instant::now() >= until {
            return Err(ManagerError::Join { remotes: remotes.join(", "), source: Box::new(last) });
        }
        sleep(JOIN_RETRY).await;
    }
}

async fn try_to_join(
    connector: &ManagerConnector,
    remote: &str,
    config: &ManagerConfig,
    advertise: &str,
) -> Result<u64, Status> {
    let channel = connector.connect(remote).await.map_err(|error| {
        let mut status = Status::unavailable(error.to_string());
        status.set_source(Arc::new(error));
        status
    })?;
    let mut request = Request::new(JoinRequest { node_id: config.node.to_string(), address: advertise.to_owned() });
    request.set_timeout(REQUEST_TIMEOUT);
    Ok(RaftClient::new(channel).join(request).await?.into_inner().raft_id)
}
