//! The actor: one task a container, which answers what comes through its sockets.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use shoal_proto::model::NetworkId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Verdict, Way, answer, failure};
use super::limits::{
    ACCEPT_PAUSE, COMMANDS, CONNECTION_IDLE, CONNECTIONS_A_CONTAINER, MESSAGE_BYTES, QUERIES_A_CONTAINER,
};
use super::upstream::Upstream;
use super::zones::Zones;
use crate::network::ResolverSockets;

/// The handle to the resolver; cheap to clone. When the last one goes, it ends.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// What one container may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Its networks, the one whose names come first first.
    pub(crate) networks: Vec<NetworkId>,
    /// Its own servers outside; none: the host's.
    pub(crate) nameservers: Vec<IpAddr>,
    /// Whether it has a way out, and so a use for names from there.
    pub(crate) outside: bool,
}

#[derive(Debug)]
enum Command {
    Attach(String, ResolverSockets, Scope),
    Detach(String),
}

#[derive(Debug)]
struct Shared {
    /// `None`: not known yet.
    zones: ArcSwapOption<Zones>,
    upstream: Upstream,
    /// Counts answers.
    turn: AtomicUsize,
}

impl Resolver {
    /// Starts the actor.
    pub(crate) fn spawn() -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let upstream = Upstream::new(PathBuf::from("/etc/resolv.conf"));
        let shared = Arc::new(Shared { zones: ArcSwapOption::empty(), upstream, turn: AtomicUsize::new(0) });
        let server = Server { inbox, shared: Arc::clone(&shared), containers: HashMap::new(), serving: JoinSet::new() };
        tokio::spawn(server.run());
        Self { commands, shared }
    }

    /// Answers by these names from now on.
    pub(crate) fn set_zones(&self, zones: Zones) {
        self.shared.zones.store(Some(Arc::new(zones)));
    }

    /// Serves a container, in place of what served it before.
    pub(crate) async fn attach(&self, container: &str, sockets: ResolverSockets, scope: Scope) {
        self.tell(Command::Attach(container.to_owned(), sockets, scope)).await;
    }

    /// Serves a container no longer.
    pub(crate) async fn detach(&self, container: &str) {
        self.tell(Command::Detach(container.to_owned())).await;
    }

    async fn tell(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::error!("the resolver has ended: containers resolve no names");
        }
    }
}

struct Server {
    inbox: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    containers: HashMap<String, AbortHandle>,
    serving: JoinSet<()>,
}

impl Server {
    async fn run(mut self) {
        loop {
            tokio::select! {
                command = self.inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                Some(_ended) = self.serving.join_next() => {}
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Attach(container, sockets, scope) => {
                let ResolverSockets { udp, tcp, .. } = sockets;
                let opened = UdpSocket::from_std(udp).and_then(|udp| Ok((Arc::new(udp), TcpListener::from_std(tcp)?)));
                let (udp, tcp) = match opened {
                    Ok(sockets) => sockets,
                    Err(error) => {
                        tracing::error!(container, %error, "the container resolves no names: its sockets can't be served");
                        return;
                    }
                };
                let asker = Arc::new(Asker { shared: Arc::clone(&self.shared), scope });
                let served = self.serving.spawn(Container { udp, tcp, asker, work: JoinSet::new() }.run());
                if let Some(before) = self.containers.insert(container, served) {
                    before.abort();
                }
            }
            Command::Detach(container) => {
                if let Some(served) = self.containers.remove(&container) {
                    served.abort();
                }
            }
        }
    }
}

/// Who asks, and whom.
struct Asker {
    shared: Arc<Shared>,
    scope: Scope,
}

impl Asker {
    /// What is known here.
    fn at_once(&self, query: &[u8], way: Way) -> Verdict {
        let shift = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        let zones = self.shared.zones.load();
        match answer(query, zones.as_deref(), &self.scope.networks, way, shift) {
            Verdict::AskOutside if !self.scope.outside => failure(query, way),
            verdict => verdict,
        }
    }

    /// What others know.
    async fn outside(&self, query: &[u8], way: Way) -> Verdict {
        let answered = self.shared.upstream.ask(query, &self.scope.nameservers, way).await;
        answered.map_or_else(|| failure(query, way), Verdict::Answer)
    }
}

/// One container's resolver.
struct Container {
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    asker: Arc<Asker>,
    /// Queries that wait for others, and connections.
    work: JoinSet<()>,
}

impl Container {
    async fn run(mut self) {
        let mut buffer = vec![0; MESSAGE_BYTES];
        // When connections are taken again, while they are not.
        let mut resume: Option<Instant> = None;
        loop {
            tokio::select! {
                received = self.udp.recv_from(&mut buffer) => match received {
                    Ok((length, client)) => self.take(&buffer[..length], client).await,
                    // A client's port that is closed by now shows up as an error of this socket.
                    Err(error) => tracing::trace!(%error, "a datagram was not received"),
                },
                accepted = self.tcp.accept(), if resume.is_none() => match accepted {
                    Ok((stream, _)) => self.connect(stream),
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the resolver was not accepted");
                        resume = Some(Instant::now() + ACCEPT_PAUSE);
                    }
                },
                () = sleep_until(resume.unwrap_or_else(Instant::now)), if resume.is_some() => resume = None,
                Some(_done) = self.work.join_next() => {}
            }
        }
    }

    async fn take(&mut self, query: &[u8], client: SocketAddr) {
        match self.asker.at_once(query, Way::Datagram) {
            Verdict::Answer(bytes) => send(&self.udp, &bytes, client).await,
            Verdict::Drop => {}
            Verdict::AskOutside if self.work.len() >= QUERIES_A_CONTAINER => {}
            Verdict::AskOutside => {
                let (udp, asker, query) = (Arc::clone(&self.udp), Arc::clone(&self.asker), query.to_vec());
                self.work.spawn(async move {
                    if let Verdict::Answer(bytes) = asker.outside(&query, Way::Datagram).await {
                        send(&udp, &bytes, client).await;
                    }
                });
            }
        }
    }

    fn connect(&mut self, stream: TcpStream) {
        if self.work.len() >= QUERIES_A_CONTAINER.min(CONNECTIONS_A_CONTAINER) {
            return;
        }
        let asker = Arc::clone(&self.asker);
        self.work.spawn(async move {
            if let Err(error) = converse(stream, &asker).await {
                tracing::trace!(%error, "a connection to the resolver broke");
            }
        });
    }
}

/// Answers queries of one connection, one after the other, until it ends or says nothing for long.
async fn converse(mut stream: TcpStream, asker: &Asker) -> io::Result<()> {
    loop {
        let Ok(length) = timeout(CONNECTION_IDLE, stream.read_u16()).await else { return Ok(()) };
        let mut query = vec![0; usize::from(length?)];
        timeout(CONNECTION_IDLE, stream.read_exact(&mut query)).await??;
        let verdict = match asker.at_once(&query, Way::Connection) {
            Verdict::AskOutside => asker.outside(&query, Way::Connection).await,
            verdict => verdict,
        };
        let Verdict::Answer(bytes) = verdict else { return Ok(()) };
        let length = u16::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        timeout(CONNECTION_IDLE, stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat())).await??;
    }
}

async fn send(udp: &UdpSocket, bytes: &[u8], client: SocketAddr) {
    if let Err(error) = udp.send_to(bytes, client).await {
        tracing::trace!(%client, %error, "an answer was not sent");
    }
}
