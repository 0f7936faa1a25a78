//! One daemon's API over HTTP/1.1, on a unix socket or TCP.
//!
//! Owns connecting, agreeing on the API version, and building calls. A command makes few calls and each has its own
//! connection: nothing needs to be kept, and a stream or a taken-over connection never holds up the next call.

use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::call::{Call, RequestBody, header_text};
use super::host::{Host, Origin};
use crate::error::Error;
use crate::limits::{API_VERSION_MAX, API_VERSION_MIN};

/// A daemon whose API version is agreed.
#[derive(Debug)]
pub(crate) struct Client {
    host: Host,
    origin: Origin,
    version: (u16, u16),
}

impl Client {
    /// Asks the daemon for its version and settles on the newest that both speak.
    pub(crate) async fn connect(host: Host, origin: Origin) -> Result<Self, Error> {
        let mut client = Self { host, origin, version: API_VERSION_MAX };
        let ping = Call::unversioned(&client, Method::HEAD, "/_ping", "reach the daemon").answer().await?;
        if let Some(version) = header_text(&ping, "api-version").as_deref().and_then(parse_version) {
            if version < API_VERSION_MIN {
                return Err(Error::VersionTooOld { server: format!("{}.{}", version.0, version.1) });
            }
            client.version = version.min(API_VERSION_MAX);
        }
        Ok(client)
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The agreed API version.
    pub(crate) fn version(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }

    /// Begins a call. `action` completes "failed to ..." when the call fails; `path` has no version in front.
    pub(crate) fn call(&self, method: Method, path: impl AsRef<str>, action: &'static str) -> Call<'_> {
        Call::unversioned(self, method, &format!("/v{}{}", self.version(), path.as_ref()), action)
    }

    pub(crate) fn get(&self, path: impl AsRef<str>, action: &'static str) -> Call<'_> {
        self.call(Method::GET, path, action)
    }

    pub(crate) fn post(&self, path: impl AsRef<str>, action: &'static str) -> Call<'_> {
        self.call(Method::POST, path, action)
    }

    pub(crate) fn delete(&self, path: impl AsRef<str>, action: &'static str) -> Call<'_> {
        self.call(Method::DELETE, path, action)
    }

    /// Sends one request over a fresh connection.
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        action: &'static str,
    ) -> Result<hyper::Response<Incoming>, Error> {
        let refused = |source| Error::Connect { host: self.host.to_string(), origin: self.origin, source };
        match &self.host {
            Host::Unix(path) => exchange(UnixStream::connect(path).await.map_err(refused)?, request).await,
            Host::Tcp(address, port) => {
                let stream = TcpStream::connect((address.as_str(), *port)).await.map_err(refused)?;
                exchange(stream, request).await
            }
        }
        .map_err(|source| Error::Transport { action, source })
    }
}

async fn exchange<S>(stream: S, request: Request<RequestBody>) -> hyper::Result<hyper::Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut sender: SendRequest<RequestBody> = spawn(sender, connection);
    sender.send_request(request).await
}

/// Drives a connection in the background until its last byte is read or it is taken over.
fn spawn<S>(
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<S>, RequestBody>,
) -> SendRequest<RequestBody>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // Its failure reaches the caller through the answer or its body.
    tokio::spawn(connection.with_upgrades());
    sender
}

fn parse_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(parse_version("1.9").unwrap() < parse_version("1.41").unwrap());
        assert_eq!(parse_version("nonsense"), None);
    }
}
