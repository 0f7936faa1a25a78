//! Deletes behind the back of the network thread: retired links, connections to addresses that are gone.
//!
//! Deleting a link makes the kernel wait until no processor looks at it any more, tens of milliseconds; for a group of
//! links it waits once. Finding connections means reading all of them, which on a busy host are hundreds of thousands: that
//! is done once for all addresses that go within a second, and in namespaces only where rules in them translate. Leaves
//! what is retired or gone to others.
//! Invariant: a retired link is deleted even when the daemon ends before: the group is deleted at the next start.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::connections::forget_connections;
use super::sockets::end_sockets;
use super::{Channel, RouteChannel};
use crate::network::ebpf::FlowTable;
use crate::network::limits::SWEEP_PAUSE;

/// The handle to the thread that deletes.
#[derive(Debug)]
pub(in crate::network) struct Reaper {
    // One waiting is enough: it comes after whatever was retired before.
    calls: SyncSender<Option<SyncSender<()>>>,
    gone: GoneAddresses,
}

type GoneAddresses = Arc<Mutex<Gone>>;

/// Connections to be forgotten.
#[derive(Debug, Default)]
struct Gone {
    addresses: BTreeSet<IpAddr>,
    /// Where besides the host.
    namespaces: BTreeSet<PathBuf>,
    /// Flows that no rule translates.
    flows: Option<FlowTable>,
}

struct ReaperThread {
    routes: RouteChannel,
    connections: Channel,
    gone: GoneAddresses,
    flows: Option<FlowTable>,
}

impl Reaper {
    /// Starts the thread, in the calling thread's network namespace.
    pub(in crate::network) fn start(group: u32) -> io::Result<Self> {
        let gone = GoneAddresses::default();
        let thread = ReaperThread {
            routes: RouteChannel::open(group)?,
            connections: Channel::open(NETLINK_NETFILTER)?,
            gone: Arc::clone(&gone),
            flows: None,
        };
        let (calls, inbox) = sync_channel(1);
        std::thread::Builder::new().name("network-reaper".to_owned()).spawn(move || thread.run(&inbox))?;
        Ok(Self { calls, gone })
    }

    /// Asks for deletion of retired links, without waiting.
    pub(in crate::network) fn call(&self) -> io::Result<()> {
        match self.calls.try_send(None) {
            Err(TrySendError::Disconnected(_)) => Err(ended()),
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
        }
    }

    /// Asks to forget the connections to addresses on the host and in the namespaces on these files, without waiting.
    pub(in crate::network) fn forget(
        &self,
        addresses: impl IntoIterator<Item = IpAddr>,
        namespaces: Vec<PathBuf>,
    ) -> io::Result<()> {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.addresses.extend(addresses);
        gone.namespaces.extend(namespaces);
        if gone.addresses.is_empty() { Ok(()) } else { self.call() }
    }

    /// Has flows forgotten too that no rule translates.
    pub(in crate::network) fn forget_flows_of(&self, flows: FlowTable) {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).flows = Some(flows);
    }

    /// Waits until what is retired or gone now is deleted.
    pub(in crate::network) fn wait(&self) -> io::Result<()> {
        let (done, waiting) = sync_channel(1);
        self.calls.send(Some(done)).map_err(|_| ended())?;
        waiting.recv().map_err(|_| ended())
    }
}

impl ReaperThread {
    /// Whether addresses are gone whose connections were not forgotten yet.
    fn awaits_sweep(&self) -> bool {
        !self.gone.lock().unwrap_or_else(PoisonError::into_inner).addresses.is_empty()
    }

    fn sweep(&mut self, swept: &mut Option<Instant>) {
        let mut gone = std::mem::take(&mut *self.gone.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(flows) = gone.flows.take() {
            self.flows = Some(flows);
        }
        if !gone.addresses.is_empty() {
            self.forget(&gone);
            *swept = Some(Instant::now());
        }
    }

    fn forget(&mut self, gone: &Gone) {
        let addresses = &gone.addresses;
        if let Some(flows) = &mut self.flows
            && let Err(error) = flows.forget(addresses)
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "flows of datagrams to addresses that are gone stay"
            );
        }
        match forget_connections(&mut self.connections, addresses) {
            Ok(count) => tracing::debug!(count, ?addresses, "forgot connections to addresses that are gone"),
            Err(error) => tracing::warn!(%error, ?addresses, "could not forget connections to addresses that are gone"),
        }
        for namespace in &gone.namespaces {
            if self.flows.is_some()
                && let Err(error) = end_sockets(namespace, addresses)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(%error, ?namespace, "could not end a container's sockets to addresses that are gone");
            }
            if self.flows.is_some() {
                // Programs translate before there is a connection: none bears another address than its socket.
                continue;
            }
            let forgotten = Channel::open_inside(namespace, NETLINK_NETFILTER)
                .and_then(|mut connections| forget_connections(&mut connections, addresses));
            if let Err(error) = forgotten
                // One that is gone has taken its connections along.
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(%error, ?namespace, "could not forget a container's connections to addresses that are gone");
            }
        }
    }

    fn run(mut self, inbox: &Receiver<Option<SyncSender<()>>>) {
        let mut swept: Option<Instant> = None;
        loop {
            let pause = swept.map_or(Duration::ZERO, |at| SWEEP_PAUSE.saturating_sub(at.elapsed()));
            let called = if self.awaits_sweep() {
                inbox.recv_timeout(pause)
            } else {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let done = match called {
                Ok(done) => done,
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Who waits is not made to wait for the pause.
            if done.is_some() || swept.is_none_or(|at| at.elapsed() >= SWEEP_PAUSE) {
                self.sweep(&mut swept);
            }
            if let Err(error) = self.routes.delete_retired() {
                tracing::warn!(%error, "could not delete retired links; they are tried again with the next");
            }
            if let Some(done) = done {
                // Who waited may have gone.
                let _gone = done.send(());
            }
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that deletes has ended")
}
