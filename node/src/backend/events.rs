//! What happened: on this host from the worker, in the swarm from the managers.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use shoal_api::types::{EventActor, EventMessage};
use shoal_api::{ApiError, EventFeed};
use shoal_worker::events::{LocalEvent, LocalEventKind};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Daemon;

impl Daemon {
    pub(super) async fn event_feed(&self) -> Result<EventFeed, ApiError> {
        let local = self.worker.events();
        let swarm = self.events.subscribe();
        let mut past: Vec<EventMessage> = local.past.into_iter().map(local_message).chain(swarm.past).collect();
        past.sort_by_key(|event| event.time_nano);
        let live = stream::select(messages(local.live, local_message), messages(swarm.live, |event| event)).boxed();
        Ok(EventFeed { past, live })
    }
}

/// A broadcast as the server takes it; one that is too slow is told and ends, so that it can ask again with `since`.
fn messages<T: Clone + Send + 'static>(
    live: broadcast::Receiver<T>,
    message: impl Fn(T) -> EventMessage + Send + Copy + 'static,
) -> BoxStream<'static, Result<EventMessage, ApiError>> {
    let next = move |state: Option<broadcast::Receiver<T>>| async move {
        let mut live = state?;
        match live.recv().await {
            Ok(event) => Some((Ok(message(event)), Some(live))),
            Err(RecvError::Lagged(missed)) => {
                let text = format!("{missed} events were missed: the client reads too slowly; ask again with since");
                Some((Err(ApiError::system(text)), None))
            }
            Err(RecvError::Closed) => None,
        }
    };
    stream::unfold(Some(live), next).boxed()
}

fn local_message(event: LocalEvent) -> EventMessage {
    let kind = match event.kind {
        LocalEventKind::Container => "container",
        LocalEventKind::Image => "image",
        LocalEventKind::Volume => "volume",
    };
    let seconds = event.time.0.div_euclid(1_000_000_000);
    let attributes: BTreeMap<String, String> = event.attributes;
    EventMessage {
        kind: kind.to_owned(),
        action: event.action,
        actor: EventActor { id: event.id, attributes: attributes.into_iter().collect() },
        scope: "local".to_owned(),
        time: seconds,
        time_nano: event.time.0,
        ..EventMessage::default()
    }
}
