//! Keeps the consensus in step with the wish: learners that caught up vote, managers that are to be workers leave.
//!
//! One change at a time; none that would lose the quorum; a leader that is to leave hands the leadership over first.

use std::collections::BTreeMap;
use std::fmt;

use shoal_proto::model::{NodeId, Role};

use crate::limits::LEARNER_LAG;
use crate::store::Tables;

/// What the leader knows of the members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembersView {
    /// The leader's number.
    pub own: u64,
    /// Who votes, and what is known of each.
    pub voters: BTreeMap<u64, MemberHealth>,
    /// Who catches up.
    pub learners: BTreeMap<u64, MemberHealth>,
}

/// What the leader knows of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberHealth {
    /// It was heard lately.
    pub reachable: bool,
    /// Entries that it lacks.
    pub lag: u64,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipStep {
    /// A learner becomes a voter.
    Promote(u64),
    /// A member takes part no longer.
    Remove {
        /// Its number.
        raft_id: u64,
        /// Its node, if there still is one.
        node: Option<NodeId>,
    },
    /// Another member leads.
    Transfer(u64),
}

/// Why a member can't be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemovalError {
    /// There is no other.
    #[error("attempting to demote the last manager of the swarm")]
    Last,
    /// Too few of the others are in reach.
    #[error("can't remove member from the raft: this would result in a loss of quorum")]
    Quorum,
}

impl MembersView {
    /// Whether the consensus goes on without this member.
    ///
    /// # Errors
    /// [`RemovalError`] when it would not.
    pub fn can_remove(&self, raft_id: u64) -> Result<(), RemovalError> {
        if !self.voters.contains_key(&raft_id) {
            return Ok(());
        }
        let rest = self.voters.iter().filter(|(id, _)| **id != raft_id);
        let (left, reachable) =
            rest.fold((0, 0), |(left, reachable), (_, health)| (left + 1, reachable + usize::from(health.reachable)));
        match left {
            0 => Err(RemovalError::Last),
            _ if reachable < left / 2 + 1 => Err(RemovalError::Quorum),
            _ => Ok(()),
        }
    }

    /// The voter that would lead best, beside this one.
    #[must_use]
    pub fn successor(&self) -> Option<u64> {
        let others = self.voters.iter().filter(|(id, health)| **id != self.own && health.reachable);
        others.min_by_key(|(id, health)| (health.lag, **id)).map(|(id, _)| *id)
    }
}

/// The next step; `None`: wish and membership agree, or nothing can be done now.
#[must_use]
pub fn decide(tables: &Tables, members: &MembersView) -> Option<MembershipStep> {
    let nodes: BTreeMap<u64, _> =
        tables.nodes().filter_map(|node| node.manager.as_ref().map(|manager| (manager.raft_id, node))).collect();
    let is_wanted = |raft_id: &u64| nodes.get(raft_id).is_some_and(|node| node.spec.role == Role::Manager);
    let ready =
        members.learners.iter().find(|(id, health)| is_wanted(id) && health.reachable && health.lag <= LEARNER_LAG);
    if let Some((raft_id, _)) = ready {
        return Some(MembershipStep::Promote(*raft_id));
    }
    let all = members.learners.keys().chain(members.voters.keys());
    let leaving = |raft_id: &&u64| !is_wanted(raft_id) && members.can_remove(**raft_id).is_ok();
    // Others first: the leadership moves at most once.
    let next = all.clone().filter(|id| **id != members.own).find(leaving).or_else(|| all.clone().find(leaving))?;
    if *next == members.own {
        return members.successor().map(MembershipStep::Transfer);
    }
    Some(MembershipStep::Remove { raft_id: *next, node: nodes.get(next).map(|node| node.id) })
}

impl fmt::Display for MembershipStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promote(raft_id) => write!(out, "promote {raft_id}"),
            Self::Remove { raft_id, node: Some(node) } => write!(out, "remove {raft_id} ({node})"),
            Self::Remove { raft_id, node: None } => write!(out, "remove {raft_id}"),
            Self::Transfer(raft_id) => write!(out, "transfer to {raft_id}"),
        }
    }
}
