//! What a pull tells about itself while it runs, in Docker's words.
//!
//! Owns the messages and how they reach several listeners of one pull; leaves their JSON form to the API. Invariant:
//! a slow listener never slows the pull and never loses a final message: counters are coalesced, everything else is
//! queued, and there are few messages of that kind (a handful for each layer).

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use super::digest::Digest;

/// One progress message; its [`Display`](fmt::Display) is the text that Docker shows as `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The layer (twelve hexadecimal digits), or the tag for [`Status::PullingFrom`]; absent for the closing messages.
    pub id: Option<String>,
    /// What happened.
    pub status: Status,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The pull began; the repository's path.
    PullingFrom(String),
    /// A layer is wanted.
    PullingFsLayer,
    /// A layer waits for its turn.
    Waiting,
    /// Bytes of the layer that have arrived.
    Downloading(Counter),
    /// A failed download is tried again after so many seconds.
    Retrying {
        /// Seconds to the next attempt.
        seconds: u64,
    },
    /// All bytes arrived and are being compared with the digest.
    VerifyingChecksum,
    /// The layer's bytes are here and verified.
    DownloadComplete,
    /// Compressed bytes of the layer that have been unpacked.
    Extracting(Counter),
    /// The layer is in the store.
    PullComplete,
    /// The layer was in the store before.
    AlreadyExists,
    /// The digest that the name stands for.
    Digest(Digest),
    /// The pull brought something new; the familiar name.
    Downloaded(String),
    /// The store had it all; the familiar name.
    UpToDate(String),
}

/// Bytes done, of bytes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Bytes done.
    pub current: u64,
    /// Bytes in all; 0 when unknown.
    pub total: u64,
}

impl Progress {
    /// The counter that Docker puts into `progressDetail`, when this message has one.
    #[must_use]
    pub fn counter(&self) -> Option<Counter> {
        match self.status {
            Status::Downloading(counter) | Status::Extracting(counter) => Some(counter),
            _ => None,
        }
    }

    /// Whether Docker gives this message a `progressDetail`, be it empty.
    #[must_use]
    pub fn has_detail(&self) -> bool {
        self.id.is_some() && !matches!(self.status, Status::PullingFrom(_))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.status {
            Status::PullingFrom(path) => write!(f, "Pulling from {path}"),
            Status::PullingFsLayer => f.write_str("Pulling fs layer"),
            Status::Waiting => f.write_str("Waiting"),
            Status::Downloading(_) => f.write_str("Downloading"),
            Status::Retrying { seconds: 1 } => f.write_str("Retrying in 1 second"),
            Status::Retrying { seconds } => write!(f, "Retrying in {seconds} seconds"),
            Status::VerifyingChecksum => f.write_str("Verifying Checksum"),
            Status::DownloadComplete => f.write_str("Download complete"),
            Status::Extracting(_) => f.write_str("Extracting"),
            Status::PullComplete => f.write_str("Pull complete"),
            Status::AlreadyExists => f.write_str("Already exists"),
            Status::Digest(digest) => write!(f, "Digest: {digest}"),
            Status::Downloaded(name) => write!(f, "Status: Downloaded newer image for {name}"),
            Status::UpToDate(name) => write!(f, "Status: Image is up to date for {name}"),
        }
    }
}

/// Where a pull reports to: all its listeners, also those that come later.
#[derive(Debug, Clone, Default)]
pub(super) struct Announcer {
    shared: Arc<Mutex<Audience>>,
}

#[derive(Debug, Default)]
struct Audience {
    /// The latest message of every id, in order of first appearance: what a late listener is told at once.
    latest: Vec<Progress>,
    listeners: Vec<Arc<Inbox>>,
}

#[derive(Debug, Default)]
struct Inbox {
    queue: Mutex<VecDeque<Progress>>,
    arrived: Notify,
}

impl Announcer {
    pub(super) fn layer(&self, id: &str, status: Status) {
        self.send(Progress { id: Some(id.to_owned()), status });
    }

    pub(super) fn plain(&self, status: Status) {
        self.send(Progress { id: None, status });
    }

    pub(super) fn send(&self, message: Progress) {
        let mut audience = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        match audience.latest.iter_mut().find(|known| message.id.is_some() && known.id == message.id) {
            Some(known) => *known = message.clone(),
            None => audience.latest.push(message.clone()),
        }
        for inbox in &audience.listeners {
            inbox.push(message.clone());
        }
    }

    pub(super) fn listen(&self) -> Listener {
        let mut audience = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let inbox =
            Arc::new(Inbox { queue: Mutex::new(audience.latest.iter().cloned().collect()), ..Inbox::default() });
        inbox.arrived.notify_one();
        audience.listeners.push(Arc::clone(&inbox));
        Listener { announcer: self.clone(), inbox }
    }
}

impl Inbox {
    fn push(&self, message: Progress) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_counter = message.counter().is_some();
        let superseded = queue.iter_mut().find(|queued| {
            is_counter
                && queued.id == message.id
                && std::mem::discriminant(&queued.status) == std::mem::discriminant(&message.status)
        });
        match superseded {
            Some(queued) => *queued = message,
            None => queue.push_back(message),
        }
        self.arrived.notify_one();
    }
}

/// One listener of a pull.
#[derive(Debug)]
pub(super) struct Listener {
    announcer: Announcer,
    inbox: Arc<Inbox>,
}

impl Listener {
    /// The next message. Never ends by itself: the caller races it against the pull's result.
    pub(super) async fn next(&self) -> Progress {
        loop {
            if let Some(message) = self.next_ready() {
                return message;
            }
            self.inbox.arrived.notified().await;
        }
    }

    /// The next message that has already arrived.
    pub(super) fn next_ready(&self) -> Option<Progress> {
        self.inbox.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut audience = self.announcer.shared.lock().unwrap_or_else(PoisonError::into_inner);
        audience.listeners.retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn downloading(current: u64) -> Status {
        Status::Downloading(Counter { current, total: 10 })
    }

    #[test]
    fn counters_coalesce_and_the_rest_keeps_its_order() {
        let announcer = Announcer::default();
        let listener = announcer.listen();
        announcer.layer("a", Status::PullingFsLayer);
        for current in 0..5 {
            announcer.layer("a", downloading(current));
            announcer.layer("b", downloading(current));
        }
        announcer.layer("a", Status::DownloadComplete);
        let seen: Vec<_> = std::iter::from_fn(|| listener.next_ready()).map(|m| (m.id.unwrap(), m.status)).collect();
        let expected = [
            ("a", Status::PullingFsLayer),
            ("a", downloading(4)),
            ("b", downloading(4)),
            ("a", Status::DownloadComplete),
        ];
        assert_eq!(seen, expected.map(|(id, status)| (id.to_owned(), status)));
    }

    #[tokio::test]
    async fn a_late_listener_hears_the_state_of_every_layer() {
        let announcer = Announcer::default();
        announcer.layer("a", Status::PullingFsLayer);
        announcer.layer("b", downloading(3));
        announcer.layer("a", Status::PullComplete);
        let listener = announcer.listen();
        assert_eq!(listener.next().await.to_string(), "Pull complete");
        assert_eq!(listener.next().await.counter(), Some(Counter { current: 3, total: 10 }));
        drop(listener);
        assert!(announcer.shared.lock().unwrap().listeners.is_empty());
    }
}
