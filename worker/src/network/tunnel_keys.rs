//! This node's public keys of the tunnel, from the network thread to the session with the managers; and back, which of
//! them the managers were told.

use std::sync::{Arc, Mutex, PoisonError};

use shoal_proto::model::TunnelKey;
use tokio::sync::watch;

/// The public keys, as the network thread wishes them told. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct TunnelKeys {
    wished: watch::Receiver<Vec<TunnelKey>>,
    told: Arc<Mutex<Vec<TunnelKey>>>,
}

/// The network thread's end.
#[derive(Debug)]
pub(super) struct KeyTeller {
    wished: watch::Sender<Vec<TunnelKey>>,
    told: Arc<Mutex<Vec<TunnelKey>>>,
}

/// The two ends.
pub(super) fn tunnel_keys() -> (KeyTeller, TunnelKeys) {
    let (wished, seen) = watch::channel(Vec::new());
    let told = Arc::new(Mutex::new(Vec::new()));
    (KeyTeller { wished, told: Arc::clone(&told) }, TunnelKeys { wished: seen, told })
}

impl Default for TunnelKeys {
    /// None, and none will come: for a worker without networks.
    fn default() -> Self {
        tunnel_keys().1
    }
}

impl TunnelKeys {
    /// The keys to tell, the one in use first.
    #[must_use]
    pub fn wished(&self) -> Vec<TunnelKey> {
        self.wished.borrow().clone()
    }

    /// Waits until the managers should be told other keys than these; for ever once the network thread has ended.
    pub async fn changed_from(&mut self, told: &[TunnelKey]) {
        if self.wished.wait_for(|wished| wished != told).await.is_err() {
            std::future::pending().await
        }
    }

    /// The managers took note of these.
    pub fn told(&self, keys: Vec<TunnelKey>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

impl KeyTeller {
    /// Has the managers told these keys.
    pub(super) fn tell(&self, keys: Vec<TunnelKey>) {
        self.wished.send_replace(keys);
    }

    /// Whether the managers know all that they should.
    pub(super) fn is_told(&self) -> bool {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) == *self.wished.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_what_is_wished_and_what_was_told() {
        let (teller, mut keys) = tunnel_keys();
        assert!(teller.is_told(), "nothing was wished");
        let first = vec![TunnelKey([1; 32])];
        teller.tell(first.clone());
        keys.changed_from(&[]).await;
        assert_eq!(keys.wished(), first);
        assert!(!teller.is_told());
        keys.told(first.clone());
        assert!(teller.is_told());
        drop(teller);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(1), keys.changed_from(&first)).await;
        assert!(waited.is_err(), "no other keys will come");
    }
}
