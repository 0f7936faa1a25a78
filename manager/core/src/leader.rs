//! What only a leader has and does, as one value: it begins with the leadership and is dropped with it.
//!
//! A [`Reign`] owns the draft that runs ahead of the tables, the sessions of workers, the requests that wait for the
//! majority, and what is remembered beyond the tables. Nothing of it outlives it: the next leader makes its own from the
//! tables.

mod barrier;
mod dirty;
mod membership;
mod passes;
mod proposals;
mod requests;
mod sessions;
mod verification;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shoal_proto::model::{ControlError, ControlErrorKind, NodeId, ServiceId, Timestamp};

use crate::deciders::allocator::Cursor;
use crate::deciders::liveness::grace;
use crate::deciders::membership::MembersView;
use crate::deciders::memory::Memory;
use crate::dispatch::Dispatcher;
use crate::limits::{FULL_PASS_PERIOD, NEW_LEADER_GRACE};
use crate::random::Random;
use crate::replica::Replica;
use crate::store::{Draft, Tables};
use crate::{Answer, CloseReason, Output, RequestId};
use barrier::Barrier;
use dirty::Dirty;
use membership::MemberWish;
use proposals::Inflight;

pub(crate) use requests::new_node;
pub(crate) use sessions::Hello;
use verification::Verifying;

/// A leader's whole estate.
#[derive(Debug)]
pub(crate) struct Reign {
    term: u64,
    now: Timestamp,
    draft: Draft,
    random: Random,
    /// Proposed and not yet committed, in the order of the log.
    inflight: VecDeque<Inflight>,
    /// Answers that wait for their entry.
    pending: BTreeMap<u64, Vec<(RequestId, PendingAnswer)>>,
    /// Committed, and shown by every host soon.
    barriers: Vec<Barrier>,
    verifications: Vec<Verifying>,
    wishes: VecDeque<MemberWish>,
    dirty: Dirty,
    memory: Memory,
    cursor: Cursor,
    /// Until when each node may be silent.
    deadlines: BTreeMap<NodeId, Timestamp>,
    /// Which hosts each worker can't reach.
    complaints: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// When time alone matters to a service.
    timers: BTreeMap<ServiceId, Timestamp>,
    full_pass_at: Timestamp,
    dispatcher: Dispatcher,
    /// Ends of sessions that passes decided upon.
    silenced: Vec<Output>,
}

/// An answer whose entry is under way.
#[derive(Debug)]
enum PendingAnswer {
    Ready(Answer),
    /// With the members as they are then.
    Joined {
        raft_id: u64,
    },
    /// Once no host leads connections to it any more.
    Removed {
        service: ServiceId,
    },
}

/// The leadership was lost, or what was decided can't enter the log: the reign must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// What a reign begins with.
pub(crate) struct Accession<'a> {
    pub(crate) term: u64,
    pub(crate) tables: &'a Tables,
    pub(crate) replica: &'a Replica,
    pub(crate) random: Random,
    pub(crate) now: Timestamp,
}

impl Reign {
    /// Takes up the leadership: ahead of the tables is what the log holds beyond them.
    pub(crate) fn begin(accession: Accession<'_>) -> Self {
        let Accession { term, tables, replica, random, now } = accession;
        let mut ahead = tables.clone();
        for entry in replica.unapplied() {
            proposals::apply_entry(&mut ahead, &entry);
        }
        let patience = now + grace(ahead.cluster().map(AsRef::as_ref)) * NEW_LEADER_GRACE;
        Self {
            term,
            now,
            deadlines: ahead.nodes().map(|node| (node.id, patience)).collect(),
            dirty: Dirty::everything(&ahead),
            dispatcher: Dispatcher::new(tables),
            draft: Draft::new(ahead, replica.next_index(), now),
            random,
            inflight: VecDeque::new(),
            pending: BTreeMap::new(),
            barriers: Vec::new(),
            verifications: Vec::new(),
            wishes: VecDeque::new(),
            memory: Memory::default(),
            cursor: Cursor::default(),
            complaints: BTreeMap::new(),
            timers: BTreeMap::new(),
            full_pass_at: now + FULL_PASS_PERIOD,
            silenced: Vec::new(),
        }
    }

    /// Of which term.
    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// Gives up: requests that wait may be made again at the next leader, workers look for it.
    pub(crate) fn end(mut self) -> Vec<Output> {
        let index = self.draft.index().saturating_sub(1);
        let waiting = self.pending.into_values().flatten().map(|(id, _)| id);
        let wishes = self.wishes.into_iter().map(|wish| wish.id);
        let verifications = self.verifications.into_iter().map(|verifying| verifying.id);
        let replies = waiting.chain(wishes).chain(verifications).map(|id| Output::Reply {
            id,
            outcome: Err(changed_leader()),
            index,
        });
        let mut outputs: Vec<Output> = replies.collect();
        outputs.extend(self.barriers.into_iter().map(|barrier| barrier.answer(index, Vec::new())));
        outputs.append(&mut self.silenced);
        outputs.extend(self.dispatcher.close_all(CloseReason::NotLeader));
        outputs
    }

    /// Decides what can be decided now, and proposes it.
    ///
    /// # Errors
    /// [`Lost`] when the log does not take it.
    pub(crate) fn decide(&mut self, replica: &mut Replica, members: &MembersView) -> Result<Vec<Output>, Lost> {
        self.run_passes(replica)?;
        self.propose(replica)?;
        let mut outputs = self.step_membership(replica, members)?;
        self.propose(replica)?;
        outputs.append(&mut self.silenced);
        Ok(outputs)
    }

    /// Time goes on.
    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
        self.draft.set_now(now);
    }

    /// A tick has passed: nodes may have been silent for too long.
    pub(crate) fn tick(&mut self) {
        self.dirty.liveness = true;
    }

    /// The sessions.
    pub(crate) fn dispatcher(&mut self) -> &mut Dispatcher {
        &mut self.dispatcher
    }

    /// The sessions, to look at.
    pub(crate) fn dispatcher_ref(&self) -> &Dispatcher {
        &self.dispatcher
    }
}

fn changed_leader() -> ControlError {
    let text =
        "the leader changed before the request was decided: it may or may not have taken effect; look, then try again";
    ControlError::new(ControlErrorKind::Unavailable, text)
}
