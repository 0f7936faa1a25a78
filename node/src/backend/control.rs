//! Asking the managers, through the one on this host.

use std::collections::BTreeMap;

use shoal_api::types::TlsInfo;
use shoal_api::{ApiError, ErrorKind};
use shoal_manager::ca::Issuer;
use shoal_manager::{LogLines, ManagerHandle};
use shoal_proto::model::{
    Cluster, ControlError, ControlErrorKind, ControlReply, ControlRequest, HostVerification, LogOptions, LogTarget,
    Network, NetworkId, NodeView, Payload, PayloadId, PayloadKind, ServiceId, ServiceView, Task, TaskFilter,
};

use crate::docker::WordError;

/// Asks the leader, wherever it is, and takes answers apart.
#[derive(Debug, Clone)]
pub(super) struct Control {
    manager: ManagerHandle,
}

impl Control {
    pub(super) fn new(manager: ManagerHandle) -> Self {
        Self { manager }
    }

    async fn ask(&self, request: ControlRequest) -> Result<ControlReply, ApiError> {
        self.manager.call(request).await.map(|(reply, _index)| reply).map_err(refusal)
    }

    pub(super) async fn done(&self, request: ControlRequest) -> Result<(), ApiError> {
        match self.ask(request).await? {
            ControlReply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn cluster(&self) -> Result<Cluster, ApiError> {
        match self.ask(ControlRequest::GetCluster).await? {
            ControlReply::Cluster(cluster) => Ok(*cluster),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeView>, ApiError> {
        match self.ask(ControlRequest::ListNodes).await? {
            ControlReply::Nodes(nodes) => Ok(nodes),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn node(&self, reference: &str) -> Result<NodeView, ApiError> {
        match self.ask(ControlRequest::GetNode { reference: reference.to_owned() }).await? {
            ControlReply::Node(node) => Ok(*node),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn services(&self) -> Result<Vec<ServiceView>, ApiError> {
        match self.ask(ControlRequest::ListServices).await? {
            ControlReply::Services(services) => Ok(services),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn service(&self, reference: &str) -> Result<ServiceView, ApiError> {
        match self.ask(ControlRequest::GetService { reference: reference.to_owned() }).await? {
            ControlReply::Service(service) => Ok(*service),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn create_service(&self, request: ControlRequest) -> Result<(String, Vec<String>), ApiError> {
        match self.ask(request).await? {
            ControlReply::ServiceCreated { service, warnings } => Ok((service.to_string(), warnings)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn remove_service(&self, reference: &str) -> Result<Vec<String>, ApiError> {
        match self.ask(ControlRequest::RemoveService { reference: reference.to_owned() }).await? {
            ControlReply::ServiceRemoved { warnings } => Ok(warnings),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn tasks(&self, filter: TaskFilter) -> Result<Vec<Task>, ApiError> {
        match self.ask(ControlRequest::ListTasks { filter }).await? {
            ControlReply::Tasks(tasks) => Ok(tasks),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn task(&self, reference: &str) -> Result<Task, ApiError> {
        match self.ask(ControlRequest::GetTask { reference: reference.to_owned() }).await? {
            ControlReply::Task(task) => Ok(*task),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn networks(&self) -> Result<BTreeMap<NetworkId, Network>, ApiError> {
        match self.ask(ControlRequest::ListNetworks).await? {
            ControlReply::Networks(networks) => Ok(networks.into_iter().map(|network| (network.id, network)).collect()),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn network(&self, reference: &str) -> Result<Network, ApiError> {
        match self.ask(ControlRequest::GetNetwork { reference: reference.to_owned() }).await? {
            ControlReply::Network(network) => Ok(*network),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn create_network(&self, request: ControlRequest) -> Result<NetworkId, ApiError> {
        match self.ask(request).await? {
            ControlReply::NetworkCreated { network } => Ok(network),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn verify_networks(&self) -> Result<Vec<HostVerification>, ApiError> {
        match self.ask(ControlRequest::VerifyNetworks).await? {
            ControlReply::NetworksVerified(hosts) => Ok(hosts),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn payloads(&self, kind: PayloadKind) -> Result<Vec<Payload>, ApiError> {
        match self.ask(ControlRequest::ListPayloads { kind }).await? {
            ControlReply::Payloads(payloads) => Ok(payloads),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn payload(&self, kind: PayloadKind, reference: &str) -> Result<Payload, ApiError> {
        match self.ask(ControlRequest::GetPayload { kind, reference: reference.to_owned() }).await? {
            ControlReply::Payload(payload) => Ok(*payload),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn create_payload(&self, request: ControlRequest) -> Result<PayloadId, ApiError> {
        match self.ask(request).await? {
            ControlReply::PayloadCreated { payload } => Ok(payload),
            other => Err(unexpected(&other)),
        }
    }

    /// What containers of a target wrote, on all nodes.
    pub(super) async fn logs(
        &self,
        target: LogTarget,
        service: ServiceId,
        options: LogOptions,
    ) -> Result<LogLines, ApiError> {
        self.manager.read_logs(target, service, options).await.map_err(refusal)
    }

    /// What every node of the swarm trusts, as Docker shows it.
    pub(super) async fn tls_info(&self) -> Result<TlsInfo, ApiError> {
        let trust_root = self.cluster().await?.root_ca.certificate_pem;
        let issuer = Issuer::from_pem(&trust_root).map_err(|error| ApiError::from_source(&error))?;
        Ok(TlsInfo {
            trust_root,
            cert_issuer_subject: issuer.subject.into(),
            cert_issuer_public_key: issuer.public_key.into(),
        })
    }
}

/// A manager's refusal with the status that Docker gives it.
fn refusal(error: ControlError) -> ApiError {
    let kind = match error.kind {
        ControlErrorKind::Invalid | ControlErrorKind::Ambiguous | ControlErrorKind::FailedPrecondition => {
            ErrorKind::InvalidParameter
        }
        ControlErrorKind::NotFound => ErrorKind::NotFound,
        ControlErrorKind::Conflict => ErrorKind::Conflict,
        ControlErrorKind::Unavailable => ErrorKind::Unavailable,
        // Docker's clients know an update out of sequence by its text behind status 500.
        ControlErrorKind::OutOfSequence | ControlErrorKind::Internal => ErrorKind::System,
    };
    ApiError::new(kind, error.message)
}

fn unexpected(reply: &ControlReply) -> ApiError {
    let text = format!("{reply:?}");
    let name: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
    ApiError::system(format!("the leader answered '{name}', which was not asked for; do all managers run one version?"))
}

/// A client's word that can't be taken up.
pub(super) fn bad_word(error: WordError) -> ApiError {
    ApiError::invalid_parameter(error.to_string())
}
