//! Streams of events: bounded, and honest about what did not fit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::limits::EVENTS_HELD_MAX;
use crate::state::Event;

/// What one subscriber sees, from the moment it subscribed.
#[derive(Debug)]
pub struct Events {
    receiver: Receiver<Event>,
    lagged: Arc<AtomicBool>,
}

impl Events {
    /// Waits for the next event; `None` once the keeper's handle and all its clones are gone.
    pub fn next(&self) -> Option<Event> {
        if self.lagged.swap(false, Ordering::AcqRel) {
            return Some(Event::Lagged);
        }
        self.receiver.recv().ok()
    }

    /// Waits for the next event for at most so long; `Ok(None)` when none came.
    ///
    /// # Errors
    /// Once the keeper's handle and all its clones are gone.
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<Event>, Closed> {
        if self.lagged.swap(false, Ordering::AcqRel) {
            return Ok(Some(Event::Lagged));
        }
        match self.receiver.recv_timeout(timeout) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Closed),
        }
    }

    /// The next event if there is one now.
    ///
    /// # Errors
    /// Once the keeper's handle and all its clones are gone.
    pub fn try_next(&self) -> Result<Option<Event>, Closed> {
        if self.lagged.swap(false, Ordering::AcqRel) {
            return Ok(Some(Event::Lagged));
        }
        match self.receiver.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Closed),
        }
    }
}

/// The keeper's handle and all its clones are gone: no event will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handle of the keeper is closed")]
pub struct Closed;

/// The subscribers of one handle. The lock guards senders only; it is never held while waiting.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    senders: Mutex<Vec<(SyncSender<Event>, Arc<AtomicBool>)>>,
}

impl Subscribers {
    pub(super) fn add(&self) -> Events {
        let (sender, receiver) = sync_channel(EVENTS_HELD_MAX);
        let lagged = Arc::new(AtomicBool::new(false));
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).push((sender, Arc::clone(&lagged)));
        Events { receiver, lagged }
    }

    /// Gives the event to everybody; who has no room is told so instead.
    pub(super) fn publish(&self, event: &Event) {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).retain(|(sender, lagged)| {
            match sender.try_send(event.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    lagged.store(true, Ordering::Release);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
    }

    /// Forgets everybody: their streams end.
    pub(super) fn close(&self) {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_subscriber_learns_that_it_missed_something() {
        let subscribers = Subscribers::default();
        let events = subscribers.add();
        for _ in 0..EVENTS_HELD_MAX {
            subscribers.publish(&Event::Lagged);
        }
        assert!(!events.lagged.load(Ordering::Acquire));
        subscribers.publish(&Event::Lagged);
        assert!(events.lagged.load(Ordering::Acquire));
        assert_eq!(events.try_next(), Ok(Some(Event::Lagged)));
        assert!(!events.lagged.load(Ordering::Acquire));
        subscribers.close();
        while let Ok(event) = events.try_next() {
            assert!(event.is_some());
        }
        assert_eq!(events.try_next(), Err(Closed));
    }
}
