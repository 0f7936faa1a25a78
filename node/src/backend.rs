//! What the API asks for, from the parts that know: managers for the swarm's objects, the worker for this host's.
//!
//! Holds handles, no facts. Each area of the API is a file; `control` is the way to the managers. Every refusal becomes
//! an API error here, and nowhere else in the daemon.

mod containers;
mod control;
mod events;
mod images;
mod logs;
mod networks;
mod secrets;
mod services;
mod swarm;
mod system;

use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use shoal_api::ApiError;
use shoal_worker::WorkerHandle;
use shoal_worker::image::ImageStore;

use crate::events::EventBoard;
use crate::settings::Settings;
use crate::swarm::{Membership, SwarmHandle};
use control::Control;

/// The backend of the API.
#[derive(Debug, Clone)]
pub struct Daemon {
    settings: Arc<Settings>,
    swarm: SwarmHandle,
    worker: WorkerHandle,
    engine_id: Arc<str>,
    events: EventBoard,
}

const NOT_IN_SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";
const NOT_MANAGER: &str = "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.";

impl Daemon {
    /// Answers by these; `engine_id` names this engine as long as its data-root lives.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        engine_id: Arc<str>,
        swarm: SwarmHandle,
        worker: WorkerHandle,
        events: EventBoard,
    ) -> Self {
        Self { settings, swarm, worker, engine_id, events }
    }

    /// The way to the managers, when this node is one.
    fn control(&self) -> Result<Control, ApiError> {
        let view = self.swarm.view();
        match (&view.manager, view.membership) {
            (Some(manager), _) => Ok(Control::new(manager.clone())),
            (None, Membership::Active) => Err(ApiError::unavailable(NOT_MANAGER)),
            (None, Membership::Error) => {
                Err(ApiError::unavailable(format!("this node can't serve its swarm: {}", view.error)))
            }
            (None, Membership::Inactive | Membership::Pending) => Err(ApiError::unavailable(NOT_IN_SWARM)),
        }
    }

    fn images(&self) -> &ImageStore {
        self.worker.images()
    }
}

/// A stream whose source is driven by being polled: nothing runs on once the client has gone.
fn driven<T: Send + 'static>(
    items: impl stream::Stream<Item = T> + Send + Unpin + 'static,
    work: impl Future<Output = ()> + Send + 'static,
) -> BoxStream<'static, T> {
    let work = stream::once(work).filter_map(|()| async { None });
    stream::select(items, work).boxed()
}
