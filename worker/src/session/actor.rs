//! The actor that keeps a session up: asks one manager after the other, pauses, and begins again.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use shoal_proto::model::{AssignmentDiff, LogRequest, NodeDescription};
use shoal_worker_core::Input;
use tokio::sync::mpsc;

use super::backoff::Backoff;
use super::candidates::Candidates;
use super::outgoing::Outgoing;
use super::stream::{SessionEnd, Stream};
use crate::limits::{REDIRECTS_MAX, REMOVALS_BELIEVED, REMOVED_RETRY};
use crate::network::TunnelKeys;
use crate::{Connect, WorkerEvent};

/// Keeps a session up.
#[derive(Debug)]
pub(crate) struct Session {
    parts: SessionParts,
    candidates: Candidates,
}

/// What a session stands on.
#[derive(Debug)]
pub(crate) struct SessionParts {
    /// What this node says of itself.
    pub(crate) description: NodeDescription,
    /// Its keys of the tunnel, which are told with the description.
    pub(crate) tunnel_keys: TunnelKeys,
    /// Where the other hosts send overlay traffic for this one.
    pub(crate) data_path_address: IpAddr,
    /// Makes connections.
    pub(crate) connect: Arc<dyn Connect>,
    /// What is to be told.
    pub(crate) outgoing: Arc<Outgoing>,
    /// To the publisher of logs.
    pub(crate) logs: mpsc::Sender<LogRequest>,
    /// To the core.
    pub(crate) inputs: mpsc::Sender<Input>,
    /// To the node.
    pub(crate) events: mpsc::Sender<WorkerEvent>,
    /// The roots that the node was told last, so that it is told changes only.
    pub(crate) root: Mutex<Option<String>>,
}

impl Session {
    /// The actor; nothing runs until [`Session::run`].
    pub(crate) fn new(parts: SessionParts, managers: Vec<String>) -> Self {
        Self { parts, candidates: Candidates::new(managers) }
    }

    /// Keeps a session up until the future is dropped or the driver is gone.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new();
        let (mut redirects, mut removals) = (0, 0);
        loop {
            let Some(address) = self.candidates.next() else {
                tracing::error!("no manager is known: this worker can't join its swarm");
                return;
            };
            let end = match Stream::open(&address, &self.parts).await {
                Ok(stream) => {
                    tracing::info!(manager = %address, "session with the leader");
                    backoff.succeeded();
                    redirects = 0;
                    let end = self.serve(stream).await;
                    // Who fell silent may be cut off: another is asked first. Who spoke knows where the leader is.
                    if !matches!(end, SessionEnd::Silent) {
                        self.candidates.stay();
                    }
                    end
                }
                Err(end) => end,
            };
            if matches!(end, SessionEnd::Stopped) {
                return;
            }
            tracing::info!(manager = %address, reason = &end as &dyn std::error::Error, "no session");
            if end.is_removal() {
                removals += 1;
                if self.take_removal(removals).await.is_err() {
                    return;
                }
                continue;
            }
            removals = 0;
            match end.leader() {
                Some(leader) if redirects < REDIRECTS_MAX => {
                    redirects += 1;
                    self.candidates.hint(leader);
                }
                _ => {
                    redirects = 0;
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// Gives up this node's tasks once the leader said often enough that it is none of the swarm, and pauses.
    async fn take_removal(&self, removals: u32) -> Result<(), SessionEnd> {
        if removals == REMOVALS_BELIEVED {
            tracing::error!("this node was removed from the swarm: its tasks are given up");
            // A whole set, of nothing.
            self.parts.input(Input::Assignments(AssignmentDiff::default())).await?;
            self.parts.event(WorkerEvent::Removed).await?;
        }
        let (soon, late) = REMOVED_RETRY;
        tokio::time::sleep(if removals < REMOVALS_BELIEVED { soon } else { late }).await;
        Ok(())
    }

    async fn serve(&mut self, stream: Stream) -> SessionEnd {
        self.parts.outgoing.clear();
        if let Err(end) = self.parts.input(Input::SessionUp).await {
            return end;
        }
        let end = stream.serve(&self.parts, &mut self.candidates).await;
        match self.parts.input(Input::SessionDown).await {
            Ok(()) => end,
            Err(stopped) => stopped,
        }
    }
}

impl SessionParts {
    pub(super) async fn input(&self, input: Input) -> Result<(), SessionEnd> {
        self.inputs.send(input).await.map_err(|_| SessionEnd::Stopped)
    }

    pub(super) async fn event(&self, event: WorkerEvent) -> Result<(), SessionEnd> {
        self.events.send(event).await.map_err(|_| SessionEnd::Stopped)
    }

    /// Hands a request to the publisher. One that finds no room is made again by the manager, and holds up no session.
    pub(super) fn want_logs(&self, request: LogRequest) {
        if let Err(mpsc::error::TrySendError::Full(request)) = self.logs.try_send(request) {
            tracing::warn!(manager = %request.manager, "a request for logs was put off: too many wait");
        }
    }

    pub(super) async fn root_told(&self, root: String) -> Result<(), SessionEnd> {
        let before = self.root.lock().unwrap_or_else(PoisonError::into_inner).replace(root.clone());
        if before.as_deref() == Some(root.as_str()) { Ok(()) } else { self.event(WorkerEvent::RootChanged(root)).await }
    }
}
