//! Deletes retired links behind the back of the network thread.
//!
//! Deleting a link makes the kernel wait until no processor looks at it any more, tens of milliseconds; for a group of
//! links it waits once. Leaves what is retired to the plan. Invariant: a retired link is deleted even when the daemon ends
//! before: the group is deleted at the next start.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::RouteChannel;

/// The handle to the thread that deletes.
#[derive(Debug)]
pub(in crate::network) struct Reaper {
    // One waiting is enough: it comes after whatever was retired before.
    calls: SyncSender<Option<SyncSender<()>>>,
}

impl Reaper {
    /// Starts the thread, in the calling thread's network namespace.
    pub(in crate::network) fn start(group: u32) -> io::Result<Self> {
        let routes = RouteChannel::open(group)?;
        let (calls, inbox) = sync_channel(1);
        std::thread::Builder::new().name("link-reaper".to_owned()).spawn(move || reap(routes, &inbox))?;
        Ok(Self { calls })
    }

    /// Asks for deletion, without waiting.
    pub(in crate::network) fn call(&self) -> io::Result<()> {
        match self.calls.try_send(None) {
            Err(TrySendError::Disconnected(_)) => Err(ended()),
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
        }
    }

    /// Waits until what is retired now is deleted.
    pub(in crate::network) fn wait(&self) -> io::Result<()> {
        let (done, waiting) = sync_channel(1);
        self.calls.send(Some(done)).map_err(|_| ended())?;
        waiting.recv().map_err(|_| ended())
    }
}

fn reap(mut routes: RouteChannel, inbox: &Receiver<Option<SyncSender<()>>>) {
    while let Ok(done) = inbox.recv() {
        if let Err(error) = routes.delete_retired() {
            tracing::warn!(%error, "could not delete retired links; they are tried again with the next");
        }
        if let Some(done) = done {
            // Who waited may have gone.
            let _gone = done.send(());
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that deletes links has ended")
}
