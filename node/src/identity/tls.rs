//! TLS settings that follow the node's credentials: each handshake uses those of its moment.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};

use shoal_manager::tls::NodeTls;

use super::{Credentials, NodeIdentity};

/// The credentials can't be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Root, certificate or key is no PEM of its kind.
    #[error("failed to read the node's {0}: it is no PEM of its kind")]
    Pem(&'static str),
    /// They do not fit together.
    #[error("failed to use the node's certificate and key for TLS")]
    Rustls(#[from] rustls::Error),
    /// The root can't be used.
    #[error("failed to trust the swarm's root certificate")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Both halves of mutual TLS.
///
/// # Errors
/// [`TlsError`] when the present credentials can't be used.
pub fn node_tls(identity: &NodeIdentity) -> Result<NodeTls, TlsError> {
    Ok(NodeTls { client: client_config(identity)?, server: server_config(identity)? })
}

/// For the manager's listener: shows this node's certificate, takes callers with one of the swarm's and, for joining
/// hosts, callers with none.
fn server_config(identity: &NodeIdentity) -> Result<Arc<ServerConfig>, TlsError> {
    let credentials = identity.current();
    let verifier =
        WebPkiClientVerifier::builder(Arc::new(roots(&credentials.root_pem)?)).allow_unauthenticated().build()?;
    certified_key(&credentials)?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Shown { identity: identity.clone() }));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// For calls to managers: trusts the swarm's root, shows this node's certificate.
fn client_config(identity: &NodeIdentity) -> Result<Arc<ClientConfig>, TlsError> {
    let credentials = identity.current();
    certified_key(&credentials)?;
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots(&credentials.root_pem)?)
        .with_client_cert_resolver(Arc::new(Shown { identity: identity.clone() }));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The trust store of a PEM with one or more certificates.
///
/// # Errors
/// [`TlsError::Pem`] when it holds none.
pub(super) fn roots(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|_| TlsError::Pem("root certificate"))?)?;
    }
    if roots.is_empty() { Err(TlsError::Pem("root certificate")) } else { Ok(roots) }
}

fn certified_key(credentials: &Credentials) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(credentials.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::Pem("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.0.as_bytes()).map_err(|_| TlsError::Pem("key"))?;
    Ok(CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?)
}

/// Shows the certificate of the moment.
#[derive(Debug)]
struct Shown {
    identity: NodeIdentity,
}

impl Shown {
    fn now(&self) -> Option<Arc<CertifiedKey>> {
        match certified_key(&self.identity.current()) {
            Ok(key) => Some(Arc::new(key)),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the node's certificate can't be shown");
                None
            }
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.now()
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.now()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
