//! Mutual TLS: what the caller hands in ([`NodeTls`]) and gRPC channels to managers over it ([`ManagerConnector`]).
//!
//! Keys and certificates belong to the node: its resolvers and verifiers rotate by themselves, so that nothing here has
//! to be rebuilt when a certificate is renewed. A manager is verified by the name of its role, not by its address.

use std::fmt;
use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use crate::ca::{CaError, Identity};
use crate::limits::{CONNECT_TIMEOUT, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT};

/// The name that managers' certificates carry and clients verify.
pub const MANAGER_SERVER_NAME: &str = "swarm-manager";

/// A node's two halves of mutual TLS.
#[derive(Clone)]
pub struct NodeTls {
    /// Shows the node's certificate, trusts the swarm's root.
    pub client: Arc<ClientConfig>,
    /// Shows the node's certificate; verifies a client's certificate against the swarm's root **if it shows one**
    /// (joining hosts have none yet; every other method refuses them).
    pub server: Arc<ServerConfig>,
}

impl fmt::Debug for NodeTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("NodeTls")
    }
}

/// Makes gRPC channels to managers over TCP and TLS, verified as `swarm-manager`.
#[derive(Clone)]
pub struct ManagerConnector {
    tls: TlsConnector,
}

/// The text is no address of a manager.
#[derive(Debug, thiserror::Error)]
#[error("invalid address '{address}' of a manager: host:port is expected, as in 192.0.2.1:2377")]
pub struct AddressError {
    /// What was given.
    pub address: String,
}

/// A manager could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The text is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody answers, or somebody else.
    #[error("reach the manager at {address}")]
    Unreachable {
        /// host:port.
        address: String,
        /// What the transport said.
        #[source]
        source: tonic::transport::Error,
    },
    /// The TCP connection or the handshake failed.
    #[error("reach the manager at {address}")]
    Handshake {
        /// host:port.
        address: String,
        /// What the system or TLS said.
        #[source]
        source: io::Error,
    },
    /// Who answers shows no node's certificate.
    #[error("tell who answers at {address}")]
    Stranger {
        /// host:port.
        address: String,
        /// What is wrong with the certificate.
        #[source]
        source: CaError,
    },
}

impl ManagerConnector {
    /// Connects with the given half of [`NodeTls`]. ALPN is set here, and sessions are not resumed: a resumed one would
    /// show the certificate of its beginning, with the role of that time.
    #[must_use]
    pub fn new(tls: &Arc<ClientConfig>) -> Self {
        let mut tls = ClientConfig::clone(tls);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        tls.resumption = Resumption::disabled();
        Self { tls: TlsConnector::from(Arc::new(tls)) }
    }

    /// A channel to `address` (host:port), which connects at the first call and again after each failure. Dead peers are
    /// noticed by keep-alives.
    ///
    /// # Errors
    /// [`AddressError`] when `address` is not host:port.
    pub fn channel(&self, address: &str) -> Result<Channel, AddressError> {
        let endpoint = endpoint(address)?;
        Ok(endpoint.connect_with_connector_lazy(self.service()))
    }

    /// A channel to `address` (host:port) that stands.
    ///
    /// # Errors
    /// [`ConnectError`] when `address` is not host:port, nobody answers there, or who answers is not a manager of ours.
    pub async fn connect(&self, address: &str) -> Result<Channel, ConnectError> {
        let endpoint = endpoint(address)?;
        let connected = endpoint.connect_with_connector(self.service()).await;
        connected.map_err(|source| ConnectError::Unreachable { address: address.to_owned(), source })
    }

    /// Who answers at `address` (host:port), by the certificate.
    pub(crate) async fn identify(&self, address: &str) -> Result<Identity, ConnectError> {
        let failed = |source| ConnectError::Handshake { address: address.to_owned(), source };
        let (host, port) = parse(address)?;
        let stream = open(&self.tls, &host, port).await.map_err(failed)?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = certificates.first().map(AsRef::as_ref).unwrap_or_default();
        Identity::from_der(shown).map_err(|source| ConnectError::Stranger { address: address.to_owned(), source })
    }

    fn service(
        &self,
    ) -> impl tower::Service<Uri, Response = TokioIo<TlsStream<TcpStream>>, Error = io::Error, Future: Send> + Send + use<>
    {
        let tls = self.tls.clone();
        tower::service_fn(move |uri: Uri| connect(tls.clone(), uri))
    }
}

fn endpoint(address: &str) -> Result<Endpoint, AddressError> {
    let endpoint = Endpoint::from(uri(address)?)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(endpoint)
}

/// The scheme is http to tonic, because the connector brings the TLS.
fn uri(address: &str) -> Result<Uri, AddressError> {
    let refused = || AddressError { address: address.to_owned() };
    let uri: Uri = format!("http://{address}").parse().map_err(|_| refused())?;
    if uri.port().is_none() || uri.path() != "/" { Err(refused()) } else { Ok(uri) }
}

fn parse(address: &str) -> Result<(String, u16), AddressError> {
    let uri = uri(address)?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), uri.port_u16().unwrap_or_default()))
}

impl fmt::Debug for ManagerConnector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ManagerConnector")
    }
}

async fn connect(tls: TlsConnector, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    Ok(TokioIo::new(open(&tls, host, uri.port_u16().unwrap_or_default()).await?))
}

async fn open(tls: &TlsConnector, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(MANAGER_SERVER_NAME).map_err(io::Error::other)?;
    tls.connect(name, stream).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_what_is_no_address() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let connector = ManagerConnector::new(&Arc::new(tls));
        for bad in ["", "host", "host:port", "1.2.3.4:2377/x", "a b:2377"] {
            assert_eq!(connector.channel(bad).unwrap_err().address, bad);
        }
        for good in ["192.0.2.1:2377", "[2001:db8::1]:2377", "manager.example:2377"] {
            connector.channel(good).unwrap();
        }
    }
}
