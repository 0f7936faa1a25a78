//! A manager's process: the real plane, its outputs yet to be performed, and who waits for an answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shoal_manager_core::{ControlPlane, Input, Leadership, Member, Output, RequestId, SessionId};
use shoal_proto::model::{Role, Timestamp};

use crate::network::HostId;

/// A manager's process.
#[derive(Debug)]
pub(crate) struct ManagerProcess {
    pub(crate) plane: ControlPlane,
    /// Takes inputs while outputs are still being performed, as a shell with its disk on another thread would.
    pub(crate) eager: bool,
    pub(crate) inbox: Vec<Input>,
    /// The plane is about to be called.
    pub(crate) woken: bool,
    pub(crate) outputs: VecDeque<Output>,
    /// The next output is about to be performed, or the disk is being written.
    pub(crate) performing: bool,
    /// The write under way.
    pub(crate) syncing: Option<u64>,
    pub(crate) members: Vec<Member>,
    /// Who called and is not among the members that this one knows: a new member that lost what it was told when it
    /// joined knows nobody else.
    pub(crate) callers: Vec<Member>,
    /// It was among the members once: when it is no longer, its process ends.
    pub(crate) was_member: bool,
    pub(crate) leadership: Leadership,
    pub(crate) requests: u64,
    pub(crate) pending: BTreeMap<RequestId, Waiting>,
    /// Streams of workers, with what they were told of the swarm.
    pub(crate) streams: BTreeMap<SessionId, Option<News>>,
    /// What workers are told may have changed.
    pub(crate) news: bool,
    /// Peers that were said to be unreachable since the last tick.
    pub(crate) unreachable: BTreeSet<u64>,
}

/// What a worker is told of the swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) managers: Vec<String>,
    pub(crate) role: Role,
}

/// Who waits for an answer, and where the answer passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) asker: Asker,
    /// The manager that carried the question to the leader.
    pub(crate) via: Option<HostId>,
    /// When it came.
    pub(crate) since: Timestamp,
}

/// Who asked a manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A client, in its numbered attempt.
    Client { client: usize, attempt: u64 },
    /// A node, in its numbered attempt.
    Node { host: HostId, attempt: u64 },
}

impl ManagerProcess {
    /// A process around a plane.
    pub(crate) fn new(plane: ControlPlane, eager: bool) -> Self {
        let members = plane.tables().members();
        let mut process = Self {
            plane,
            eager,
            inbox: Vec::new(),
            woken: false,
            outputs: VecDeque::new(),
            performing: false,
            syncing: None,
            members: Vec::new(),
            callers: Vec::new(),
            was_member: false,
            leadership: Leadership::Follower { leader: None },
            requests: 0,
            pending: BTreeMap::new(),
            streams: BTreeMap::new(),
            news: false,
            unreachable: BTreeSet::new(),
        };
        process.set_members(members);
        process
    }

    /// Takes over who the managers are.
    pub(crate) fn set_members(&mut self, members: Vec<Member>) {
        let own = self.plane.config().raft_id;
        self.was_member |= members.iter().any(|member| member.raft_id == own);
        self.members = members;
        self.news = true;
    }

    /// Where a member is.
    pub(crate) fn address_of(&self, raft_id: u64) -> Option<&str> {
        let mut known = self.members.iter().chain(&self.callers);
        known.find(|member| member.raft_id == raft_id).map(|member| member.address.as_str())
    }

    /// A member has called, and says where it is.
    pub(crate) fn learn(&mut self, caller: Member) {
        self.callers.retain(|other| other.raft_id != caller.raft_id);
        self.callers.push(caller);
    }

    pub(crate) fn leads(&self) -> bool {
        self.leadership == Leadership::Leader
    }

    /// Where the leader is, when it is another one and known.
    pub(crate) fn leader_elsewhere(&self) -> Option<String> {
        match &self.leadership {
            Leadership::Follower { leader: Some(leader) } => Some(leader.address.clone()),
            _ => None,
        }
    }

    /// host:port of all managers, the leader first.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let leader = match &self.leadership {
            Leadership::Leader => Some(self.plane.config().raft_id),
            Leadership::Follower { leader } => leader.as_ref().map(|leader| leader.raft_id),
        };
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by_key(|member| Some(member.raft_id) != leader);
        members.into_iter().map(|member| member.address.clone()).collect()
    }

    /// Whether this node is to be a manager, as its shell decides it.
    pub(crate) fn is_manager(&self) -> bool {
        let node = self.plane.config().node;
        self.members.iter().any(|member| member.node == node)
            || self.plane.tables().certificate_role(node) == Some(Role::Manager)
    }
}
