//! Who may call what.

use std::sync::Arc;

use shoal_manager::ca::{Identity, JoinToken, KeyAndRequest, TokenSecret};
use shoal_manager::tls::{ManagerConnector, NodeTls};
use shoal_proto::codec::encode;
use shoal_proto::grpc::certificate_authority_client::CertificateAuthorityClient;
use shoal_proto::grpc::control_client::ControlClient;
use shoal_proto::grpc::raft_client::RaftClient;
use shoal_proto::grpc::{ControlCall, IssueRequest, JoinRequest, LeaveRequest, RaftBatch, RootRequest};
use shoal_proto::model::{ControlReply, ControlRequest, Id, NodeId, Role, Sensitive, TokenRotation};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use crate::credentials::Authority;
use crate::host::{Swarm, leader_of, soon};
use crate::worker::Worker;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_with_its_remedy() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let foreign = JoinToken::new(swarm.authority.root.certificate_pem(), TokenSecret(1)).to_text();
    let refused = swarm.admit(&host.address, &foreign).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("a valid join token is necessary"), "{refused}");
    let refused = swarm.admit(&host.address, &Sensitive("nonsense".to_owned())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = swarm.issue(&host.address, "nonsense", &swarm.tokens.worker.0).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = swarm.issue(&host.address, "nonsense", "").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let (reply, _) = host.handle().call(ControlRequest::ListNodes).await.unwrap();
    assert!(matches!(reply, ControlReply::Nodes(nodes) if nodes.len() == 1), "a refusal made a node");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_is_refused() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let handle = host.handle();
    let (ControlReply::Cluster(cluster), _) = handle.call(ControlRequest::GetCluster).await.unwrap() else { panic!() };
    let new = JoinToken::new(swarm.authority.root.certificate_pem(), TokenSecret(2)).to_text();
    let rotation = TokenRotation { worker: Some(new.clone()), manager: None };
    let spec = Box::new(cluster.spec.clone());
    let request = ControlRequest::UpdateCluster { version: cluster.meta.version, spec, rotation };
    handle.call(request).await.unwrap();
    assert_eq!(swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap_err().code(), Code::PermissionDenied);
    swarm.admit(&host.address, &new).await.unwrap();
    swarm.admit(&host.address, &swarm.tokens.manager).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_manager_shows_the_root_and_admits() {
    let swarm = Swarm::new();
    let hosts = swarm.three().await;
    for host in &hosts {
        let channel = ManagerConnector::new(&swarm.authority.anonymous()).connect(&host.address).await.unwrap();
        let root = CertificateAuthorityClient::new(channel).root(RootRequest {}).await.unwrap().into_inner();
        let token: JoinToken = swarm.tokens.worker.0.parse().unwrap();
        token.verify_root(&root.root_pem).unwrap();
        swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    }
    let (reply, _) = hosts[1].handle().call(ControlRequest::ListNodes).await.unwrap();
    assert!(matches!(reply, ControlReply::Nodes(nodes) if nodes.len() == 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_for_its_holder_alone() {
    let swarm = Swarm::new();
    let hosts = swarm.three().await;
    let (worker, tls) = swarm.admit(&hosts[0].address, &swarm.tokens.worker).await.unwrap();
    for host in &hosts {
        let reply = renew(&tls, &host.address, "").await.unwrap();
        let identity = Identity::from_pem(&reply).unwrap();
        assert_eq!((identity.node, identity.role), (worker, Role::Worker));
        let refused = renew(&tls, &host.address, &hosts[0].node.to_string()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_certificate_is_refused() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    // Of another root: the handshake fails, at the latest at the first call.
    let stranger = NodeId::from_random(5);
    let foreign = Authority::new().tls(stranger, Role::Manager);
    let trusting = NodeTls { client: with_trust(&swarm, &foreign), server: foreign.server.clone() };
    assert!(control(&trusting, &host.address).await.is_err());
    // Of our root, but another swarm's: the handshake succeeds and every call is refused.
    let mut other = Authority::new();
    other.root = shoal_manager::ca::Root::from_stored(&swarm.authority.root.to_stored()).unwrap();
    let refused = control(&other.tls(stranger, Role::Manager), &host.address).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("this is swarm"), "{refused}");
    let refused = Worker::open(&other.tls(stranger, Role::Worker), &host.address).await.err().unwrap();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_refused_where_managers_speak() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let (worker, tls) = swarm.admit(&host.address, &swarm.tokens.worker).await.unwrap();
    let channel = ManagerConnector::new(&tls.client).connect(&host.address).await.unwrap();
    let mut raft = RaftClient::new(channel);
    let node_id = worker.to_string();
    let join = JoinRequest { node_id: node_id.clone(), address: "127.0.0.1:1".to_owned() };
    let refusals = [
        control(&tls, &host.address).await.err(),
        raft.join(join).await.err(),
        raft.leave(LeaveRequest { node_id }).await.err(),
        raft.deliver(tokio_stream::iter([RaftBatch::default()])).await.err(),
        raft.install(tokio_stream::iter([])).await.err(),
    ];
    for refused in refusals {
        let refused = refused.unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        assert!(refused.message().contains("is a worker, and this call is for managers"), "{refused}");
    }
    let anonymous = NodeTls { client: swarm.authority.anonymous(), server: tls.server.clone() };
    let refused = control(&anonymous, &host.address).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carried_request_is_carried_once() {
    let swarm = Swarm::new();
    let hosts = swarm.three().await;
    let (leader, followers) = leader_of(&hosts);
    let channel = ManagerConnector::new(&hosts[leader].tls.client).connect(&hosts[followers[0]].address).await.unwrap();
    let call = |forwarded| ControlCall { request: encode(&ControlRequest::GetCluster).unwrap().into(), forwarded };
    let mut client = ControlClient::new(channel);
    let refused = client.call(call(true)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert_eq!(refused.metadata().get("shoal-leader").unwrap().to_str().unwrap(), hosts[leader].address);
    client.call(call(false)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_can_t_be_reached_back_is_refused() {
    let swarm = Swarm::new();
    let host = swarm.bootstrap().await;
    let (node, tls) = swarm.admit(&host.address, &swarm.tokens.manager).await.unwrap();
    let channel = ManagerConnector::new(&tls.client).connect(&host.address).await.unwrap();
    // The address of another node.
    let request = JoinRequest { node_id: node.to_string(), address: host.address.clone() };
    let refused = soon("an answer", RaftClient::new(channel).join(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("could not reach node"), "{refused}");
    assert_eq!(host.handle().local_status().members.len(), 1);
}

pub(crate) async fn control(tls: &NodeTls, address: &str) -> Result<(), Status> {
    let channel = ManagerConnector::new(&tls.client)
        .connect(address)
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let call = ControlCall { request: encode(&ControlRequest::GetCluster).unwrap().into(), forwarded: false };
    soon("an answer", ControlClient::new(channel).call(call)).await.map(|_| ())
}

/// A renewal for `node`, as a manager carries it.
pub(crate) async fn carried_renewal(tls: &NodeTls, address: &str, node: NodeId) -> Result<String, Status> {
    let mut request = Request::new(renewal(&node.to_string()));
    request.metadata_mut().insert("shoal-forwarded", MetadataValue::from_static("1"));
    issue(tls, address, request).await
}

async fn renew(tls: &NodeTls, address: &str, node_id: &str) -> Result<String, Status> {
    issue(tls, address, Request::new(renewal(node_id))).await
}

fn renewal(node_id: &str) -> IssueRequest {
    IssueRequest {
        request_pem: KeyAndRequest::generate().unwrap().request_pem,
        token: String::new(),
        availability: String::new(),
        node_id: node_id.to_owned(),
    }
}

async fn issue(tls: &NodeTls, address: &str, request: Request<IssueRequest>) -> Result<String, Status> {
    let channel = ManagerConnector::new(&tls.client).connect(address).await.unwrap();
    let reply = soon("a certificate", CertificateAuthorityClient::new(channel).issue(request)).await?;
    Ok(reply.into_inner().certificate_pem)
}

/// A client that shows `foreign`'s certificate and trusts the swarm's root, so that only the server can refuse.
fn with_trust(swarm: &Swarm, foreign: &NodeTls) -> Arc<rustls::ClientConfig> {
    let mut config = rustls::ClientConfig::clone(&swarm.authority.anonymous());
    config.client_auth_cert_resolver = Arc::clone(&foreign.client.client_auth_cert_resolver);
    Arc::new(config)
}
