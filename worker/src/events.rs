//! What happened on this host, for those who watch it through the API: a bounded broadcast with a short history.
//!
//! Nothing is decided by these events. A reader that is too slow is told how many it missed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use shoal_proto::model::Timestamp;
use tokio::sync::broadcast;

use crate::limits::EVENT_HISTORY;

/// Something that happened on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEvent {
    /// When.
    pub time: Timestamp,
    /// To what kind of object.
    pub kind: LocalEventKind,
    /// What, in Docker's words: create, start, die, oom, kill, stop, destroy, exec_create: CMD, exec_start: CMD, exec_die,
    /// pull, health_status: healthy, ...
    pub action: String,
    /// To which object: a container's id, an image's name, a volume's name.
    pub id: String,
    /// Name, image, labels, exitCode, signal, execID as Docker has them.
    pub attributes: BTreeMap<String, String>,
}

/// The kind of object that something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LocalEventKind {
    Container,
    Image,
    Volume,
}

/// Events before and after a moment, without gap or repetition.
#[derive(Debug)]
pub struct LocalEventFeed {
    /// Oldest first.
    pub past: Vec<LocalEvent>,
    /// Those to come; `Lagged` says how many a slow reader missed.
    pub live: broadcast::Receiver<LocalEvent>,
}

/// Where events are published. Clones are handles to the same broadcast.
#[derive(Debug, Clone)]
pub(crate) struct LocalEvents {
    shared: Arc<Mutex<Shared>>,
}

/// The lock keeps history and broadcast in step; nothing waits under it.
#[derive(Debug)]
struct Shared {
    history: VecDeque<LocalEvent>,
    live: broadcast::Sender<LocalEvent>,
}

impl LocalEvents {
    pub(crate) fn new() -> Self {
        let (live, _) = broadcast::channel(EVENT_HISTORY);
        Self { shared: Arc::new(Mutex::new(Shared { history: VecDeque::new(), live })) }
    }

    pub(crate) fn publish(&self, event: LocalEvent) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.history.len() == EVENT_HISTORY {
            shared.history.pop_front();
        }
        shared.history.push_back(event.clone());
        // Nobody listening is no failure.
        let _listeners = shared.live.send(event);
    }

    pub(crate) fn subscribe(&self) -> LocalEventFeed {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        LocalEventFeed { past: shared.history.iter().cloned().collect(), live: shared.live.subscribe() }
    }
}

/// The host's time.
pub(crate) fn now() -> Timestamp {
    Timestamp(shoal_runtime::state::Timestamp::now().as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn history_and_what_follows_meet_without_gap() {
        let events = LocalEvents::new();
        let event = |n: usize| LocalEvent {
            time: Timestamp(i64::try_from(n).unwrap()),
            kind: LocalEventKind::Container,
            action: "start".into(),
            id: n.to_string(),
            attributes: BTreeMap::new(),
        };
        for n in 0..EVENT_HISTORY + 5 {
            events.publish(event(n));
        }
        let mut feed = events.subscribe();
        assert_eq!(feed.past.len(), EVENT_HISTORY);
        assert_eq!(feed.past[0], event(5));
        events.publish(event(9999));
        assert_eq!(feed.live.recv().await.unwrap(), event(9999));
    }
}
