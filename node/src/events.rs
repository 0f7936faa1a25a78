//! What happened in the swarm lately, for those who watch it through this host's API.
//!
//! [`SwarmEvents`] follows this host's manager, for as long as it has one, whichever it is at the time, and keeps a bounded
//! history beside a broadcast. Every manager applies the same log, so that the same events come from each; a worker has
//! none. Events of tasks have a history of their own: there are many, and they must not push out the rest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use shoal_api::types::EventMessage;
use shoal_manager::{ChangeSet, ManagerHandle};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::docker::{TASK_EVENT, swarm_events};
use crate::limits::{SWARM_EVENTS_KEPT, TASK_EVENTS_KEPT};
use crate::swarm::{SwarmHandle, now};

/// Where the swarm's events are heard. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct EventBoard {
    shared: Arc<Mutex<Shared>>,
}

/// Events before and after a moment, without gap or repetition.
#[derive(Debug)]
pub struct SwarmEventFeed {
    /// Oldest first.
    pub past: Vec<EventMessage>,
    /// Those to come; `Lagged` says how many a slow reader missed.
    pub live: broadcast::Receiver<EventMessage>,
}

/// The actor that fills the board.
#[derive(Debug)]
pub struct SwarmEvents {
    board: EventBoard,
    swarm: SwarmHandle,
}

/// The lock keeps histories and broadcast in step; nothing waits under it.
#[derive(Debug)]
struct Shared {
    objects: VecDeque<EventMessage>,
    tasks: VecDeque<EventMessage>,
    live: broadcast::Sender<EventMessage>,
}

impl SwarmEvents {
    /// The actor and its board; nothing is heard until [`SwarmEvents::run`].
    #[must_use]
    pub fn new(swarm: SwarmHandle) -> (Self, EventBoard) {
        let (live, _) = broadcast::channel(TASK_EVENTS_KEPT);
        let shared = Shared { objects: VecDeque::new(), tasks: VecDeque::new(), live };
        let board = EventBoard { shared: Arc::new(Mutex::new(shared)) };
        (Self { board: board.clone(), swarm }, board)
    }

    /// Follows until the swarm's actor ends.
    pub async fn run(self) {
        let mut view = self.swarm.watch();
        let mut manager: Option<ManagerHandle> = None;
        let mut changes: Option<broadcast::Receiver<Arc<ChangeSet>>> = None;
        loop {
            let present = view.borrow_and_update().manager.clone();
            if !same(manager.as_ref(), present.as_ref()) {
                changes = present.as_ref().map(ManagerHandle::subscribe_changes);
                manager = present;
            }
            tokio::select! {
                changed = view.changed() => if changed.is_err() {
                    return;
                },
                heard = next(&mut changes) => match heard {
                    Ok(set) => self.board.publish(swarm_events(&set, now())),
                    Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "changes of the swarm were missed as events"),
                    // The manager has ended; the view will show what follows.
                    Err(RecvError::Closed) => changes = None,
                },
            }
        }
    }
}

impl EventBoard {
    /// What happened lately, and what will.
    #[must_use]
    pub fn subscribe(&self) -> SwarmEventFeed {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let past = shared.objects.iter().chain(&shared.tasks).cloned().collect();
        SwarmEventFeed { past, live: shared.live.subscribe() }
    }

    /// How many hear what happens: each stream of events does.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).live.receiver_count()
    }

    fn publish(&self, events: Vec<EventMessage>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let Shared { objects, tasks, live } = &mut *shared;
            let (history, most) = match event.kind.as_str() {
                TASK_EVENT => (tasks, TASK_EVENTS_KEPT),
                _ => (objects, SWARM_EVENTS_KEPT),
            };
            if history.len() == most {
                history.pop_front();
            }
            history.push_back(event.clone());
            // Nobody listening is no failure.
            let _listeners = live.send(event);
        }
    }
}

/// The next change; for ever none where there is no manager.
async fn next(changes: &mut Option<broadcast::Receiver<Arc<ChangeSet>>>) -> Result<Arc<ChangeSet>, RecvError> {
    match changes {
        Some(changes) => changes.recv().await,
        None => std::future::pending().await,
    }
}

fn same(one: Option<&ManagerHandle>, other: Option<&ManagerHandle>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_same(other),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_push_out_no_other_events_and_nothing_is_lost_between_past_and_live() {
        let (live, _) = broadcast::channel(TASK_EVENTS_KEPT);
        let shared = Shared { objects: VecDeque::new(), tasks: VecDeque::new(), live };
        let board = EventBoard { shared: Arc::new(Mutex::new(shared)) };
        let event = |kind: &str, n: usize| EventMessage {
            kind: kind.to_owned(),
            action: n.to_string(),
            ..EventMessage::default()
        };
        board.publish(vec![event("service", 1)]);
        board.publish((0..TASK_EVENTS_KEPT + 5).map(|n| event(TASK_EVENT, n)).collect());
        let mut feed = board.subscribe();
        assert_eq!(feed.past.len(), TASK_EVENTS_KEPT + 1);
        assert_eq!((&feed.past[0], &feed.past[1]), (&event("service", 1), &event(TASK_EVENT, 5)));
        board.publish((0..SWARM_EVENTS_KEPT).map(|n| event("node", n)).collect());
        assert_eq!(feed.live.recv().await.unwrap(), event("node", 0));
        assert_eq!(board.subscribe().past[0], event("node", 0), "the oldest goes first");
    }
}
