//! One history of the tables, the same on every plane.
//!
//! The first plane that applies an entry writes history: its changes are checked against the rules. All others must come
//! to the same objects at the same index, by a digest that each change moves. A plane that starts again, or takes a
//! snapshot, is compared object by object.

use std::collections::BTreeMap;

use shoal_manager_core::store::Tables;
use shoal_manager_core::{Change, ChangeSet, Difference, ObjectKey};
use shoal_proto::codec;

use super::Violation;
use super::book::{Book, is_rolled_back};
use super::claims::Claims;
use crate::client::{Promise, written_by};
use crate::network::HostId;
use crate::trace::Digest;

/// The history so far, and where each plane is in it.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The digest after each entry that changed something.
    digests: BTreeMap<u64, u64>,
    claims: Claims,
    replicas: BTreeMap<HostId, Replica>,
}

/// The tables of one plane, digested.
#[derive(Debug, Default)]
struct Replica {
    index: u64,
    digest: u64,
    objects: BTreeMap<ObjectKey, u64>,
}

impl History {
    /// The newest tables.
    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The last entry that changed something.
    pub(crate) fn index(&self) -> u64 {
        self.digests.keys().next_back().copied().unwrap_or(0)
    }

    /// The last entry that changed something on this plane.
    pub(crate) fn index_of(&self, host: HostId) -> Option<u64> {
        self.replicas.get(&host).map(|replica| replica.index)
    }

    /// A plane has started with these tables.
    pub(crate) fn restarted(&mut self, host: HostId, tables: &Tables) -> Result<(), Violation> {
        let mut replica = Replica { index: tables.index(), ..Replica::default() };
        tables.cluster().into_iter().for_each(|it| replica.put(ObjectKey::Cluster, it.as_ref()));
        tables.nodes().for_each(|it| replica.put(ObjectKey::Node(it.id), it.as_ref()));
        tables.networks().for_each(|it| replica.put(ObjectKey::Network(it.id), it.as_ref()));
        tables.payloads().for_each(|it| replica.put(ObjectKey::Payload(it.id), it.as_ref()));
        tables.services().for_each(|it| replica.put(ObjectKey::Service(it.id), it.as_ref()));
        tables.tasks().for_each(|it| replica.put(ObjectKey::Task(it.id), it.as_ref()));
        let outcome = self.compare(host, &mut replica);
        self.replicas.insert(host, replica);
        outcome
    }

    /// A plane is gone.
    pub(crate) fn stopped(&mut self, host: HostId) {
        self.replicas.remove(&host);
    }

    /// A plane has applied an entry, or a snapshot; the first of all is the swarm's making.
    pub(crate) fn changed(&mut self, host: HostId, set: &ChangeSet, book: &Book) -> Result<(), Violation> {
        let newest = self.index();
        let mut replica = self.replicas.remove(&host).unwrap_or_default();
        let before = replica.index;
        if set.resynced {
            replica = Replica::default();
        }
        replica.index = set.index;
        set.changes.iter().for_each(|change| replica.apply(change));
        let outcome = if set.index < before || (set.index == before && !set.resynced) {
            let found = format!("{host:?} applied entry {} after {before}", set.index);
            Err(Violation { invariant: "entries are applied once, in order", found })
        } else if (set.resynced && newest > 0) || set.index <= newest {
            self.compare(host, &mut replica)
        } else if before != newest {
            let found = format!("{host:?} applied entry {} after {before}, and not {newest}", set.index);
            Err(Violation { invariant: "entries are applied once, in order", found })
        } else {
            self.digests.insert(set.index, replica.digest);
            set.changes
                .iter()
                .try_for_each(|change| self.claims.apply(change, book))
                .and_then(|()| self.claims.settle())
        };
        self.replicas.insert(host, replica);
        outcome
    }

    /// Whether a plane's tables are what the others had at that index.
    fn compare(&self, host: HostId, replica: &mut Replica) -> Result<(), Violation> {
        let (index, digest) = self.digests.range(..=replica.index).next_back().map_or((0, 0), |(at, it)| (*at, *it));
        let at = std::mem::replace(&mut replica.index, index);
        if replica.digest == digest {
            return Ok(());
        }
        let found = format!("{host:?} has other tables than others had at entry {at}");
        Err(Violation { invariant: "same tables at the same index", found })
    }

    /// Whether the newest tables keep what was promised at an index.
    pub(crate) fn keeps(&self, promise: &Promise, index: u64) -> Result<(), Violation> {
        let kept = match promise {
            Promise::Service { name, operation } => self
                .claims
                .service_named(name)
                .is_some_and(|service| written_by(&service.spec.labels) >= *operation || is_rolled_back(service)),
            Promise::ServiceGone { name } => self.claims.service_named(name).is_none(),
            Promise::Node { node, operation } => {
                self.claims.nodes.get(node).is_some_and(|node| written_by(&node.spec.labels) >= *operation)
            }
        };
        if kept {
            return Ok(());
        }
        let found = format!("{promise:?} was answered at entry {index}, and is not so at entry {}", self.index());
        Err(Violation { invariant: "what is answered is committed", found })
    }
}

impl Replica {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Cluster(difference) => self.follow(|_| ObjectKey::Cluster, difference),
            Change::Node(difference) => self.follow(|it| ObjectKey::Node(it.id), difference),
            Change::Network(difference) => self.follow(|it| ObjectKey::Network(it.id), difference),
            Change::Payload(difference) => self.follow(|it| ObjectKey::Payload(it.id), difference),
            Change::Service(difference) => self.follow(|it| ObjectKey::Service(it.id), difference),
            Change::Task(difference) => self.follow(|it| ObjectKey::Task(it.id), difference),
        }
    }

    fn follow<T: serde::Serialize>(&mut self, key: impl Fn(&T) -> ObjectKey, difference: &Difference<T>) {
        match (&difference.before, &difference.after) {
            (_, Some(after)) => self.put(key(after), after.as_ref()),
            (Some(before), None) => {
                if let Some(gone) = self.objects.remove(&key(before)) {
                    self.digest = self.digest.wrapping_sub(gone);
                }
            }
            (None, None) => {}
        }
    }

    fn put<T: serde::Serialize>(&mut self, key: ObjectKey, object: &T) {
        let mut digest = Digest::new();
        // Whatever can't be encoded could not have come through the log.
        digest.bytes(&codec::encode(object).unwrap_or_default());
        let value = digest.value();
        let before = self.objects.insert(key, value).unwrap_or(0);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(value);
    }
}
