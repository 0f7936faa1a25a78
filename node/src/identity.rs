//! Who this node is: its key, its certificate and the root it trusts, as files, as TLS settings and as facts.
//!
//! The key is made here and never leaves the host. [`NodeIdentity`] is shared by everything that speaks TLS: what it holds
//! is replaced as one when a certificate is renewed, and connections made after that use the new one. Invariant: what
//! is on disk is a matching triple of key, certificate and root, or nothing.

mod enroll;
mod files;
mod tls;

use std::sync::Arc;

use arc_swap::ArcSwap;
use shoal_manager::ca::{CaError, Identity, Validity};
use shoal_proto::model::Sensitive;

pub use enroll::{Breakdown, EnrollError, enroll, renew};
pub use files::{CertificateFiles, FilesError};
pub use tls::{TlsError, node_tls};

/// Key, certificate and root that belong together.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// PEM, leaf first.
    pub certificate_pem: String,
    /// PEM, PKCS#8.
    pub key_pem: Sensitive,
    /// PEM.
    pub root_pem: String,
    /// What the certificate says of its holder.
    pub holder: Identity,
    /// From when to when it holds.
    pub validity: Validity,
}

impl Credentials {
    /// Reads what the certificate says.
    ///
    /// # Errors
    /// [`CaError`] when the certificate is none of a swarm's.
    pub fn new(certificate_pem: String, key_pem: Sensitive, root_pem: String) -> Result<Self, CaError> {
        let holder = Identity::from_pem(&certificate_pem)?;
        let validity = Validity::from_pem(&certificate_pem)?;
        Ok(Self { certificate_pem, key_pem, root_pem, holder, validity })
    }
}

/// The node's credentials, as they are now.
#[derive(Debug, Clone)]
pub struct NodeIdentity {
    current: Arc<ArcSwap<Credentials>>,
}

impl NodeIdentity {
    /// Holds these until they are replaced.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(credentials)) }
    }

    /// As they are now.
    #[must_use]
    pub fn current(&self) -> Arc<Credentials> {
        self.current.load_full()
    }

    /// Connections made from now on use these.
    pub fn replace(&self, credentials: Credentials) {
        self.current.store(Arc::new(credentials));
    }
}
