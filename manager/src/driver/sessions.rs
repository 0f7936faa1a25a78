//! The workers' sessions as the driver sees them: one bounded queue each.
//!
//! A session whose queue is full belongs to a worker that does not read; it is ended, and nobody else waits for it.

use std::collections::BTreeMap;

use shoal_manager_core::{CloseReason, SessionId};
use shoal_proto::model::NodeId;
use tokio::sync::mpsc;

use super::mailbox::{SessionEvent, SessionNews};

#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<SessionId, Session>);

#[derive(Debug)]
struct Session {
    node: NodeId,
    events: mpsc::Sender<SessionEvent>,
    told: Option<SessionNews>,
}

/// The session is gone: its worker did not read, or left.
#[derive(Debug)]
pub(super) struct Gone;

impl Sessions {
    pub(super) fn open(&mut self, session: SessionId, node: NodeId, events: mpsc::Sender<SessionEvent>) {
        self.0.insert(session, Session { node, events, told: None });
    }

    /// Queues an event; a session that does not take it is dropped, which ends its stream.
    pub(super) fn send(&mut self, session: SessionId, event: SessionEvent) -> Result<(), Gone> {
        let Some(open) = self.0.get(&session) else { return Err(Gone) };
        let Err(error) = open.events.try_send(event) else { return Ok(()) };
        if let mpsc::error::TrySendError::Full(_) = error {
            tracing::warn!(node = %open.node, "ended the session of a node that does not read");
        }
        self.0.remove(&session);
        Err(Gone)
    }

    /// Queues an event that may be lost: one that finds no room costs no session. Whether it was taken.
    pub(super) fn offer(&self, node: NodeId, event: &SessionEvent) -> bool {
        let of_node = self.0.values().filter(|session| session.node == node);
        // Room stays for what must not be lost.
        let roomy = of_node.filter(|session| session.events.capacity() > session.events.max_capacity() / 2);
        roomy.filter(|session| session.events.try_send(event.clone()).is_ok()).count() > 0
    }

    pub(super) fn close(&mut self, session: SessionId, reason: CloseReason) {
        if let Some(open) = self.0.remove(&session) {
            // A queue that is full ends without the reason.
            let _ = open.events.try_send(SessionEvent::Close(reason));
        }
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// Tells every session what it does not know yet, and returns those that did not take it.
    pub(super) fn tell(&mut self, news: impl Fn(NodeId) -> SessionNews) -> Vec<(SessionId, NodeId)> {
        let mut untold = Vec::new();
        for (id, session) in &mut self.0 {
            let news = news(session.node);
            if session.told.as_ref() != Some(&news) {
                session.told = Some(news.clone());
                untold.push((*id, session.node, news));
            }
        }
        let mut gone = Vec::new();
        for (id, node, news) in untold {
            if self.send(id, SessionEvent::News(news)).is_err() {
                gone.push((id, node));
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::model::{Id, Role};
    use std::time::Duration;

    fn news(role: Role) -> SessionNews {
        SessionNews { managers: [].into(), role, root_pem: String::new(), heartbeat: Duration::from_secs(1) }
    }

    #[test]
    fn an_offer_costs_no_session() {
        let mut sessions = Sessions::default();
        let (events, mut queue) = mpsc::channel(2);
        sessions.open(SessionId(1), NodeId::from_random(1), events);
        let offer = SessionEvent::Close(CloseReason::Silent);
        assert!(!sessions.offer(NodeId::from_random(2), &offer), "no session of that node");
        assert!(sessions.offer(NodeId::from_random(1), &offer));
        assert!(!sessions.offer(NodeId::from_random(1), &offer), "the rest is for what must not be lost");
        assert!(sessions.tell(|_| news(Role::Worker)).is_empty());
        assert!(queue.try_recv().is_ok() && queue.try_recv().is_ok());
    }

    #[test]
    fn tells_news_once_and_drops_who_does_not_read() {
        let mut sessions = Sessions::default();
        let (events, mut queue) = mpsc::channel(1);
        sessions.open(SessionId(1), NodeId::from_random(1), events);
        assert!(sessions.tell(|_| news(Role::Worker)).is_empty());
        assert!(sessions.tell(|_| news(Role::Worker)).is_empty());
        assert!(matches!(queue.try_recv(), Ok(SessionEvent::News(_))));
        assert!(queue.try_recv().is_err());
        assert!(sessions.tell(|_| news(Role::Manager)).is_empty());
        assert_eq!(sessions.tell(|_| news(Role::Worker)), [(SessionId(1), NodeId::from_random(1))]);
        assert!(matches!(queue.try_recv(), Ok(SessionEvent::News(_))));
        assert!(matches!(queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }
}
