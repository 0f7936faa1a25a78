//! Mutual TLS: what the caller hands in ([`NodeTls`]) and gRPC channels to managers over it ([`ManagerConnector`]).
//!
//! Keys and certificates belong to the node: its resolvers and verifiers rotate by themselves, so that nothing here has
//! to be rebuilt when a certificate is renewed. A manager is verified by the name of its role, not by its address.

use std::fmt;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

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

impl ManagerConnector {
    /// Connects with the given half of [`NodeTls`]. ALPN is set here; everything else is the caller's.
    #[must_use]
    pub fn new(tls: &Arc<ClientConfig>) -> Self {
        let mut tls = ClientConfig::clone(tls);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Self { tls: TlsConnector::from(Arc::new(tls)) }
    }

    /// A channel to `address` (host:port), which connects at the first call and again after each failure. Dead peers are
    /// noticed by keep-alives.
    ///
    /// # Errors
    /// [`AddressError`] when `address` is not host:port.
    pub fn channel(&self, address: &str) -> Result<Channel, AddressError> {
        let refused = || AddressError { address: address.to_owned() };
        // The scheme is http to tonic, because the connector brings the TLS.
        let uri: Uri = format!("http://{address}").parse().map_err(|_| refused())?;
        if uri.port().is_none() || uri.path() != "/" {
            return Err(refused());
        }
        let endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let tls = self.tls.clone();
        Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |uri: Uri| connect(tls.clone(), uri))))
    }
}

impl fmt::Debug for ManagerConnector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ManagerConnector")
    }
}

async fn connect(tls: TlsConnector, uri: Uri) -> std::io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or_default())).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(MANAGER_SERVER_NAME).map_err(std::io::Error::other)?;
    Ok(TokioIo::new(tls.connect(name, stream).await?))
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
