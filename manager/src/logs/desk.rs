//! Where publications find their reader: by the request's id, and only from nodes that were asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use shoal_proto::model::{LogRequestId, NodeId, ServiceId};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::LogLine;
use super::gathering::Gathering;
use crate::limits::LOG_READERS_MAX;

/// The readers at this manager.
#[derive(Debug, Default)]
pub(crate) struct LogDesk(Mutex<BTreeMap<LogRequestId, Arc<Reader>>>);

/// One reader, as publications see it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) lines: mpsc::Sender<Vec<LogLine>>,
    service: ServiceId,
    gathering: Mutex<Gathering>,
    /// Wakes the reader's gatherer when a publication begins or ends.
    pub(super) changed: Notify,
    /// All is said, or the reader has gone.
    over: CancellationToken,
}

/// A reader's place at the desk, for as long as this is held.
#[derive(Debug)]
pub(super) struct Seat {
    desk: Arc<LogDesk>,
    pub(super) id: LogRequestId,
    pub(super) reader: Arc<Reader>,
}

/// A publication that was taken up. Dropped before it ended, it was broken off.
#[derive(Debug)]
pub(crate) struct Publication {
    reader: Arc<Reader>,
    node: NodeId,
    all_said: bool,
}

/// A publication is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("these logs are not wanted any longer")]
    Unknown,
    #[error("these logs were not asked of this node, or are published by it already")]
    Unasked,
}

/// As many read as may.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{LOG_READERS_MAX} clients read logs at this manager, and no more can: end one, or ask another manager")]
pub(crate) struct Crowded;

/// The reader has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl LogDesk {
    /// Seats a reader.
    pub(super) fn seat(
        self: &Arc<Self>,
        id: LogRequestId,
        gathering: Gathering,
        service: ServiceId,
        lines: mpsc::Sender<Vec<LogLine>>,
    ) -> Result<Seat, Crowded> {
        let reader = Arc::new(Reader {
            lines,
            service,
            gathering: Mutex::new(gathering),
            changed: Notify::new(),
            over: CancellationToken::new(),
        });
        let mut readers = self.readers();
        if readers.len() >= LOG_READERS_MAX {
            return Err(Crowded);
        }
        readers.insert(id, Arc::clone(&reader));
        Ok(Seat { desk: Arc::clone(self), id, reader })
    }

    /// Takes up what a node publishes.
    pub(crate) fn publication(&self, id: LogRequestId, node: NodeId) -> Result<Publication, Refusal> {
        let reader = self.readers().get(&id).map(Arc::clone).ok_or(Refusal::Unknown)?;
        if !reader.gathering().begins(node) {
            return Err(Refusal::Unasked);
        }
        reader.changed.notify_one();
        Ok(Publication { reader, node, all_said: false })
    }

    fn readers(&self) -> MutexGuard<'_, BTreeMap<LogRequestId, Arc<Reader>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Nothing waits under this lock.
    pub(super) fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publication {
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// The service that the reader asked for.
    pub(crate) fn service(&self) -> ServiceId {
        self.reader.service
    }

    /// Hands lines on; waits for the reader.
    pub(crate) async fn hand_on(&self, lines: Vec<LogLine>) -> Result<(), Gone> {
        if lines.is_empty() {
            return Ok(());
        }
        // First a place, then the note of what was taken: a publication that is dropped in between is resumed before them.
        let place = self.reader.lines.reserve().await.map_err(|_| Gone)?;
        {
            let mut gathering = self.reader.gathering();
            for line in &lines {
                gathering.takes(self.node, line.task, line.time, Instant::now());
            }
        }
        place.send(lines);
        Ok(())
    }

    /// Waits until nothing is wanted any more.
    pub(crate) async fn unwanted(&self) {
        tokio::select! {
            () = self.reader.lines.closed() => {}
            () = self.reader.over.cancelled() => {}
        }
    }

    /// The node said all.
    pub(crate) fn complete(mut self) {
        self.all_said = true;
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.reader.gathering().ends(self.node, self.all_said, Instant::now());
        self.reader.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.desk.readers().remove(&self.id);
        // The reader sees the end once its publications have let go of it.
        self.reader.over.cancel();
    }
}
