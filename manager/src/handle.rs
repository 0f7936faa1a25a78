//! What the daemon asks of its manager: [`ManagerHandle`], cheap to clone.
//!
//! Any manager answers: what only the leader can do is carried to it, and tried again while an election is on, for a
//! bounded time. Control requests may be made twice without harm, because names are unique and updates name the version
//! that they change; a refusal that an earlier, lost attempt may have caused says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shoal_manager_core::{Answer, ChangeSet, Leadership, Member};
use shoal_proto::codec::encode;
use shoal_proto::grpc::{LeaveRequest, LogsWanted, LogsWantedOfNode};
use shoal_proto::model::{
    ClusterId, ControlError, ControlErrorKind, ControlReply, ControlRequest, LogOptions, LogRequest, LogTarget, NodeId,
    Reachability, ServiceId,
};
use tokio::sync::{broadcast, watch};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::driver::{Ask, Mailbox, View};
use crate::leader::{CarryError, LeaderClient};
use crate::limits::{ANSWER_GRACE, CALL_RETRY, LEADER_WAIT, LOG_NODE_PATIENCE, REQUEST_TIMEOUT};
use crate::logs::{Gatherer, LogDesk, LogLines};
use crate::tls::ManagerConnector;

/// Docker's words, which its users know.
pub(crate) const NO_LEADER: &str = "The swarm does not have a leader. It's possible that too few managers are online. \
                                    Make sure more than half of the managers are online.";

/// Speaks to a running manager.
#[derive(Debug, Clone)]
pub struct ManagerHandle(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) raft_id: u64,
    pub(crate) mailbox: Mailbox,
    pub(crate) view: watch::Receiver<View>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) changes: broadcast::Sender<Arc<ChangeSet>>,
    pub(crate) connector: ManagerConnector,
    pub(crate) leader: LeaderClient,
    pub(crate) logs: Arc<LogDesk>,
}

/// What this manager knows of the managers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalStatus {
    /// Its own number in the consensus.
    pub raft_id: u64,
    /// Whether it leads.
    pub is_leader: bool,
    /// All managers, this one included.
    pub members: Vec<MemberStatus>,
}

/// One manager, as another sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who and where.
    pub member: Member,
    /// Whether it leads.
    pub is_leader: bool,
    /// Whether it votes; a new member does once it has caught up.
    pub is_voter: bool,
    /// Whether a connection to it stands; this manager reaches itself.
    pub reachability: Reachability,
}

/// How one attempt at a request ended.
enum Attempt<T> {
    Answered(Result<T, ControlError>),
    /// It had no effect, and may be made again.
    Unmade(ControlError),
    /// It may have taken effect.
    Lost(ControlError),
}

impl ManagerHandle {
    /// Asks the swarm, here or at the leader. The number is the log index that the answer reflects.
    ///
    /// # Errors
    /// The leader's refusal; of kind `Unavailable` when nobody leads, or no leader answered within ten seconds.
    pub async fn call(&self, request: ControlRequest) -> Result<(ControlReply, u64), ControlError> {
        self.persist(|leader, remaining| {
            let request = &request;
            async move {
                match leader {
                    None => here(self.call_here(request.clone()).await),
                    Some(address) => carried(self.0.leader.call(&address, request, remaining).await),
                }
            }
        })
        .await
    }

    /// Takes this manager out of the consensus; refused when the others would lose their quorum.
    ///
    /// # Errors
    /// As [`ManagerHandle::call`].
    pub async fn leave(&self) -> Result<(), ControlError> {
        self.remove_member(self.0.node).await
    }

    /// Takes a manager out of the consensus; refused when the rest would lose their quorum.
    ///
    /// # Errors
    /// As [`ManagerHandle::call`].
    pub async fn remove_member(&self, node: NodeId) -> Result<(), ControlError> {
        self.persist(|leader, remaining| async move {
            match leader {
                None => here(self.0.mailbox.ask(Ask::Leave { node }).await.map(|_| ())),
                Some(address) => {
                    let request = LeaveRequest { node_id: node.to_string() };
                    match self.0.leader.leave(&address, request, remaining).await {
                        Ok(_) => Attempt::Answered(Ok(())),
                        Err(status) => left(&status),
                    }
                }
            }
        })
        .await
    }

    /// Reads what containers of a target wrote, on all nodes. `service` is the target's own, or that of its task.
    ///
    /// # Errors
    /// As [`ManagerHandle::call`]; of kind `Unavailable` when too many read.
    pub async fn read_logs(
        &self,
        target: LogTarget,
        service: ServiceId,
        options: LogOptions,
    ) -> Result<LogLines, ControlError> {
        let (gatherer, lines) = Gatherer::new(self.clone(), target, service, options).await?;
        tokio::spawn(gatherer.run());
        Ok(lines)
    }

    /// Has the leader tell a node that logs are wanted. It may be asked again without harm.
    pub(crate) async fn want_logs(&self, node: NodeId, request: &LogRequest) -> Result<(), Status> {
        let request = encode(request).map_err(|_| Status::internal("the request can't be written"))?;
        let wanted = LogsWanted { request: request.into() };
        let view = self.view();
        if view.is_leader() {
            return self.want_logs_here(node, wanted).await;
        }
        let leader = view.leader_address().ok_or_else(|| Status::unavailable(NO_LEADER))?;
        let request = LogsWantedOfNode { node_id: node.to_string(), wanted: Some(wanted) };
        self.0.leader.want_logs(leader, request, LOG_NODE_PATIENCE).await
    }

    /// Tells a node's session, which is at this manager while it leads.
    pub(crate) async fn want_logs_here(&self, node: NodeId, wanted: LogsWanted) -> Result<(), Status> {
        match self.0.mailbox.want_logs(node, wanted).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Status::unavailable(format!("node {node} has no session that takes this now; try again"))),
            Err(stopped) => Err(Status::unavailable(stopped.to_string())),
        }
    }

    /// host:port where nodes reach this manager, once it is a member.
    pub(crate) fn own_address(&self) -> Option<String> {
        let view = self.view();
        let own = view.members.iter().find(|member| member.raft_id == self.0.raft_id)?;
        Some(own.address.clone())
    }

    pub(crate) fn logs_desk(&self) -> &Arc<LogDesk> {
        &self.0.logs
    }

    /// Who leads. Changes are seen at once.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    /// Changes of the swarm's objects from now on, in the order of the log. One who lags is told that it missed some.
    #[must_use]
    pub fn subscribe_changes(&self) -> broadcast::Receiver<Arc<ChangeSet>> {
        self.0.changes.subscribe()
    }

    /// What this manager knows of the managers, without asking anybody.
    #[must_use]
    pub fn local_status(&self) -> LocalStatus {
        self.status_of(self.view())
    }

    /// Waits until what this manager knows of the managers fits. `None` when the manager ended before.
    pub async fn wait_for_status(&self, mut fits: impl FnMut(&LocalStatus) -> bool) -> Option<LocalStatus> {
        let mut view = self.0.view.clone();
        loop {
            let status = self.status_of(view.borrow_and_update().clone());
            if fits(&status) {
                return Some(status);
            }
            view.changed().await.ok()?;
        }
    }

    fn status_of(&self, view: View) -> LocalStatus {
        let own = self.0.raft_id;
        let leader = match &view.leadership {
            Leadership::Leader => Some(own),
            Leadership::Follower { leader } => leader.as_ref().map(|leader| leader.raft_id),
        };
        let status = |member: Member| MemberStatus {
            is_leader: Some(member.raft_id) == leader,
            is_voter: view.voters.contains(&member.raft_id),
            reachability: if member.raft_id == own || view.reachable.contains(&member.raft_id) {
                Reachability::Reachable
            } else {
                Reachability::Unreachable
            },
            member,
        };
        LocalStatus {
            raft_id: own,
            is_leader: leader == Some(own),
            members: view.members.into_iter().map(status).collect(),
        }
    }

    /// Whether both speak to the same running manager.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// This manager's node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// The swarm.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.0.cluster
    }

    /// Waits until this manager leads and holds no member of that number. `None` when it ended before.
    pub(crate) async fn wait_until_removed(&self, raft_id: u64) -> Option<()> {
        let is_removed = |view: &View| view.is_leader() && !view.members.iter().any(|member| member.raft_id == raft_id);
        self.0.view.clone().wait_for(is_removed).await.ok().map(|_| ())
    }

    pub(crate) fn view(&self) -> View {
        self.0.view.borrow().clone()
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    pub(crate) fn connector(&self) -> &ManagerConnector {
        &self.0.connector
    }

    pub(crate) fn leader(&self) -> &LeaderClient {
        &self.0.leader
    }

    /// Asks this manager's own plane, which answers when it leads.
    pub(crate) async fn call_here(&self, request: ControlRequest) -> Result<(ControlReply, u64), ControlError> {
        match self.0.mailbox.ask(Ask::Control(request)).await? {
            (Answer::Control(reply), index) => Ok((reply, index)),
            _ => Err(ControlError::new(ControlErrorKind::Internal, "the answer is to another question")),
        }
    }

    /// Attempts until there is an answer, or no time is left, or nobody has led for [`LEADER_WAIT`]. An attempt gets the leader's address, or `None` when this
    /// manager leads, and the time that remains; it is given up when the leader changes, because the old one may be gone.
    async fn persist<T, F, Fut>(&self, attempt: F) -> Result<T, ControlError>
    where
        F: Fn(Option<String>, Duration) -> Fut,
        Fut: Future<Output = Attempt<T>>,
    {
        let until = Instant::now() + REQUEST_TIMEOUT;
        let mut leadership = self.0.leadership.clone();
        let mut lost = false;
        let mut leaderless = None;
        loop {
            let remaining = until.saturating_duration_since(Instant::now());
            let leader = match &*leadership.borrow_and_update() {
                Leadership::Leader => Some(None),
                Leadership::Follower { leader: Some(leader) } => Some(Some(leader.address.clone())),
                Leadership::Follower { leader: None } => None,
            };
            leaderless = leader.is_none().then(|| leaderless.unwrap_or_else(Instant::now));
            let mut watched = leadership.clone();
            let changed = async move {
                // Fails only when the driver has ended, which ends the attempt as well.
                let _ = watched.changed().await;
                // The old leader's answer may be under way.
                sleep(ANSWER_GRACE).await;
            };
            let ended = match leader {
                Some(leader) => tokio::select! {
                    ended = attempt(leader, remaining) => ended,
                    () = changed => Attempt::Lost(unavailable("the leader changed meanwhile")),
                },
                None => Attempt::Unmade(unavailable(NO_LEADER)),
            };
            let error = match ended {
                Attempt::Answered(answer) => return answer.map_err(|refusal| after_loss(refusal, lost)),
                Attempt::Unmade(error) => error,
                Attempt::Lost(error) => {
                    lost = true;
                    error
                }
            };
            let patience = leaderless.map_or(until, |since| until.min(since + LEADER_WAIT));
            if Instant::now() + CALL_RETRY >= patience {
                return Err(after_loss(error, lost));
            }
            // A change of leader ends the pause early; that it does not come is no failure.
            let _ = timeout(CALL_RETRY, leadership.changed()).await;
        }
    }
}

fn here<T>(answer: Result<T, ControlError>) -> Attempt<T> {
    match answer {
        // The plane lost its leadership, and what was under way may be decided by the next leader.
        Err(error) if error.kind == ControlErrorKind::Unavailable => Attempt::Lost(error),
        answer => Attempt::Answered(answer),
    }
}

fn carried<T>(answer: Result<Result<T, ControlError>, CarryError>) -> Attempt<T> {
    match answer {
        Ok(answer) => here(answer),
        Err(CarryError::Unreachable(_) | CarryError::NotLeader(_)) => Attempt::Unmade(unavailable(NO_LEADER)),
        Err(CarryError::Lost { .. }) => Attempt::Lost(unavailable(NO_LEADER)),
        Err(error @ CarryError::Codec(_)) => {
            let text = format!("failed to {error}: it is of another version");
            Attempt::Answered(Err(ControlError::new(ControlErrorKind::Internal, text)))
        }
    }
}

fn left<T>(status: &Status) -> Attempt<T> {
    let error = |kind| ControlError::new(kind, status.message());
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::Unknown => Attempt::Lost(unavailable(NO_LEADER)),
        Code::FailedPrecondition if status.metadata().contains_key(crate::grpc::LEADER) => {
            Attempt::Unmade(unavailable(NO_LEADER))
        }
        Code::FailedPrecondition => Attempt::Answered(Err(error(ControlErrorKind::FailedPrecondition))),
        Code::NotFound => Attempt::Answered(Err(error(ControlErrorKind::NotFound))),
        Code::InvalidArgument => Attempt::Answered(Err(error(ControlErrorKind::Invalid))),
        _ => Attempt::Answered(Err(error(ControlErrorKind::Internal))),
    }
}

/// A refusal that an earlier attempt of the same request may have caused.
fn after_loss(mut refusal: ControlError, lost: bool) -> ControlError {
    if lost {
        refusal.message.push_str(
            " (an earlier attempt of this request was lost with its leader and may have taken effect: look before \
             making it again)",
        );
    }
    refusal
}

fn unavailable(text: &str) -> ControlError {
    ControlError::new(ControlErrorKind::Unavailable, text)
}
