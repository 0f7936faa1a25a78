//! Where each input goes.

use shoal_proto::model::{ControlError, ControlErrorKind, NodeId};

use super::ControlPlane;
use crate::leader::Hello;
use crate::{CloseReason, Input, Output, RequestId, SessionId};

impl ControlPlane {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Tick => {
                self.replica.tick();
                if let Some(reign) = &mut self.reign {
                    reign.tick();
                }
            }
            Input::RaftMessage { message, snapshot } => {
                if let Some(from) = self.replica.step(&message, snapshot) {
                    self.heard.insert(from, self.now);
                }
            }
            Input::Persisted { number } => self.replica.persisted(number),
            Input::PeerUnreachable { raft_id } => {
                // Known at once, so that no other member is let go meanwhile.
                self.heard.remove(&raft_id);
                self.replica.unreachable(raft_id);
            }
            Input::SnapshotSent { raft_id, outcome } => self.replica.snapshot_sent(raft_id, outcome),
            Input::Bootstrap { id, swarm } => self.bootstrap(id, *swarm),
            Input::TransferLeadership => self.transfer(),
            Input::CertificateRole { node, role } => {
                if let Some(reign) = &mut self.reign {
                    reign.certificate_role(node, role);
                }
            }
            input @ (Input::Request { .. }
            | Input::AdmitNode { .. }
            | Input::JoinMember { .. }
            | Input::LeaveMember { .. }) => self.take_request(input),
            input => self.take_session(input),
        }
    }

    fn take_request(&mut self, input: Input) {
        let members = self.members();
        let Some(reign) = &mut self.reign else {
            if let Some(id) = request_id(&input) {
                self.refuse(id);
            }
            return;
        };
        let output = match input {
            Input::Request { id, request } => reign.request((id, request), &self.tables, &members),
            Input::AdmitNode { id, node, role, availability } => {
                reign.admit_node(id, (node, role, availability), &self.tables)
            }
            Input::JoinMember { id, node, address } => reign.join(id, node, address),
            Input::LeaveMember { id, node } => reign.leave(id, node),
            _ => None,
        };
        self.outputs.extend(output);
    }

    fn take_session(&mut self, input: Input) {
        let Some(reign) = &mut self.reign else {
            let Some((node, session)) = session_of(&input) else { return };
            if !matches!(input, Input::SessionClosed { .. }) {
                self.outputs.push(Output::CloseSession { node, session, reason: CloseReason::NotLeader });
            }
            return;
        };
        let output = match input {
            Input::SessionOpened { node, session, description, observed_address, data_path_address } => {
                reign.session_opened(Hello { node, session, description, observed_address, data_path_address })
            }
            Input::Heartbeat { node, session } => reign.heartbeat(node, session),
            Input::Reports { node, session, reports } => reign.reports(node, session, reports),
            Input::Applied { node, session, revision } => reign.applied(node, session, revision),
            Input::Silent { node, session, hosts } => reign.silent(node, session, hosts),
            Input::Verified { node, session, verification } => reign.verified(node, session, verification),
            Input::SessionClosed { node, session } => {
                reign.session_closed(node, session);
                None
            }
            _ => None,
        };
        self.outputs.extend(output);
    }

    fn transfer(&mut self) {
        if self.reign.is_some()
            && let Some(successor) = self.members().successor()
        {
            self.replica.transfer_to(successor);
        }
    }

    fn refuse(&mut self, id: RequestId) {
        let text = "The swarm does not have a leader. It's possible that too few managers are online. Make sure more \
                    than half of the managers are online.";
        let outcome = Err(ControlError::new(ControlErrorKind::Unavailable, text));
        self.outputs.push(Output::Reply { id, outcome, index: self.tables.index() });
    }
}

fn request_id(input: &Input) -> Option<RequestId> {
    match input {
        Input::Request { id, .. }
        | Input::AdmitNode { id, .. }
        | Input::JoinMember { id, .. }
        | Input::LeaveMember { id, .. } => Some(*id),
        _ => None,
    }
}

fn session_of(input: &Input) -> Option<(NodeId, SessionId)> {
    match input {
        Input::SessionOpened { node, session, .. }
        | Input::Heartbeat { node, session }
        | Input::Reports { node, session, .. }
        | Input::Applied { node, session, .. }
        | Input::Silent { node, session, .. }
        | Input::Verified { node, session, .. }
        | Input::SessionClosed { node, session } => Some((*node, *session)),
        _ => None,
    }
}
