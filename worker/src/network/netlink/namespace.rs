//! Network namespaces: made on throw-away threads, kept on files.
//!
//! A thread that has left its namespace never runs anything else. Leaves what is in a namespace to the plan. Invariant:
//! a [`Namespace`] holds everything needed to fill it from any thread.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::{Channel, RouteChannel};
use crate::network::plan::Step;

/// A network namespace and the doors to it.
#[derive(Debug)]
pub(in crate::network) struct Namespace {
    pub(in crate::network) handle: OwnedFd,
    pub(in crate::network) routes: RouteChannel,
    pub(in crate::network) firewall: Channel,
}

impl Namespace {
    /// Makes a fresh one with loopback up.
    pub(in crate::network) fn make() -> io::Result<Self> {
        in_throw_away_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            // Interfaces made later take these: no IPv6 without an address plan, no filter on where packets come from,
            // because answers of the routing mesh bear addresses of clients.
            for (path, value) in [
                ("ipv6/conf/default/disable_ipv6", "1"),
                ("ipv4/conf/all/rp_filter", "0"),
                ("ipv4/conf/default/rp_filter", "0"),
                ("ipv4/ip_unprivileged_port_start", "0"),
            ] {
                match fs::write(Path::new("/proc/sys/net").join(path), value) {
                    // A kernel without IPv6 lacks the first.
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            let mut made = Self::of_this_thread()?;
            made.routes.queue(&Step::LinkUp { name: "lo".to_owned() }, 0, None).map_err(|refusal| refusal.error)?;
            made.routes.flush().map_err(|refusal| refusal.error)?;
            Ok(made)
        })
    }

    fn of_this_thread() -> io::Result<Self> {
        Ok(Self {
            handle: File::open("/proc/thread-self/ns/net")?.into(),
            routes: RouteChannel::open(0)?,
            firewall: Channel::open(NETLINK_NETFILTER)?,
        })
    }
}

/// Keeps a namespace on a file, made here if need be.
pub(in crate::network) fn mount_namespace(namespace: &Namespace, path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let source = format!("/proc/self/fd/{}", namespace.handle.as_raw_fd());
    Ok(mount(Some(source.as_str()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

/// Lets go of the namespace on a file, and removes the file. The kernel takes it down once nothing runs in it.
pub(in crate::network) fn unmount_namespace(path: &Path) -> io::Result<()> {
    // Mounted twice after a crash between mounting and writing it down: until nothing is mounted.
    while umount2(path, MntFlags::MNT_DETACH).is_ok() {}
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Namespaces made ahead of need by one thread of their own.
#[derive(Debug)]
pub(in crate::network) struct SparePool {
    made: Option<Receiver<io::Result<Namespace>>>,
}

impl SparePool {
    /// Starts making namespaces; zero: none ahead of need.
    pub(in crate::network) fn start(size: usize) -> io::Result<Self> {
        // The thread itself holds one that waits to be handed over.
        let Some(waiting) = size.checked_sub(1) else { return Ok(Self { made: None }) };
        let (sender, made) = sync_channel(waiting);
        std::thread::Builder::new().name("netns-pool".to_owned()).spawn(move || fill(&sender))?;
        Ok(Self { made: Some(made) })
    }

    /// The next one.
    pub(in crate::network) fn take(&self) -> io::Result<Namespace> {
        match self.made.as_ref().map(Receiver::recv) {
            Some(Ok(made)) => made,
            // The pool's thread ends with the pool only.
            Some(Err(_)) | None => Namespace::make(),
        }
    }
}

fn fill(sender: &SyncSender<io::Result<Namespace>>) {
    while sender.send(Namespace::make()).is_ok() {}
}

/// Does work on a thread that may leave its namespace, and ends.
pub(in crate::network) fn in_throw_away_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("the thread in the namespace panicked"))?
    })
}
