//! Certificates of a test's swarm, as a node would hold them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use shoal_manager::ca::{Issuance, KeyAndRequest, Root};
use shoal_manager::tls::NodeTls;
use shoal_proto::model::{ClusterId, Id, NodeId, Role, Timestamp};

/// A swarm's root, and certificates of it.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) root: Root,
    pub(crate) cluster: ClusterId,
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_nanos()).unwrap())
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self { root: Root::generate(now()).unwrap(), cluster: ClusterId::from_random(rand::random()) }
    }

    /// What `node` holds once it has its certificate.
    pub(crate) fn tls(&self, node: NodeId, role: Role) -> NodeTls {
        let request = KeyAndRequest::generate().unwrap();
        let issuance = Issuance { node, role, cluster: self.cluster, expiry: Duration::from_secs(3600) };
        let pem = self.root.sign(&request.request_pem, &issuance, now()).unwrap();
        node_tls(self.root.certificate_pem(), &pem, &request.key_pem.0)
    }

    /// What a host holds that knows the root and has no certificate.
    pub(crate) fn anonymous(&self) -> Arc<ClientConfig> {
        let config = client_builder(self.root.certificate_pem()).with_no_client_auth();
        Arc::new(config)
    }
}

pub(crate) fn node_tls(root_pem: &str, certificate_pem: &str, key_pem: &str) -> NodeTls {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(root_pem)), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .unwrap();
    let client = client_builder(root_pem).with_client_auth_cert(chain, key).unwrap();
    NodeTls { client: Arc::new(client), server: Arc::new(server) }
}

fn client_builder(root_pem: &str) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(root_pem))
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    roots
}
