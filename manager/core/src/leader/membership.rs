//! Members come and go: one change at a time, each together with what it means for the node's record.

use std::collections::VecDeque;

use shoal_proto::model::{ControlError, ControlErrorKind, ManagerStatus, NodeId, Role};

use super::{Lost, PendingAnswer, Reign};
use crate::deciders::membership::{self, MembersView, MembershipStep};
use crate::replica::{MembershipChange, Replica};
use crate::{Answer, Output, RequestId};

/// A request to become a member, or to be one no longer.
#[derive(Debug)]
pub(super) struct MemberWish {
    pub(super) id: RequestId,
    node: NodeId,
    kind: WishKind,
}

#[derive(Debug)]
enum WishKind {
    Join { address: String },
    Leave,
}

impl Reign {
    /// A manager wants to take part.
    pub(crate) fn join(&mut self, id: RequestId, node: NodeId, address: String) -> Option<Output> {
        self.wish(MemberWish { id, node, kind: WishKind::Join { address } })
    }

    /// A manager is to take part no longer.
    pub(crate) fn leave(&mut self, id: RequestId, node: NodeId) -> Option<Output> {
        self.wish(MemberWish { id, node, kind: WishKind::Leave })
    }

    fn wish(&mut self, wish: MemberWish) -> Option<Output> {
        let refusal = self.refuse_overload(wish.id, self.draft.tables().index());
        if refusal.is_none() {
            self.wishes.push_back(wish);
        }
        refusal
    }

    /// Does the next change of membership, if one can be done now.
    pub(super) fn step_membership(
        &mut self,
        replica: &mut Replica,
        members: &MembersView,
    ) -> Result<Vec<Output>, Lost> {
        let mut outputs = Vec::new();
        while replica.accepts_membership() {
            let Some(wish) = self.wishes.pop_front() else {
                self.follow_roles(replica, members)?;
                break;
            };
            let (id, node) = (wish.id, wish.node);
            let granted = match wish.kind {
                WishKind::Join { address } => self.grant_join(replica, (id, node), address)?,
                WishKind::Leave => self.grant_leave(replica, (id, node), members)?,
            };
            if let Err(error) = granted {
                outputs.push(Output::Reply { id, outcome: Err(error), index: self.draft.tables().index() });
            }
        }
        Ok(outputs)
    }

    fn grant_join(
        &mut self,
        replica: &mut Replica,
        (id, node): (RequestId, NodeId),
        address: String,
    ) -> Result<Result<(), ControlError>, Lost> {
        let Some(stored) = self.draft.tables().node(node) else {
            return Ok(Err(ControlError::new(ControlErrorKind::NotFound, format!("node {node} not found"))));
        };
        if stored.spec.role != Role::Manager {
            let text = format!("node {node} is a worker: promote it before it joins the managers");
            return Ok(Err(ControlError::new(ControlErrorKind::FailedPrecondition, text)));
        }
        if let Some(manager) = stored.manager.clone() {
            let raft_id = manager.raft_id;
            self.draft.change_node(node, |node| node.manager = Some(ManagerStatus { address, ..manager }));
            self.answer_when_committed(id, PendingAnswer::Joined { raft_id });
            // When the address is as it was there is nothing to propose, and what is applied is enough.
            if self.draft.is_clean() {
                let last = self.draft.index() - 1;
                let answers = self.pending.remove(&self.draft.index()).unwrap_or_default();
                self.pending.entry(last).or_default().extend(answers);
            }
            self.propose(replica)?;
            return Ok(Ok(()));
        }
        let raft_id = self.fresh_raft_id();
        self.propose(replica)?;
        self.draft.change_node(node, |node| node.manager = Some(ManagerStatus { raft_id, address }));
        let index = self.propose_membership(replica, MembershipChange::AddLearner(raft_id))?;
        self.answer_at(index, id, PendingAnswer::Joined { raft_id });
        Ok(Ok(()))
    }

    fn grant_leave(
        &mut self,
        replica: &mut Replica,
        (id, node): (RequestId, NodeId),
        members: &MembersView,
    ) -> Result<Result<(), ControlError>, Lost> {
        let manager = self.draft.tables().node(node).and_then(|node| node.manager.clone());
        let Some(manager) = manager else {
            let last = self.draft.index() - 1;
            self.answer_at(last, id, PendingAnswer::Ready(Answer::Left));
            return Ok(Ok(()));
        };
        if let Err(error) = members.can_remove(manager.raft_id) {
            let text = format!("{error}; promote another node, or bring the other managers back, first");
            return Ok(Err(ControlError::new(ControlErrorKind::FailedPrecondition, text)));
        }
        if manager.raft_id == members.own {
            // The next leader removes this one: the request is to be made again there.
            self.wishes.push_front(MemberWish { id, node, kind: WishKind::Leave });
            if let Some(successor) = members.successor() {
                replica.transfer_to(successor);
            }
            return Err(Lost);
        }
        let index = self.remove_member(replica, manager.raft_id, Some(node))?;
        self.answer_at(index, id, PendingAnswer::Ready(Answer::Left));
        Ok(Ok(()))
    }

    fn follow_roles(&mut self, replica: &mut Replica, members: &MembersView) -> Result<(), Lost> {
        match membership::decide(self.draft.tables(), members) {
            None => Ok(()),
            Some(MembershipStep::Promote(raft_id)) => {
                self.propose(replica)?;
                self.propose_membership(replica, MembershipChange::AddVoter(raft_id)).map(drop)
            }
            Some(MembershipStep::Remove { raft_id, node }) => self.remove_member(replica, raft_id, node).map(drop),
            // Who asked for it hears that it is decided, before there is another leader.
            Some(MembershipStep::Transfer(_)) if !self.pending.is_empty() => Ok(()),
            Some(MembershipStep::Transfer(raft_id)) => {
                replica.transfer_to(raft_id);
                Ok(())
            }
        }
    }

    fn remove_member(&mut self, replica: &mut Replica, raft_id: u64, node: Option<NodeId>) -> Result<u64, Lost> {
        self.propose(replica)?;
        if let Some(node) = node {
            self.draft.change_node(node, |node| node.manager = None);
        }
        self.propose_membership(replica, MembershipChange::Remove(raft_id))
    }

    /// Random, so that none is used twice even after its node is forgotten.
    fn fresh_raft_id(&mut self) -> u64 {
        let taken: VecDeque<u64> = self.draft.tables().members().iter().map(|member| member.raft_id).collect();
        loop {
            let id = self.random.next() >> 1;
            if id != 0 && !taken.contains(&id) {
                return id;
            }
        }
    }
}
