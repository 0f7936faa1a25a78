//! Accepts connections and, when told to stop, lets what is under way finish until a deadline.
//!
//! Invariants: a connection is served to its end or cut at the deadline; streams that would never end (followed
//! logs, events) end at once when stopping; a request that changes something is not abandoned because its client
//! went away.

use std::io;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dispatch::Dispatcher;
use super::listen::Listener;
use crate::backend::Backend;
use crate::limits::{ACCEPT_RETRY_PAUSE, CONNECTIONS_MAX, DRAIN_DEADLINE};

/// Serves `backend` on all `listeners` until `shutdown`, then drains; ends within a few seconds of `shutdown`.
pub async fn serve(listeners: Vec<Listener>, backend: Arc<dyn Backend>, shutdown: CancellationToken) {
    let app = App { backend, shutdown, cut: CancellationToken::new(), tasks: TaskTracker::new() };
    for listener in listeners {
        let acceptor = Acceptor {
            listener,
            dispatcher: Dispatcher::new(app.clone()),
            app: app.clone(),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        };
        app.tasks.spawn(acceptor.run());
    }
    app.shutdown.cancelled().await;
    app.tasks.close();
    if tokio::time::timeout(DRAIN_DEADLINE, app.tasks.wait()).await.is_err() {
        tracing::warn!(open = app.tasks.len(), "cutting requests that did not finish in time");
        app.cut.cancel();
        app.tasks.wait().await;
    }
}

/// What every request can reach.
#[derive(Clone)]
pub(super) struct App {
    pub(super) backend: Arc<dyn Backend>,
    /// Begin to stop: accept nothing, end endless streams.
    pub(super) shutdown: CancellationToken,
    /// Stop now.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl App {
    /// Runs work to its end even when the request that began it is gone; cut only when the daemon must stop.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<Option<T>> {
        let cut = self.cut.clone();
        self.tasks.spawn(async move { cut.run_until_cancelled(work).await })
    }
}

struct Acceptor {
    listener: Listener,
    dispatcher: Dispatcher,
    app: App,
    places: Arc<Semaphore>,
}

impl Acceptor {
    async fn run(self) {
        let shutdown = self.app.shutdown.clone();
        shutdown.run_until_cancelled(self.accept_all()).await;
    }

    async fn accept_all(self) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok(socket) => {
                    let connection =
                        Connection { socket, dispatcher: self.dispatcher.clone(), shutdown: self.app.shutdown.clone() };
                    self.app.spawn(async move {
                        connection.run().await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                }
            }
        }
    }
}

struct Connection {
    socket: Socket,
    dispatcher: Dispatcher,
    shutdown: CancellationToken,
}

impl Connection {
    async fn run(self) {
        let dispatcher = self.dispatcher;
        let service = service_fn(move |request| {
            let dispatcher = dispatcher.clone();
            async move { Ok::<_, std::convert::Infallible>(dispatcher.answer(request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(self.socket), service).with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

type Socket = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
