//! Requests to a leader: of the doors, the certificate authority, and other managers.

use shoal_proto::model::{
    Availability, ControlError, ControlErrorKind, ControlRequest, Meta, Node, NodeDescription, NodeId, NodeSpec,
    NodeState, NodeStatus, Role,
};

use super::{PendingAnswer, Reign};
use crate::control::{self, Reader, is_read};
use crate::deciders::liveness::grace;
use crate::deciders::membership::MembersView;
use crate::limits::{NEW_LEADER_GRACE, REQUESTS_PENDING};
use crate::store::Tables;
use crate::{Answer, Output, RequestId};

impl Reign {
    /// A door asks. `tables` are the committed ones.
    pub(crate) fn request(
        &mut self,
        (id, request): (RequestId, ControlRequest),
        tables: &Tables,
        members: &MembersView,
    ) -> Option<Output> {
        let index = tables.index();
        if is_read(&request) {
            let outcome = Reader { tables, members }.read(&request).map(Answer::Control);
            return Some(Output::Reply { id, outcome, index });
        }
        if let Some(refusal) = self.refuse_overload(id, index) {
            return Some(refusal);
        }
        if matches!(request, ControlRequest::VerifyNetworks) {
            self.verify(id);
            return None;
        }
        let removed = match &request {
            ControlRequest::RemoveService { reference } => control::find_service(self.draft.tables(), reference).ok(),
            _ => None,
        };
        let removed = removed.map(|service| service.id);
        match control::write(&mut self.draft, &mut self.random, members, request) {
            Ok(reply) => {
                if let Some(service) = removed {
                    self.answer_when_committed(id, PendingAnswer::Removed { service });
                    return None;
                }
                self.reply(id, Answer::Control(reply), index)
            }
            Err(error) => Some(Output::Reply { id, outcome: Err(error), index }),
        }
    }

    /// The certificate authority admits a node.
    pub(crate) fn admit_node(
        &mut self,
        id: RequestId,
        (node, role, availability): (NodeId, Role, Availability),
        tables: &Tables,
    ) -> Option<Output> {
        let index = tables.index();
        if let Some(known) = self.draft.tables().node(node) {
            let answer = Answer::Admitted { node, role: known.spec.role };
            return self.reply(id, answer, index);
        }
        let patience = grace(tables.cluster().map(AsRef::as_ref)) * NEW_LEADER_GRACE;
        self.deadlines.insert(node, self.now + patience);
        self.draft.put_node(new_node(node, role, availability, self.now));
        self.reply(id, Answer::Admitted { node, role }, index)
    }

    /// The node's certificate says so now.
    pub(crate) fn certificate_role(&mut self, node: NodeId, role: Role) {
        self.draft.change_node(node, |node| node.role = role);
    }

    /// At once when nothing is under way in the draft; else when it is committed.
    fn reply(&mut self, id: RequestId, answer: Answer, index: u64) -> Option<Output> {
        let settled = self.draft.is_clean() && self.inflight.is_empty();
        if settled {
            return Some(Output::Reply { id, outcome: Ok(answer), index });
        }
        let at = if self.draft.is_clean() { self.draft.index() - 1 } else { self.draft.index() };
        self.answer_at(at, id, PendingAnswer::Ready(answer));
        None
    }

    pub(super) fn refuse_overload(&self, id: RequestId, index: u64) -> Option<Output> {
        let overloaded = self.pending_count() >= REQUESTS_PENDING;
        overloaded.then(|| {
            let text = "the leader has too many requests under way: try again in a moment";
            Output::Reply { id, outcome: Err(ControlError::new(ControlErrorKind::Unavailable, text)), index }
        })
    }
}

/// A node that was admitted and not heard of yet.
pub(crate) fn new_node(id: NodeId, role: Role, availability: Availability, now: shoal_proto::model::Timestamp) -> Node {
    Node {
        id,
        meta: Meta { created_at: now, ..Meta::default() },
        spec: NodeSpec { role, availability, ..NodeSpec::default() },
        role,
        description: NodeDescription::default(),
        status: NodeStatus { state: NodeState::Unknown, message: String::new(), address: String::new(), since: now },
        manager: None,
        data_path_address: String::new(),
        ingress_address: None,
    }
}
