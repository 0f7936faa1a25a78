//! Snapshots to one peer: one `Install` call each, in chunks, over a connection of its own so that heartbeats do not
//! stand behind it.

use bytes::Bytes;
use shoal_manager_core::SnapshotOutcome;
use shoal_proto::grpc::SnapshotChunk;
use shoal_proto::grpc::raft_client::RaftClient;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{OutgoingSnapshot, PeerEvent};
use crate::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOT_TIMEOUT};
use crate::tls::ManagerConnector;

/// Sends the snapshots that are queued for one peer.
pub(super) struct InstallJob {
    pub(super) id: u64,
    pub(super) address: String,
    pub(super) connector: ManagerConnector,
    pub(super) snapshots: mpsc::Receiver<OutgoingSnapshot>,
    pub(super) events: mpsc::Sender<PeerEvent>,
}

impl InstallJob {
    pub(super) async fn run(mut self) {
        while let Some(snapshot) = self.snapshots.recv().await {
            let bytes = snapshot.data.len();
            let outcome = match timeout(SNAPSHOT_TIMEOUT, self.install(snapshot)).await {
                Ok(Ok(())) => SnapshotOutcome::Delivered,
                Ok(Err(error)) => {
                    let error = &*error as &dyn std::error::Error;
                    tracing::warn!(peer = self.id, address = %self.address, bytes, error, "failed to send a snapshot");
                    SnapshotOutcome::Failed
                }
                Err(_) => {
                    tracing::warn!(peer = self.id, address = %self.address, bytes, "sending a snapshot took too long");
                    SnapshotOutcome::Failed
                }
            };
            // Fails only when the driver has ended, which ends this actor as well.
            let _ = self.events.send(PeerEvent::SnapshotSent { to: self.id, outcome }).await;
        }
    }

    async fn install(&self, snapshot: OutgoingSnapshot) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let channel = self.connector.connect(&self.address).await?;
        RaftClient::new(channel).install(tokio_stream::iter(chunks(snapshot))).await?;
        Ok(())
    }
}

/// The message goes with the first chunk.
fn chunks(snapshot: OutgoingSnapshot) -> impl Iterator<Item = SnapshotChunk> + Send + 'static {
    let OutgoingSnapshot { message, data } = snapshot;
    let count = data.len().div_ceil(SNAPSHOT_CHUNK_BYTES).max(1);
    (0..count).map(move |place| {
        let from = place * SNAPSHOT_CHUNK_BYTES;
        let to = (from + SNAPSHOT_CHUNK_BYTES).min(data.len());
        let message = if place == 0 { message.clone() } else { Bytes::new() };
        SnapshotChunk { message, data: data.slice(from..to), last: place + 1 == count }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_into_chunks() {
        for (length, expected) in [(0, 1), (1, 1), (SNAPSHOT_CHUNK_BYTES, 1), (SNAPSHOT_CHUNK_BYTES + 1, 2)] {
            let data = Bytes::from(vec![3; length]);
            let all: Vec<_> = chunks(OutgoingSnapshot { message: Bytes::from_static(b"m"), data }).collect();
            assert_eq!(all.len(), expected);
            assert_eq!(all.iter().map(|chunk| chunk.data.len()).sum::<usize>(), length);
            assert_eq!(all.iter().filter(|chunk| chunk.last).count(), 1);
            assert!(all.last().unwrap().last);
            assert!(all.iter().enumerate().all(|(place, chunk)| chunk.message.is_empty() == (place > 0)));
        }
    }
}
