//! The handle to the network thread: one method a wish, each answered when the kernel holds it.
//!
//! Cheap to clone. Leaves everything to `actor`; only carries commands and replies.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tokio::sync::{mpsc, oneshot};

use shoal_proto::model::NetworkId;

use super::limits::COMMANDS_WAITING;
use super::tunnel_keys::tunnel_keys;
use super::{
    Endpoint, EndpointRequest, FrameSocket, NetworkConfig, NetworkError, NetworkPlanInput, Peer, PublishedService,
    ResolverSockets, TunnelKeys, VirtualService, actor,
};

/// The data path of one daemon. Every method may be repeated: what stands already is left as it is.
#[derive(Debug, Clone)]
pub struct Networks {
    commands: mpsc::Sender<Command>,
    tunnel_keys: TunnelKeys,
}

impl Networks {
    /// Starts the network thread in the network namespace of the calling thread, and makes the bridge and the table.
    ///
    /// # Errors
    /// Fails when the exec-root can't be used, no subnet is free, or the kernel refuses the bridge or the table.
    pub fn start(config: NetworkConfig) -> Result<Self, NetworkError> {
        let (commands, inbox) = mpsc::channel(COMMANDS_WAITING);
        let (teller, tunnel_keys) = tunnel_keys();
        actor::start(config, inbox, teller)?;
        Ok(Self { commands, tunnel_keys })
    }

    /// This node's public keys of the tunnel that encrypted networks go through.
    #[must_use]
    pub fn tunnel_keys(&self) -> TunnelKeys {
        self.tunnel_keys.clone()
    }

    /// The overlay networks that this host carries, those of a former run included.
    ///
    /// # Errors
    /// Fails when the network thread has ended.
    pub async fn networks(&self) -> Result<Vec<NetworkId>, NetworkError> {
        self.ask(Command::Networks).await
    }

    /// Makes a network on this host, or changes its node address.
    ///
    /// # Errors
    /// Fails when a field can't be used or the kernel refuses.
    pub async fn ensure_network(&self, network: NetworkPlanInput) -> Result<(), NetworkError> {
        self.ask(|reply| Command::EnsureNetwork(network, reply)).await
    }

    /// Removes a network from this host, its peers with it.
    ///
    /// # Errors
    /// Fails while endpoints are attached to it, or when the kernel refuses.
    pub async fn remove_network(&self, network: NetworkId) -> Result<(), NetworkError> {
        self.ask(|reply| Command::RemoveNetwork(network, reply)).await
    }

    /// Makes a container's namespace with its interfaces and host ports. Repeated for the same container it returns
    /// what stands.
    ///
    /// # Errors
    /// Fails when a host port is taken (the text names the holder), a network is unknown, no address is free, or the
    /// kernel refuses; then nothing is left behind.
    pub async fn create_endpoint(&self, request: EndpointRequest) -> Result<Endpoint, NetworkError> {
        self.ask(|reply| Command::CreateEndpoint(request, reply)).await
    }

    /// Removes a container's interfaces, host ports and namespace file; no error when there is none.
    ///
    /// # Errors
    /// Fails when the kernel refuses.
    pub async fn remove_endpoint(&self, container_id: &str) -> Result<(), NetworkError> {
        self.ask(|reply| Command::RemoveEndpoint(container_id.to_owned(), reply)).await
    }

    /// After a restart: keeps the endpoints of these containers as they are, removes all others of this daemon, and
    /// returns those kept that still stand.
    ///
    /// # Errors
    /// Fails when the kernel refuses.
    pub async fn adopt(&self, container_ids: Vec<String>) -> Result<Vec<(String, Endpoint)>, NetworkError> {
        self.ask(|reply| Command::Adopt(container_ids, reply)).await
    }

    /// Sets all other hosts of a network and what they have there. This host itself is not among them.
    ///
    /// # Errors
    /// Fails when the network is unknown or the kernel refuses.
    pub async fn set_peers(&self, network: NetworkId, peers: Vec<Peer>) -> Result<(), NetworkError> {
        self.ask(|reply| Command::SetPeers(network, peers, reply)).await
    }

    /// Sets all published services, in one transaction, and all virtual addresses, in one transaction for each
    /// container. Established connections go on.
    ///
    /// # Errors
    /// Fails when two services publish one port, or when the kernel refuses; where it does, the old set still serves.
    pub async fn set_services(
        &self,
        published: Vec<PublishedService>,
        virtuals: Vec<VirtualService>,
    ) -> Result<(), NetworkError> {
        self.ask(|reply| Command::SetServices(published, virtuals, reply)).await
    }

    /// Opens the sockets of a container's resolver in its namespace, and leads port 53 of 127.0.0.11 there.
    ///
    /// # Errors
    /// Fails when the container has no endpoint, or when the kernel refuses.
    pub async fn open_resolver(&self, container_id: &str) -> Result<ResolverSockets, NetworkError> {
        self.ask(|reply| Command::OpenResolver(container_id.to_owned(), reply)).await
    }

    /// Opens a socket for probes to other hosts on a network. It is of no use once the network is made anew.
    ///
    /// # Errors
    /// Fails when the network is unknown, or when the kernel refuses.
    pub async fn open_probe(&self, network: NetworkId) -> Result<FrameSocket, NetworkError> {
        self.ask(|reply| Command::OpenProbe(network, reply)).await
    }

    /// What the kernel shows of virtual addresses, read back from it.
    ///
    /// # Errors
    /// Fails when the kernel can't be read.
    pub async fn shown_vips(&self) -> Result<ShownVips, NetworkError> {
        self.ask(Command::ShownVips).await
    }

    /// Compares what the kernel shows with what it was told, and tells it anew what differs. Returns what differed, a
    /// line each.
    ///
    /// # Errors
    /// Fails when the kernel can't be read, or refuses.
    pub async fn verify(&self) -> Result<Vec<String>, NetworkError> {
        self.ask(Command::Verify).await
    }

    /// Removes everything of this daemon: for leaving the swarm. Nothing but dropping the handle may follow.
    ///
    /// # Errors
    /// Fails when the kernel refuses.
    pub async fn teardown(&self) -> Result<(), NetworkError> {
        self.ask(Command::Teardown).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| NetworkError::Stopped)?;
        answer.await.map_err(|_| NetworkError::Stopped)?
    }
}

/// For each container with a resolver: virtual address -> who answers for it, sorted.
pub type ShownVips = BTreeMap<String, BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>>;

pub(super) type Reply<T> = oneshot::Sender<Result<T, NetworkError>>;

/// What the network thread is asked.
#[derive(Debug)]
pub(super) enum Command {
    Networks(Reply<Vec<NetworkId>>),
    EnsureNetwork(NetworkPlanInput, Reply<()>),
    RemoveNetwork(NetworkId, Reply<()>),
    CreateEndpoint(EndpointRequest, Reply<Endpoint>),
    RemoveEndpoint(String, Reply<()>),
    Adopt(Vec<String>, Reply<Vec<(String, Endpoint)>>),
    SetPeers(NetworkId, Vec<Peer>, Reply<()>),
    SetServices(Vec<PublishedService>, Vec<VirtualService>, Reply<()>),
    OpenResolver(String, Reply<ResolverSockets>),
    OpenProbe(NetworkId, Reply<FrameSocket>),
    ShownVips(Reply<ShownVips>),
    Verify(Reply<Vec<String>>),
    Teardown(Reply<()>),
}
