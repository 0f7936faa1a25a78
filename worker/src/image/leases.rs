//! Leases: what a running pull or load relies on and no image names yet.
//!
//! Invariant: a layer or blob is removed only while this lock is held and the lease count is zero, so an operation that
//! took its lease first and looked second never sees content vanish.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::digest::Digest;

/// Counts of leases by digest (a blob's, or a layer's chain id).
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    counts: Arc<Mutex<HashMap<Digest, usize>>>,
}

impl Leases {
    /// Leases some digests until the value returned is dropped.
    pub(super) fn take(&self, digests: impl IntoIterator<Item = Digest>) -> Lease {
        let digests: Vec<Digest> = digests.into_iter().collect();
        let mut counts = self.lock();
        for digest in &digests {
            *counts.entry(digest.clone()).or_insert(0) += 1;
        }
        drop(counts);
        Lease { leases: self.clone(), digests }
    }

    /// The leased digests; no lease begins or ends while the guard is held.
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps its digests from being removed.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Leases,
    digests: Vec<Digest>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.leases.lock();
        for digest in &self.digests {
            if let Some(count) = counts.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(digest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_stays_leased_until_its_last_lease_ends() {
        let leases = Leases::default();
        let digest = Digest::sha256(b"x");
        let first = leases.take([digest.clone()]);
        let second = leases.take([digest.clone(), digest.clone()]);
        drop(second);
        assert!(leases.lock().contains_key(&digest));
        drop(first);
        assert!(leases.lock().is_empty());
    }
}
