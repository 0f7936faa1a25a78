//! Getting a certificate: the first by join token, each further one by the one before.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use shoal_manager::ca::{CaError, JoinToken, KeyAndRequest, TokenError};
use shoal_manager::tls::{AddressError, ManagerConnector, NodeTls};
use shoal_proto::grpc::certificate_authority_client::CertificateAuthorityClient;
use shoal_proto::grpc::{IssueReply, IssueRequest, RootRequest};
use shoal_proto::model::{Availability, Sensitive};

use super::Credentials;
use super::tls::{TlsError, roots};
use crate::limits::ENROLL_TIMEOUT;

/// No certificate could be had.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The token has no token's form, or names another swarm's root.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The manager's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The key could not be made, or what came back is no certificate of a swarm's.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// The root that came back can't be trusted.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The manager refused.
    #[error("{0}")]
    Refused(String),
    /// The manager could not be reached, or broke off.
    #[error(
        "could not reach the manager at {address}: check that the address is right, that shoald runs there and that this TCP port is open"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: Breakdown,
    },
    /// It took too long.
    #[error(
        "timed out: the manager at {0} did not answer; check that the address is right and that this TCP port is open"
    )]
    TimedOut(String),
}

/// Why a call broke off, in the words of the lowest layer: what the layers above say is of use to nobody who joins.
#[derive(Debug, thiserror::Error)]
#[error("{}", deepest(.0))]
pub struct Breakdown(Box<tonic::Status>);

fn deepest(status: &tonic::Status) -> String {
    let causes = std::iter::successors(std::error::Error::source(status), |cause| cause.source());
    causes.last().map_or_else(|| status.message().to_owned(), ToString::to_string)
}

/// Joins by token: fetches the root, checks it against the token's digest, and asks for a certificate over a connection
/// that trusts that root alone.
///
/// # Errors
/// [`EnrollError`]; nothing is kept.
pub async fn enroll(remote: &str, token: &str, availability: Availability) -> Result<Credentials, EnrollError> {
    let parsed: JoinToken = token.parse()?;
    let attempt = async {
        let mut stranger = CertificateAuthorityClient::new(ManagerConnector::new(&trusting_anyone()).channel(remote)?);
        let root = stranger.root(RootRequest {}).await.map_err(|status| refused(remote, status))?.into_inner().root_pem;
        parsed.verify_root(&root)?;
        let config = ClientConfig::builder().with_root_certificates(roots(&root)?).with_no_client_auth();
        let mut known = CertificateAuthorityClient::new(ManagerConnector::new(&Arc::new(config)).channel(remote)?);
        let made = KeyAndRequest::generate()?;
        let request = IssueRequest {
            request_pem: made.request_pem,
            token: token.trim().to_owned(),
            availability: availability_name(availability).to_owned(),
            node_id: String::new(),
        };
        let reply = known.issue(request).await.map_err(|status| refused(remote, status))?.into_inner();
        credentials(reply, made.key_pem)
    };
    tokio::time::timeout(ENROLL_TIMEOUT, attempt).await.map_err(|_| EnrollError::TimedOut(remote.to_owned()))?
}

/// Asks for the next certificate, with a key of its own, by the present one.
///
/// # Errors
/// [`EnrollError`]; the present certificate stays.
pub async fn renew(remote: &str, tls: &NodeTls, present: &Credentials) -> Result<Credentials, EnrollError> {
    let attempt = async {
        let mut client = CertificateAuthorityClient::new(ManagerConnector::new(&tls.client).channel(remote)?);
        let made = KeyAndRequest::generate()?;
        let request = IssueRequest {
            request_pem: made.request_pem,
            token: String::new(),
            availability: String::new(),
            node_id: present.holder.node.to_string(),
        };
        let reply = client.issue(request).await.map_err(|status| refused(remote, status))?.into_inner();
        credentials(reply, made.key_pem)
    };
    tokio::time::timeout(ENROLL_TIMEOUT, attempt).await.map_err(|_| EnrollError::TimedOut(remote.to_owned()))?
}

fn credentials(reply: IssueReply, key: Sensitive) -> Result<Credentials, EnrollError> {
    Ok(Credentials::new(reply.certificate_pem, key, reply.root_pem)?)
}

fn refused(remote: &str, status: tonic::Status) -> EnrollError {
    match status.code() {
        tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Cancelled
            if status.message().is_empty() || std::error::Error::source(&status).is_some() =>
        {
            EnrollError::Unreachable { address: remote.to_owned(), source: Breakdown(Box::new(status)) }
        }
        _ => EnrollError::Refused(status.message().to_owned()),
    }
}

fn availability_name(availability: Availability) -> &'static str {
    match availability {
        Availability::Active => "active",
        Availability::Pause => "pause",
        Availability::Drain => "drain",
    }
}

/// For the one call that fetches the root, before there is anything to verify it with but the token's digest.
fn trusting_anyone() -> Arc<ClientConfig> {
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone { algorithms }))
        .with_no_client_auth();
    Arc::new(config)
}

/// Takes any certificate; the root is checked by its digest instead.
#[derive(Debug)]
struct Anyone {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
