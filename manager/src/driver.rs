//! The driver: feeds a [`ControlPlane`] with what happens and does what it wants done.
//!
//! One actor owns the plane, the log, the peers and the workers' sessions. It takes all that waits in its inbox at once,
//! lets the plane decide, and performs the outputs in their order, so that nothing is sent that rests on something not
//! yet durable. It runs on a thread of its own: a slow disk or a long decision then delays nobody else. What others may
//! know without asking is published ([`View`]).
//!
//! When the log fails, the driver ends at once and says why: what is not durable must not be acted upon.

mod clock;
mod mailbox;
mod sessions;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shoal_manager_core::{
    Change, ChangeSet, ControlPlane, Input, Leadership, Member, Output, RequestId, SnapshotOutcome,
};
use shoal_proto::model::{ControlError, ControlErrorKind, Role};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::limits::{INPUTS_AT_ONCE, REMOVAL_PATIENCE, TRANSFER_TIMEOUT};
use crate::log::{LogError, LogStore};
use crate::transport::{OutgoingSnapshot, PeerEvent, Peers};
use clock::Clock;
use sessions::Sessions;

pub(crate) use mailbox::{Ask, Mailbox, Message, Replied, SessionEvent, SessionNews};
pub(crate) use view::View;

/// Performs what a control plane decides. See the module's text.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) core: ControlPlane,
    pub(crate) log: Box<dyn LogStore>,
    pub(crate) peers: Peers,
    pub(crate) inbox: mpsc::Receiver<Message>,
    pub(crate) events: mpsc::Receiver<PeerEvent>,
    pub(crate) view: watch::Sender<View>,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) changes: broadcast::Sender<Arc<ChangeSet>>,
    /// Ends the driver at once.
    pub(crate) stop: CancellationToken,
    pub(crate) state: DriverState,
}

/// What the driver keeps between its rounds; all of it can be thrown away.
#[derive(Debug, Default)]
pub(crate) struct DriverState {
    clock: Clock,
    next_request: u64,
    pending: BTreeMap<RequestId, oneshot::Sender<Replied>>,
    sessions: Sessions,
    /// Inputs that performing outputs gave rise to.
    feedback: Vec<Input>,
    /// What workers are told of the swarm may have changed.
    news: bool,
    was_member: bool,
    /// Since when leaders say that this manager is no member, while none leads it.
    removed_since: Option<Instant>,
    /// They said so for long enough.
    removed: bool,
    stop_by: Option<Instant>,
}

/// Why a driver ended.
#[derive(Debug)]
pub(crate) enum DriverEnd {
    /// It was asked to.
    Stopped,
    /// This node is no manager any longer.
    Demoted,
    /// The log can't be written.
    Log(LogError),
}

impl Driver {
    pub(crate) async fn run(mut self) -> DriverEnd {
        let mut ticks = interval(self.core.config().tick);
        // Ticks that a slow disk or a stopped process kept back must not come in a burst: they would be an election.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.start();
        loop {
            let mut inputs = Vec::new();
            tokio::select! {
                // What was said before a tick counts before it: a heartbeat that waited behind a slow disk is no miss.
                biased;
                () = self.stop.cancelled() => return DriverEnd::Stopped,
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message, &mut inputs),
                    None => return DriverEnd::Stopped,
                },
                Some(event) = self.events.recv() => self.take_event(event, &mut inputs),
                _ = ticks.tick() => {
                    inputs.push(Input::Tick);
                    self.state.pending.retain(|_, reply| !reply.is_closed());
                }
            }
            self.drain(&mut inputs);
            if let Err(error) = self.handle(inputs) {
                self.give_up_requests(&error);
                return DriverEnd::Log(error);
            }
            if let Some(end) = self.end() {
                return end;
            }
        }
    }

    /// Tells those who wait why they get no answer.
    fn give_up_requests(&mut self, cause: &LogError) {
        let text =
            format!("this manager stopped before it could answer, look whether the request took effect: {cause}");
        for reply in std::mem::take(&mut self.state.pending).into_values() {
            // Fails only when the caller waits no longer.
            let _ = reply.send(Err(ControlError::new(ControlErrorKind::Internal, text.clone())));
        }
    }

    /// Publishes what the log held.
    fn start(&mut self) {
        let members = self.core.tables().members();
        self.set_members(members);
        self.tell_news();
    }

    fn drain(&mut self, inputs: &mut Vec<Input>) {
        while inputs.len() < INPUTS_AT_ONCE
            && let Ok(message) = self.inbox.try_recv()
        {
            self.take(message, inputs);
        }
        while inputs.len() < INPUTS_AT_ONCE
            && let Ok(event) = self.events.try_recv()
        {
            self.take_event(event, inputs);
        }
    }

    fn take(&mut self, message: Message, inputs: &mut Vec<Input>) {
        match message {
            Message::Inputs(some) => inputs.extend(some),
            Message::Ask { ask, reply } => {
                self.state.next_request += 1;
                let id = RequestId(self.state.next_request);
                self.state.pending.insert(id, reply);
                inputs.push(ask.into_input(id));
            }
            Message::OpenSession { opened, events } => {
                if let Input::SessionOpened { node, session, .. } = &opened {
                    self.state.sessions.open(*session, *node, events);
                    self.state.news = true;
                }
                inputs.push(opened);
            }
            Message::Sender(member) => self.peers.learn(member),
            Message::CertificateRole { node, reply } => {
                // Fails only when the caller waits no longer.
                let _ = reply.send(self.core.tables().certificate_role(node));
            }
            Message::WantLogs { node, wanted, reply } => {
                // Fails only when the caller waits no longer.
                let _ = reply.send(self.state.sessions.offer(node, &SessionEvent::Logs(wanted)));
            }
            Message::Stop => {
                self.state.stop_by.get_or_insert_with(|| Instant::now() + TRANSFER_TIMEOUT);
                inputs.push(Input::TransferLeadership);
            }
        }
    }

    fn take_event(&mut self, event: PeerEvent, inputs: &mut Vec<Input>) {
        match event {
            PeerEvent::Reachable(raft_id) => self.set_reachable(raft_id, true),
            PeerEvent::Unreachable(raft_id) => {
                self.set_reachable(raft_id, false);
                inputs.push(Input::PeerUnreachable { raft_id });
            }
            PeerEvent::Removed => {
                let since = *self.state.removed_since.get_or_insert_with(Instant::now);
                self.state.removed |= since.elapsed() >= REMOVAL_PATIENCE;
            }
            PeerEvent::SnapshotSent { to: raft_id, outcome } => inputs.push(Input::SnapshotSent { raft_id, outcome }),
        }
    }

    /// Lets the plane decide until nothing follows from what was done.
    fn handle(&mut self, mut inputs: Vec<Input>) -> Result<(), LogError> {
        while !inputs.is_empty() {
            for input in &inputs {
                if let Input::SessionClosed { session, .. } = input {
                    self.state.sessions.forget(*session);
                }
            }
            let now = self.state.clock.now();
            let outputs = self.core.handle_all(now, inputs);
            // Before the rest, so that a message to a new member finds it.
            if let Some(members) = outputs.iter().rev().find_map(members_of) {
                self.set_members(members.to_vec());
            }
            for output in outputs {
                self.perform(output)?;
            }
            let voters = self.core.voters();
            self.view.send_if_modified(|view| std::mem::replace(&mut view.voters, voters) != view.voters);
            if std::mem::take(&mut self.state.news) {
                self.tell_news();
            }
            inputs = std::mem::take(&mut self.state.feedback);
        }
        Ok(())
    }

    fn perform(&mut self, output: Output) -> Result<(), LogError> {
        match output {
            Output::Persist(persist) => {
                let number = persist.number;
                self.log.append(persist)?;
                self.state.feedback.push(Input::Persisted { number });
            }
            Output::SaveSnapshot(snapshot) => self.log.save_snapshot(&snapshot)?,
            Output::Compact { through } => self.log.compact(through)?,
            Output::Send { to, message, snapshot: None } => self.peers.send(to, message),
            Output::Send { to, message, snapshot: Some(data) } => {
                if self.peers.send_snapshot(to, OutgoingSnapshot { message, data }).is_err() {
                    let outcome = SnapshotOutcome::Failed;
                    self.state.feedback.push(Input::SnapshotSent { raft_id: to, outcome });
                }
            }
            Output::Reply { id, outcome, index } => {
                if let Some(reply) = self.state.pending.remove(&id) {
                    // Fails only when the caller waits no longer.
                    let _ = reply.send(outcome.map(|answer| (answer, index)));
                }
            }
            Output::Assign { node, session, diff } => {
                if self.state.sessions.send(session, SessionEvent::Assign(Box::new(diff))).is_err() {
                    self.state.feedback.push(Input::SessionClosed { node, session });
                }
            }
            Output::CloseSession { session, reason, .. } => self.state.sessions.close(session, reason),
            Output::Leadership(leadership) => {
                tracing::info!(?leadership, "leadership changed");
                self.state.removed_since = None;
                self.view.send_modify(|view| view.leadership = leadership.clone());
                self.leadership.send_replace(leadership);
                self.state.news = true;
            }
            Output::Members(_) => {}
            Output::Changed(changes) => self.publish(changes),
        }
        Ok(())
    }

    fn publish(&mut self, changes: ChangeSet) {
        let concerns_workers = |change: &Change| matches!(change, Change::Cluster(_) | Change::Node(_));
        self.state.news |= changes.resynced || changes.changes.iter().any(concerns_workers);
        // Fails only when nobody listens.
        let _ = self.changes.send(Arc::new(changes));
    }

    fn set_members(&mut self, members: Vec<Member>) {
        self.peers.set_members(&members);
        self.view.send_modify(|view| {
            view.reachable.retain(|raft_id| members.iter().any(|member| member.raft_id == *raft_id));
            view.members = members;
        });
        self.state.was_member |= self.is_member();
        self.state.news = true;
    }

    fn set_reachable(&mut self, raft_id: u64, reachable: bool) {
        self.view.send_if_modified(|view| {
            if reachable { view.reachable.insert(raft_id) } else { view.reachable.remove(&raft_id) }
        });
    }

    /// Publishes the swarm's settings, and tells workers what they should know of it.
    fn tell_news(&mut self) {
        let tables = self.core.tables();
        let cluster = tables.cluster();
        let known = self.view.borrow().cluster.as_ref().map(|cluster| cluster.meta.version);
        if known != cluster.map(|cluster| cluster.meta.version) {
            self.view.send_modify(|view| view.cluster = cluster.cloned());
        }
        let Some(cluster) = cluster else { return };
        let managers = self.managers_leader_first();
        let lost = self.state.sessions.tell(|node| SessionNews {
            managers: Arc::clone(&managers),
            role: tables.certificate_role(node).unwrap_or(Role::Worker),
            root_pem: cluster.root_ca.certificate_pem.clone(),
            heartbeat: cluster.spec.heartbeat_period,
        });
        self.state.feedback.extend(lost.into_iter().map(|(session, node)| Input::SessionClosed { node, session }));
    }

    fn managers_leader_first(&self) -> Arc<[String]> {
        let view = self.view.borrow();
        let leader = match &view.leadership {
            Leadership::Leader => Some(self.core.config().raft_id),
            Leadership::Follower { leader } => leader.as_ref().map(|leader| leader.raft_id),
        };
        let mut members: Vec<&Member> = view.members.iter().collect();
        members.sort_by_key(|member| Some(member.raft_id) != leader);
        members.into_iter().map(|member| member.address.clone()).collect()
    }

    /// Whether this round was the last.
    fn end(&self) -> Option<DriverEnd> {
        if self.state.removed || (self.state.was_member && !self.is_member()) {
            return Some(DriverEnd::Demoted);
        }
        let by = self.state.stop_by?;
        let view = self.view.borrow();
        let leads_others = matches!(view.leadership, Leadership::Leader) && !view.reachable.is_empty();
        (!leads_others || Instant::now() >= by).then_some(DriverEnd::Stopped)
    }

    fn is_member(&self) -> bool {
        let own = self.core.config().raft_id;
        self.view.borrow().members.iter().any(|member| member.raft_id == own)
    }
}

fn members_of(output: &Output) -> Option<&[Member]> {
    match output {
        Output::Members(members) => Some(members),
        _ => None,
    }
}

/// How long a driver that was asked to stop may take.
pub(crate) const STOP_TIMEOUT: Duration = TRANSFER_TIMEOUT.saturating_mul(2);
