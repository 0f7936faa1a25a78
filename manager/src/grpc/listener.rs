//! The door: accepts TCP, makes TLS of it, and says who called.
//!
//! A handshake runs in a task of its own under a deadline, and only so many run at once, so that no caller can keep
//! others waiting. Who called is read from the certificate once for a connection; whether the certificate is of this
//! swarm's root was settled by the handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::caller::Caller;
use super::refusals::Refusals;
use crate::limits::{ACCEPT_QUEUE, ACCEPT_RETRY, HANDSHAKE_TIMEOUT, HANDSHAKES_MAX};

/// Accepts connections for as long as it runs.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    refusals: Arc<Refusals>,
    accepted: mpsc::Sender<io::Result<Connection>>,
    stop: CancellationToken,
}

/// A connection with its caller.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
}

impl Listener {
    /// A listener on a bound socket, and the connections that come of it until `stop`.
    pub(crate) fn new(
        listener: TcpListener,
        tls: &Arc<ServerConfig>,
        refusals: Arc<Refusals>,
        stop: CancellationToken,
    ) -> (Self, mpsc::Receiver<io::Result<Connection>>) {
        let mut tls = ServerConfig::clone(tls);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would show the certificate of its beginning, with the role of that time.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        let (accepted, connections) = mpsc::channel(ACCEPT_QUEUE);
        (Self { listener, tls: Arc::new(tls), refusals, accepted, stop }, connections)
    }

    pub(crate) async fn run(self) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let stop = self.stop.clone();
        let accept = async {
            loop {
                // Never closed, so that there always is a permit in the end.
                let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
                let (stream, remote) = match self.listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // The caller gave up, or descriptors ran out: both pass.
                        tracing::warn!(error = &error as &dyn std::error::Error, "failed to accept a connection");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                        continue;
                    }
                };
                let handshake = Handshake {
                    acceptor: TlsAcceptor::from(Arc::clone(&self.tls)),
                    remote,
                    refusals: Arc::clone(&self.refusals),
                    accepted: self.accepted.clone(),
                };
                tokio::spawn(async move {
                    handshake.run(stream).await;
                    drop(permit);
                });
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept => {}
        }
    }
}

struct Handshake {
    acceptor: TlsAcceptor,
    remote: SocketAddr,
    refusals: Arc<Refusals>,
    accepted: mpsc::Sender<io::Result<Connection>>,
}

impl Handshake {
    async fn run(self, stream: TcpStream) {
        let ip = self.remote.ip();
        match timeout(HANDSHAKE_TIMEOUT, self.shake(stream)).await {
            Ok(Ok(connection)) => {
                // Fails only when the server has stopped, and with it the need for the connection.
                let _ = self.accepted.send(Ok(connection)).await;
            }
            Ok(Err(error)) => self.refuse(ip, &error.to_string()),
            Err(_) => self.refuse(ip, "the TLS handshake took too long"),
        }
    }

    async fn shake(&self, stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let stream = self.acceptor.accept(stream).await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let caller = Caller::new(self.remote, certificates.first().map(AsRef::as_ref));
        Ok(Connection { stream, caller })
    }

    fn refuse(&self, ip: IpAddr, reason: &str) {
        self.refusals.log(ip, reason, "refused a connection");
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
