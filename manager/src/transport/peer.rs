//! One peer: a connection, one `Deliver` call over it, and again after a pause when it breaks.

use std::time::Duration;

use bytes::Bytes;
use shoal_manager_core::Member;
use shoal_proto::grpc::raft_client::RaftClient;
use shoal_proto::grpc::{RaftBatch, RaftMember};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;

use super::PeerEvent;
use crate::grpc::REMOVED;
use crate::limits::{BATCH_BYTES, BATCHES_IN_FLIGHT, RECONNECT_FIRST, RECONNECT_LAST};
use crate::tls::ManagerConnector;

/// Sends what is queued for one peer for as long as it is a member.
pub(super) struct Peer {
    pub(super) id: u64,
    pub(super) address: String,
    /// This manager.
    pub(super) own: Member,
    pub(super) connector: ManagerConnector,
    pub(super) messages: mpsc::Receiver<Bytes>,
    pub(super) events: mpsc::Sender<PeerEvent>,
}

impl Peer {
    pub(super) async fn run(mut self) {
        let mut pause = RECONNECT_FIRST;
        loop {
            match self.connector.connect(&self.address).await {
                Ok(channel) => {
                    pause = RECONNECT_FIRST;
                    self.tell(PeerEvent::Reachable(self.id)).await;
                    self.deliver(RaftClient::new(channel)).await;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(peer = self.id, address = %self.address, error, "failed to reach a manager");
                }
            }
            if self.messages.is_closed() {
                return;
            }
            // What was queued is old news by the time the peer is back.
            while self.messages.try_recv().is_ok() {}
            self.tell(PeerEvent::Unreachable(self.id)).await;
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(RECONNECT_LAST);
        }
    }

    /// Sends until the call breaks or the queue is closed.
    async fn deliver(&mut self, mut client: RaftClient<tonic::transport::Channel>) {
        let (batches, stream) = mpsc::channel(BATCHES_IN_FLIGHT);
        let call = client.deliver(ReceiverStream::new(stream));
        let sender = RaftMember {
            raft_id: self.own.raft_id,
            node_id: self.own.node.to_string(),
            address: self.own.address.clone(),
        };
        let pump = async {
            if batches.send(RaftBatch { messages: Vec::new(), sender: Some(sender) }).await.is_err() {
                return;
            }
            while let Some(batch) = next_batch(&mut self.messages).await {
                if batches.send(batch).await.is_err() {
                    return;
                }
            }
        };
        let broken = tokio::select! {
            result = call => result.err(),
            () = pump => None,
        };
        if let Some(status) = broken {
            if status.metadata().contains_key(REMOVED) {
                self.tell(PeerEvent::Removed).await;
            }
            tracing::debug!(peer = self.id, address = %self.address, %status, "lost a manager");
        }
    }

    async fn tell(&self, event: PeerEvent) {
        // Fails only when the driver has ended, which ends this actor as well.
        let _ = self.events.send(event).await;
    }
}

/// What is queued, up to a bound: one frame on the wire for many messages.
async fn next_batch(queue: &mut mpsc::Receiver<Bytes>) -> Option<RaftBatch> {
    let first = queue.recv().await?;
    let mut bytes = first.len();
    let mut messages = vec![first];
    while bytes < BATCH_BYTES
        && let Ok(message) = queue.try_recv()
    {
        bytes += message.len();
        messages.push(message);
    }
    Some(RaftBatch { messages, sender: None })
}

/// Between half and all of `pause`, so that the managers do not all call a returning one at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn batches_what_is_queued() {
        let (sender, mut queue) = mpsc::channel(10);
        for length in [10, BATCH_BYTES, 20] {
            sender.try_send(Bytes::from(vec![0; length])).unwrap();
        }
        drop(sender);
        let lengths = |batch: RaftBatch| batch.messages.iter().map(Bytes::len).collect::<Vec<_>>();
        assert_eq!(next_batch(&mut queue).await.map(lengths), Some(vec![10, BATCH_BYTES]));
        assert_eq!(next_batch(&mut queue).await.map(lengths), Some(vec![20]));
        assert_eq!(next_batch(&mut queue).await.map(lengths), None);
    }
}
