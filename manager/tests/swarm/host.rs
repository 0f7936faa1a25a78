//! Hosts of a test's swarm: a directory, a certificate, and a manager while it runs.

use std::sync::Arc;
use std::time::Duration;

use shoal_manager::ca::{JoinToken, KeyAndRequest, TokenSecret};
use shoal_manager::tls::{ManagerConnector, NodeTls};
use shoal_manager::{DataKey, InitParameters, Leadership, Manager, ManagerConfig, ManagerHandle};
use shoal_proto::grpc::certificate_authority_client::CertificateAuthorityClient;
use shoal_proto::grpc::{IssueReply, IssueRequest};
use shoal_proto::model::{
    Availability, ClusterSpec, ControlError, ControlReply, ControlRequest, Id, JoinTokens, NodeDescription, NodeId,
    Role, Sensitive, ServiceId, ServiceSpec,
};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::Status;

use crate::credentials::{Authority, node_tls};

/// Much longer than anything here takes, even on a machine that is busy with other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A swarm's secrets and a directory for each host.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) authority: Authority,
    pub(crate) tokens: JoinTokens,
    pub(crate) spec: ClusterSpec,
}

/// A host that is, or was, a manager.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) node: NodeId,
    pub(crate) tls: NodeTls,
    pub(crate) directory: TempDir,
    pub(crate) address: String,
    pub(crate) manager: Option<Manager>,
}

impl Swarm {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(ClusterSpec::default())
    }

    pub(crate) fn with(spec: ClusterSpec) -> Arc<Self> {
        // Shown with a test that fails, as RUST_LOG says. Fails in all tests but the first.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let authority = Authority::new();
        let token = || JoinToken::new(authority.root.certificate_pem(), TokenSecret(rand::random())).to_text();
        let tokens = JoinTokens { worker: token(), manager: token() };
        Arc::new(Self { authority, tokens, spec })
    }

    /// The first manager.
    pub(crate) async fn bootstrap(&self) -> Host {
        let node = NodeId::from_random(rand::random());
        let tls = self.authority.tls(node, Role::Manager);
        let mut host = Host::new(node, tls);
        let manager = Manager::bootstrap(self.config(&host), self.init()).await.unwrap();
        host.address = manager.listen_address().to_string();
        host.manager = Some(manager);
        host
    }

    /// Another manager, by token.
    pub(crate) async fn join(&self, through: &str) -> Host {
        let (node, tls) = self.admit(through, &self.tokens.manager).await.unwrap();
        let mut host = Host::new(node, tls);
        host.join(self, through).await;
        host
    }

    /// Three managers that know each other.
    pub(crate) async fn three(&self) -> [Host; 3] {
        let first = self.bootstrap().await;
        let second = self.join(&first.address).await;
        let third = self.join(&second.address).await;
        let hosts = [first, second, third];
        for host in &hosts {
            let all_reach = |status: &shoal_manager::LocalStatus| {
                status.members.len() == 3
                    && status.members.iter().all(|member| member.is_voter)
                    && status.members.iter().all(|m| m.reachability == shoal_proto::model::Reachability::Reachable)
                    && status.members.iter().any(|m| m.is_leader)
            };
            soon("three managers", host.handle().wait_for_status(all_reach)).await.unwrap();
        }
        hosts
    }

    /// A certificate by token.
    pub(crate) async fn admit(&self, through: &str, token: &Sensitive) -> Result<(NodeId, NodeTls), Status> {
        let made = KeyAndRequest::generate().unwrap();
        let reply = self.issue(through, &made.request_pem, &token.0).await?;
        let tls = node_tls(&reply.root_pem, &reply.certificate_pem, &made.key_pem.0);
        Ok((reply.node_id.parse().unwrap(), tls))
    }

    pub(crate) async fn issue(&self, through: &str, request_pem: &str, token: &str) -> Result<IssueReply, Status> {
        let channel = ManagerConnector::new(&self.authority.anonymous()).connect(through).await.unwrap();
        let request = IssueRequest {
            request_pem: request_pem.to_owned(),
            token: token.to_owned(),
            availability: String::new(),
            node_id: String::new(),
        };
        let issued = soon("a certificate", CertificateAuthorityClient::new(channel).issue(request)).await?;
        Ok(issued.into_inner())
    }

    pub(crate) fn init(&self) -> InitParameters {
        InitParameters {
            spec: self.spec.clone(),
            root_ca: self.authority.root.to_stored(),
            join_tokens: self.tokens.clone(),
            default_address_pool: vec!["10.0.0.0/8".parse().unwrap()],
            subnet_size: 24,
            data_path_port: 4789,
            description: NodeDescription { hostname: "first".to_owned(), ..NodeDescription::default() },
            availability: Availability::Active,
            data_path_address: "127.0.0.1".to_owned(),
        }
    }

    pub(crate) fn config(&self, host: &Host) -> ManagerConfig {
        ManagerConfig {
            node: host.node,
            cluster: self.authority.cluster,
            listen: host.address.parse().unwrap(),
            advertise: host.address.clone(),
            data_dir: host.directory.path().join("swarm"),
            data_key: DataKey([9; 32]),
            tls: host.tls.clone(),
        }
    }
}

impl Host {
    pub(crate) fn new(node: NodeId, tls: NodeTls) -> Self {
        let directory = TempDir::new().unwrap();
        Self { node, tls, directory, address: "127.0.0.1:0".to_owned(), manager: None }
    }

    /// Joins the consensus with what this host holds.
    pub(crate) async fn join(&mut self, swarm: &Swarm, through: &str) {
        let remotes = [through.to_owned()];
        let joined = Manager::join(swarm.config(self), &remotes);
        let manager = soon("a manager to join", joined).await.unwrap();
        self.address = manager.listen_address().to_string();
        self.manager = Some(manager);
    }

    /// Starts from disk.
    pub(crate) async fn start(&mut self, swarm: &Swarm) {
        self.manager = Some(Manager::start(swarm.config(self)).await.unwrap());
    }

    /// As a crash would.
    pub(crate) async fn kill(&mut self) {
        soon("a manager to end", self.manager.take().unwrap().abort()).await;
    }

    pub(crate) fn handle(&self) -> ManagerHandle {
        self.manager.as_ref().unwrap().handle()
    }

    pub(crate) async fn leads(&self) {
        let mut leadership = self.handle().leadership();
        let leads = leadership.wait_for(|leadership| matches!(leadership, Leadership::Leader));
        soon("leadership", leads).await.unwrap();
    }
}

/// The places of the leader and of the others.
pub(crate) fn leader_of(hosts: &[Host]) -> (usize, Vec<usize>) {
    let leads = |host: &&Host| host.manager.is_some() && host.handle().local_status().is_leader;
    let leader = hosts.iter().position(|host| leads(&host)).unwrap();
    (leader, (0..hosts.len()).filter(|place| *place != leader).collect())
}

pub(crate) fn service(name: &str) -> ServiceSpec {
    let mut spec = ServiceSpec { name: name.to_owned(), ..ServiceSpec::default() };
    spec.task.container.image = "registry.example/web:1".to_owned();
    spec
}

pub(crate) async fn create(handle: &ManagerHandle, name: &str) -> Result<ServiceId, ControlError> {
    let request = ControlRequest::CreateService { spec: Box::new(service(name)) };
    match soon("an answer", handle.call(request)).await? {
        (ControlReply::ServiceCreated { service, .. }, _) => Ok(service),
        other => panic!("an answer to another question: {other:?}"),
    }
}

pub(crate) async fn service_names(handle: &ManagerHandle) -> Vec<String> {
    match soon("an answer", handle.call(ControlRequest::ListServices)).await.unwrap() {
        (ControlReply::Services(services), _) => {
            let mut names: Vec<String> = services.into_iter().map(|view| view.service.spec.name).collect();
            names.sort();
            names
        }
        other => panic!("an answer to another question: {other:?}"),
    }
}
