//! The tunnel's threads: two for each queue, and one that tends the sessions.
//!
//! Owns the device's queues and the sockets. Leaves the device's address and routes to plans, and who the peers are to
//! the network thread. Invariant: when the value is dropped, no thread of it is left.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use shoal_proto::model::TunnelKey;

use super::link::{MESSAGE_MAX, OwnKey};
use super::socket::TunnelSocket;
use super::table::Table;
use super::{TunnelPeer, inbound, outbound};
use crate::network::limits::{TUNNEL_QUEUES_MAX, TUNNEL_TEND};
use crate::network::netlink::TunQueue;

/// What a tunnel is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct TunnelConfig {
    /// The TAP device.
    pub(in crate::network) device: String,
    /// Where datagrams of peers come to.
    pub(in crate::network) listen: SocketAddr,
    /// This host's address in the tunnel.
    pub(in crate::network) address: Ipv6Addr,
    /// Port of the VXLAN packets in the tunnel.
    pub(in crate::network) vxlan_port: u16,
}

/// The tunnel to other hosts, in user space.
#[derive(Debug)]
pub(in crate::network) struct Tunnel {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: Ipv6Addr,
    pub(super) vxlan_port: u16,
    table: ArcSwap<Table>,
    stopping: AtomicBool,
}

impl Shared {
    pub(super) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl Tunnel {
    /// Starts the threads, in the calling thread's network namespace.
    pub(in crate::network) fn start(config: &TunnelConfig) -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(TUNNEL_QUEUES_MAX);
        let shared = Arc::new(Shared {
            address: config.address,
            vxlan_port: config.vxlan_port,
            table: ArcSwap::from_pointee(Table::numbered_from(rand::random())),
            stopping: AtomicBool::new(false),
        });
        let mut tunnel = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        let mut sockets = Vec::new();
        for number in 0..count {
            let queue = Arc::new(TunQueue::open(&config.device)?);
            let socket = Arc::new(TunnelSocket::bind(config.listen)?);
            sockets.push(Arc::clone(&socket));
            let parts = (Arc::clone(&shared), Arc::clone(&queue), Arc::clone(&socket));
            tunnel.spawn(format!("tunnel-out{number}"), move || outbound::carry(&parts.0, &parts.1, &parts.2))?;
            let parts = (Arc::clone(&shared), queue, socket);
            tunnel.spawn(format!("tunnel-in{number}"), move || inbound::carry(&parts.0, &parts.1, &parts.2))?;
        }
        if let Some(socket) = sockets.into_iter().next() {
            tunnel.spawn("tunnel-tend".to_owned(), move || tend(&shared, &socket))?;
        }
        Ok(tunnel)
    }

    /// Sets this node's keys, the one in use first, and all peers. Sessions of keys that stay go on.
    pub(in crate::network) fn set_peers(&self, own: Vec<OwnKey>, peers: &[TunnelPeer]) {
        let table = self.shared.table().replaced(own, peers);
        self.shared.table.store(Arc::new(table));
        self.wake();
    }

    /// Whether every peer can be spoken to under a key of this node.
    pub(in crate::network) fn is_ready_under(&self, own: TunnelKey) -> bool {
        self.shared.table().peers().all(|peer| peer.links.iter().any(|link| link.own == own && link.is_ready()))
    }

    /// Has new sessions begun at once.
    fn wake(&self) {
        if let Some(tender) = self.threads.last() {
            tender.thread().unpark();
        }
    }

    fn spawn(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).spawn(work)?);
        Ok(())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.wake();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the tunnel panicked");
            }
        }
    }
}

/// Tends all sessions now and then, until the tunnel ends.
fn tend(shared: &Shared, socket: &TunnelSocket) {
    let mut place = [0; MESSAGE_MAX];
    while !shared.is_stopping() {
        let table = shared.table();
        table.own.iter().for_each(|own| own.limiter.reset_count());
        let now = Instant::now();
        for peer in table.peers() {
            for link in &peer.links {
                let Some(length) = link.tend(now, &mut place) else { continue };
                if let Err(error) = socket.send(&place[..length], length, peer.endpoint) {
                    tracing::debug!(peer = %peer.endpoint, %error, "a message was lost");
                }
            }
        }
        std::thread::park_timeout(TUNNEL_TEND);
    }
}
