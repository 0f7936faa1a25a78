//! `CertificateAuthority`: the root for everybody, certificates for those with a token or a certificate.
//!
//! Only the leader issues, because only it knows the roles of this moment; a follower carries the request to it, and
//! says for whom. A certificate goes out after the node that it names is in the log.

use std::time::{SystemTime, UNIX_EPOCH};

use shoal_manager_core::{Answer, Input};
use shoal_proto::grpc::certificate_authority_server::CertificateAuthority;
use shoal_proto::grpc::{IssueReply, IssueRequest, RootReply, RootRequest};
use shoal_proto::model::{Availability, Cluster, ControlError, ControlErrorKind, Id, NodeId, Role, Timestamp};
use tonic::{Request, Response, Status, async_trait};

use super::{Services, deadline, within};
use crate::ca::{CaError, Issuance, JoinToken, Root, role_name};
use crate::driver::{Ask, Message};
use crate::leader::FORWARDED;
use crate::limits::{REQUEST_BYTES, REQUEST_TIMEOUT};

#[async_trait]
impl CertificateAuthority for Services {
    async fn root(&self, _request: Request<RootRequest>) -> Result<Response<RootReply>, Status> {
        let root_pem = self.cluster_settings()?.root_ca.certificate_pem.clone();
        Ok(Response::new(RootReply { root_pem }))
    }

    async fn issue(&self, request: Request<IssueRequest>) -> Result<Response<IssueReply>, Status> {
        let longest = deadline(&request, REQUEST_TIMEOUT);
        within(longest, async {
            let leader = self.leader_for(&request).await?;
            let holder = if request.get_ref().token.is_empty() { Some(self.holder(&request).await?) } else { None };
            let remote = super::Caller::of(&request)?.remote;
            let mut asked = request.into_inner();
            if asked.request_pem.len() > REQUEST_BYTES {
                return Err(Status::invalid_argument(format!("the certificate request is over {REQUEST_BYTES} bytes")));
            }
            if let Some(leader) = leader {
                asked.node_id = holder.map(|node| node.to_string()).unwrap_or_default();
                return self.manager.leader().issue(&leader, asked, longest).await.map(Response::new);
            }
            let issued = match holder {
                Some(node) => self.renew(node, &asked).await,
                None => self.admit(&asked).await,
            };
            match issued {
                Ok(reply) => Ok(Response::new(reply)),
                Err(status) => {
                    self.refusals.log(remote.ip(), status.message(), "refused a certificate");
                    Err(status)
                }
            }
        })
        .await
    }
}

impl Services {
    /// Whose certificate is to be renewed: the caller's; or another's, when a manager carries the request.
    async fn holder(&self, request: &Request<IssueRequest>) -> Result<NodeId, Status> {
        let (identity, _) = self.node(request)?;
        let named = &request.get_ref().node_id;
        let named = if named.is_empty() { identity.node } else { parse_node(named)? };
        if named == identity.node {
            return Ok(named);
        }
        if !request.metadata().contains_key(FORWARDED) || identity.role != Role::Manager {
            let text = format!("node {} can't renew the certificate of node {named}", identity.node);
            return Err(Status::permission_denied(text));
        }
        self.standing_manager(request).await.map(|_| named)
    }

    async fn admit(&self, asked: &IssueRequest) -> Result<IssueReply, Status> {
        let cluster = self.cluster_settings()?;
        let _: JoinToken = asked.token.parse().map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let availability = parse_availability(&asked.availability)?;
        let role = role_of_token(&asked.token, &cluster)?;
        let node = NodeId::from_random(rand::random());
        // Signed before the node is made, so that a broken request makes none.
        let reply = sign(&cluster, &asked.request_pem, node, role)?;
        match self.manager.mailbox().ask(Ask::Admit { node, role, availability }).await {
            Ok((Answer::Admitted { .. }, _)) => Ok(reply),
            Ok(_) => Err(Status::internal("the answer is to another question")),
            Err(error) => Err(refusal(error)),
        }
    }

    async fn renew(&self, node: NodeId, asked: &IssueRequest) -> Result<IssueReply, Status> {
        let cluster = self.cluster_settings()?;
        let stopped = |_| Status::unavailable("this manager has stopped");
        let role = self.manager.mailbox().certificate_role(node).await.map_err(stopped)?.ok_or_else(|| {
            Status::not_found(format!("node {node} was removed from the swarm: leave the swarm and join it again"))
        })?;
        let reply = sign(&cluster, &asked.request_pem, node, role)?;
        let issued = Message::Inputs(vec![Input::CertificateRole { node, role }]);
        self.manager.mailbox().send(issued).await.map_err(|_| Status::unavailable("this manager has stopped"))?;
        Ok(reply)
    }

    fn cluster_settings(&self) -> Result<std::sync::Arc<Cluster>, Status> {
        let cluster = self.manager.view().cluster.clone();
        cluster.ok_or_else(|| Status::unavailable("this manager has not caught up with the others yet; try again"))
    }
}

/// Both tokens are compared, whichever matches.
fn role_of_token(presented: &str, cluster: &Cluster) -> Result<Role, Status> {
    let presented = presented.trim();
    let manager = JoinToken::matches(presented, &cluster.join_tokens.manager);
    let worker = JoinToken::matches(presented, &cluster.join_tokens.worker);
    match (manager, worker) {
        (true, _) => Ok(Role::Manager),
        (false, true) => Ok(Role::Worker),
        (false, false) => Err(Status::permission_denied(
            "a valid join token is necessary to join this swarm: the one given is not of this swarm, or was rotated; \
             print the present one with 'swarm join-token worker' on a manager",
        )),
    }
}

fn sign(cluster: &Cluster, request_pem: &str, node: NodeId, role: Role) -> Result<IssueReply, Status> {
    let root = Root::from_stored(&cluster.root_ca)
        .map_err(|error| Status::internal(format!("the swarm's root can't sign: {error}")))?;
    let expiry = cluster.spec.ca.node_certificate_expiry;
    let issuance = Issuance { node, role, cluster: cluster.id, expiry };
    let certificate_pem = root.sign(request_pem, &issuance, now()).map_err(|error| match error {
        CaError::Read { .. } => Status::invalid_argument(format!("failed to {error}")),
        error => Status::internal(format!("failed to {error}")),
    })?;
    Ok(IssueReply {
        certificate_pem,
        root_pem: cluster.root_ca.certificate_pem.clone(),
        node_id: node.to_string(),
        cluster_id: cluster.id.to_string(),
        role: role_name(role).trim_start_matches("swarm-").to_owned(),
    })
}

fn parse_availability(text: &str) -> Result<Availability, Status> {
    match text {
        "" | "active" => Ok(Availability::Active),
        "pause" => Ok(Availability::Pause),
        "drain" => Ok(Availability::Drain),
        other => {
            Err(Status::invalid_argument(format!("invalid availability '{other}': active, pause or drain is expected")))
        }
    }
}

pub(super) fn parse_node(text: &str) -> Result<NodeId, Status> {
    text.parse().map_err(|error| Status::invalid_argument(format!("node id: {error}")))
}

/// A refusal of the plane, in gRPC's words.
pub(super) fn refusal(error: ControlError) -> Status {
    match error.kind {
        ControlErrorKind::Invalid => Status::invalid_argument(error.message),
        ControlErrorKind::NotFound | ControlErrorKind::Ambiguous => Status::not_found(error.message),
        ControlErrorKind::Conflict => Status::already_exists(error.message),
        ControlErrorKind::FailedPrecondition => Status::failed_precondition(error.message),
        ControlErrorKind::OutOfSequence => Status::aborted(error.message),
        ControlErrorKind::Unavailable => Status::unavailable(error.message),
        ControlErrorKind::Internal => Status::internal(error.message),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
