//! Secrets and configs by identity and by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_proto::model::{Payload, PayloadId, PayloadKind};

use super::folded;

/// The table of secrets and configs.
#[derive(Debug, Clone, Default)]
pub(super) struct Payloads {
    by_id: BTreeMap<PayloadId, Arc<Payload>>,
    by_name: BTreeMap<(PayloadKind, String), PayloadId>,
}

impl Payloads {
    pub(super) fn get(&self, id: PayloadId) -> Option<&Arc<Payload>> {
        self.by_id.get(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Payload>> {
        self.by_id.values()
    }

    pub(super) fn named(&self, kind: PayloadKind, name: &str) -> Option<&Arc<Payload>> {
        self.by_name.get(&(kind, folded(name))).and_then(|id| self.by_id.get(id))
    }

    /// Answers what was there before.
    pub(super) fn set(&mut self, id: PayloadId, payload: Option<Arc<Payload>>) -> Option<Arc<Payload>> {
        let before = match payload.clone() {
            Some(payload) => self.by_id.insert(id, payload),
            None => self.by_id.remove(&id),
        };
        if let Some(before) = &before {
            self.by_name.remove(&name_of(before));
        }
        if let Some(payload) = &payload {
            self.by_name.insert(name_of(payload), id);
        }
        before
    }
}

fn name_of(payload: &Payload) -> (PayloadKind, String) {
    (payload.kind, folded(&payload.spec.name))
}
