//! Comparisons of what hosts' kernels show with what the managers want.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::{NetworkId, NetworkService, NodeId, PeerEndpoints, Revision, ServiceEndpoints, ServiceId};

/// What one host found when it compared its kernel with what it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// As in [`AssignmentDiff::verify`](super::AssignmentDiff::verify).
    pub number: u64,
    /// The set that the host held.
    pub revision: Revision,
    /// Of that set: [`EndpointDigest`].
    pub digest: u64,
    /// What differed, a line each, and was told anew; or why it could not be compared.
    pub outcome: Result<Vec<String>, String>,
}

/// What came of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostVerification {
    /// Which.
    pub node: NodeId,
    /// Its name.
    pub hostname: String,
    /// What came of it.
    pub state: HostState,
}

/// What came of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostState {
    /// It compared; no line: all is as the managers want it.
    Compared {
        /// A line each.
        differences: Vec<String>,
    },
    /// It could not compare.
    Failed {
        /// Why.
        reason: String,
    },
    /// It did not say so in time.
    Silent,
    /// It is down: it serves nobody, as far as is known.
    Down,
}

/// A digest of where connections lead on a host, the same for equal sets whoever holds them: FNV-1a of 64 bits over
/// entries in the order of their keys.
#[derive(Debug, Clone, Copy)]
pub struct EndpointDigest(u64);

impl Default for EndpointDigest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl EndpointDigest {
    /// Of a whole set.
    #[must_use]
    pub fn of<'a>(
        services: impl Iterator<Item = (&'a ServiceId, &'a ServiceEndpoints)>,
        names: impl Iterator<Item = (&'a (NetworkId, ServiceId), &'a NetworkService)>,
        peers: impl Iterator<Item = (&'a (NetworkId, NodeId), &'a PeerEndpoints)>,
    ) -> u64 {
        let mut digest = Self::default();
        services.for_each(|entry| entry.hash(&mut digest));
        names.for_each(|entry| entry.hash(&mut digest));
        peers.for_each(|entry| entry.hash(&mut digest));
        digest.finish()
    }
}

impl Hasher for EndpointDigest {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
