//! The actor that owns the core: takes inputs in turns, persists, then has the actions performed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shoal_proto::model::{AssignmentDiff, AssignmentSet, NodeDescription, Revision, TaskId, TaskStatus, Timestamp};
use shoal_worker_core::{Action, CoreConfig, Input, PullId, Saved, WorkerCore};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::clock::Clock;
use super::hands::Hands;
use crate::limits::{INPUTS_A_TURN, INPUTS_WAITING, LEAVE_TIMEOUT, LOG_REQUESTS_WAITING, REQUESTS_WAITING};
use crate::network::TunnelKeys;
use crate::session::{LogPublisher, LogSource, Outgoing, Session, SessionParts};
use crate::state::StateFiles;
use crate::{SwarmSession, WorkerError, WorkerEvent};

/// Owns the core while the worker is in a swarm.
#[derive(Debug)]
pub(crate) struct Driver {
    core: WorkerCore,
    clock: Clock,
    hands: Hands,
    state: StateFiles,
    description: NodeDescription,
    tunnel_keys: TunnelKeys,
    logs: Arc<dyn LogSource>,
    assignments: watch::Sender<Arc<AssignmentSet>>,
    events: mpsc::Sender<WorkerEvent>,
    commands: mpsc::Receiver<Command>,
    inputs: mpsc::Sender<Input>,
    inbox: mpsc::Receiver<Input>,
    outgoing: Arc<Outgoing>,
    performing: JoinSet<Vec<Input>>,
    pulls: BTreeMap<PullId, AbortHandle>,
    session: JoinSet<()>,
    unsaved: Unsaved,
    timer: Option<Timestamp>,
    leaving: Option<Leaving>,
}

/// What a driver stands on.
#[derive(Debug)]
pub(crate) struct DriverParts {
    pub(crate) config: CoreConfig,
    pub(crate) hands: Hands,
    pub(crate) state: StateFiles,
    /// What this node says of itself.
    pub(crate) description: NodeDescription,
    /// Its public keys of the tunnel.
    pub(crate) tunnel_keys: TunnelKeys,
    /// What containers wrote.
    pub(crate) logs: Arc<dyn LogSource>,
    /// Where the present assignments are shown.
    pub(crate) assignments: watch::Sender<Arc<AssignmentSet>>,
    /// To the node.
    pub(crate) events: mpsc::Sender<WorkerEvent>,
}

/// The driver, from outside.
#[derive(Debug, Clone)]
pub(crate) struct DriverHandle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Serve(SwarmSession),
    Leave(oneshot::Sender<Result<(), WorkerError>>),
}

#[derive(Debug)]
struct Leaving {
    reply: oneshot::Sender<Result<(), WorkerError>>,
    deadline: tokio::time::Instant,
}

/// What the core wants on disk and is not there yet.
#[derive(Debug, Default)]
struct Unsaved {
    assignments: Option<Arc<AssignmentSet>>,
    ended: Option<Arc<BTreeMap<TaskId, TaskStatus>>>,
}

impl Driver {
    /// The actor and its handle, with what the disk held; nothing is done until [`Driver::run`].
    pub(crate) fn new(parts: DriverParts, saved: Saved) -> (Self, DriverHandle) {
        let (commands_in, commands) = mpsc::channel(REQUESTS_WAITING);
        let (inputs, inbox) = mpsc::channel(INPUTS_WAITING);
        parts.assignments.send_replace(Arc::new(saved.assignments.clone().unwrap_or_default()));
        let driver = Self {
            core: WorkerCore::new(parts.config, saved),
            clock: Clock::start(),
            hands: parts.hands,
            state: parts.state,
            description: parts.description,
            tunnel_keys: parts.tunnel_keys,
            logs: parts.logs,
            assignments: parts.assignments,
            events: parts.events,
            commands,
            inputs,
            inbox,
            outgoing: Arc::default(),
            performing: JoinSet::new(),
            pulls: BTreeMap::new(),
            session: JoinSet::new(),
            unsaved: Unsaved::default(),
            timer: None,
            leaving: None,
        };
        (driver, DriverHandle { commands: commands_in })
    }

    /// Adopts what is there, then serves until the swarm is left or the handle is gone. Containers live on.
    pub(crate) async fn run(mut self) {
        self.hands.containers.watch(self.inputs.clone());
        self.hands.endpoints.watch(self.inputs.clone());
        self.adopt().await;
        loop {
            let inputs = tokio::select! {
                command = self.commands.recv() => match command {
                    None => return,
                    Some(command) => self.obey(command),
                },
                Some(input) = self.inbox.recv() => vec![input],
                Some(done) = self.performing.join_next() => self.after_inbox(results(done)),
                () = until(self.timer, self.clock.now()) => {
                    self.timer = None;
                    vec![Input::Tick]
                }
                () = tokio::time::sleep(SAVE_RETRY), if self.unsaved.is_some() => Vec::new(),
                () = leave_deadline(self.leaving.as_ref()) => Vec::new(),
            };
            self.turn(inputs).await;
            if self.leave_is_over().await {
                return;
            }
        }
    }

    /// What is there already is told to the core. A host that can't say yet is asked again: acting without knowing would
    /// start containers twice.
    async fn adopt(&mut self) {
        loop {
            match self.hands.find().await {
                Ok((networks, containers)) => {
                    self.turn(vec![Input::NetworksFound(networks), Input::Adopted(containers)]).await;
                    return;
                }
                Err(failure) => {
                    tracing::error!(reason = %failure.message, "the containers of this host can't be listed; trying again");
                    tokio::time::sleep(SAVE_RETRY).await;
                }
            }
        }
    }

    fn obey(&mut self, command: Command) -> Vec<Input> {
        match command {
            Command::Serve(session) => {
                self.session.abort_all();
                self.outgoing = Arc::default();
                let (logs, requests) = mpsc::channel(LOG_REQUESTS_WAITING);
                let publisher =
                    LogPublisher { source: Arc::clone(&self.logs), connect: Arc::clone(&session.connect), requests };
                let parts = SessionParts {
                    description: self.description.clone(),
                    tunnel_keys: self.tunnel_keys.clone(),
                    data_path_address: session.data_path_address,
                    connect: session.connect,
                    outgoing: Arc::clone(&self.outgoing),
                    logs,
                    inputs: self.inputs.clone(),
                    events: self.events.clone(),
                    root: std::sync::Mutex::default(),
                };
                self.session.spawn(publisher.run());
                self.session.spawn(Session::new(parts, session.managers).run());
                vec![Input::SessionDown]
            }
            Command::Leave(reply) => {
                self.session.abort_all();
                let deadline = tokio::time::Instant::now() + LEAVE_TIMEOUT;
                self.leaving = Some(Leaving { reply, deadline });
                let nothing = AssignmentDiff { result: Revision(1), ..AssignmentDiff::default() };
                vec![Input::SessionDown, Input::Assignments(nothing)]
            }
        }
    }

    /// Takes these inputs and all that wait, persists once, then performs.
    async fn turn(&mut self, inputs: Vec<Input>) {
        let now = self.clock.now();
        let mut actions: Vec<Action> = Vec::new();
        for input in inputs {
            actions.extend(self.core.handle(now, input));
        }
        for _ in 0..INPUTS_A_TURN {
            if let Ok(input) = self.inbox.try_recv() {
                actions.extend(self.core.handle(now, input));
            } else if let Some(done) = self.performing.try_join_next() {
                for input in self.after_inbox(results(done)) {
                    actions.extend(self.core.handle(now, input));
                }
            } else {
                break;
            }
        }
        for action in &actions {
            self.unsaved.note(action);
            if let Action::PersistAssignments(set) = action {
                self.assignments.send_replace(Arc::clone(set));
            }
        }
        self.save().await;
        for action in actions {
            self.begin(action);
        }
    }

    /// What was observed before an operation answered comes before its answer: an exit before the end of its stop.
    fn after_inbox(&mut self, answers: Vec<Input>) -> Vec<Input> {
        let mut inputs = Vec::new();
        while let Ok(input) = self.inbox.try_recv() {
            inputs.push(input);
        }
        inputs.extend(answers);
        inputs
    }

    async fn save(&mut self) {
        if !self.unsaved.is_some() {
            return;
        }
        let (state, assignments, ended) =
            (self.state.clone(), self.unsaved.assignments.clone(), self.unsaved.ended.clone());
        let saving = tokio::task::spawn_blocking(move || {
            if let Some(set) = assignments {
                state.save_assignments(&set)?;
            }
            ended.map_or(Ok(()), |ended| state.save_ended(&ended))
        });
        match saving.await {
            Ok(Ok(())) => self.unsaved = Unsaved::default(),
            // Tasks matter more than their record: they go on, and the record is tried again.
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the assignments are not saved; trying again"
                );
            }
            Err(error) => tracing::error!(%error, "saving the assignments was cut off; trying again"),
        }
    }

    fn begin(&mut self, action: Action) {
        match action {
            Action::PersistAssignments(_) | Action::PersistEnded(_) => {}
            Action::Report { sequence, reports } => self.outgoing.report(sequence, reports),
            Action::Applied { revision } => self.outgoing.applied(revision),
            Action::TellSilent { hosts } => self.outgoing.silent(hosts),
            Action::TellVerified(verification) => self.outgoing.verified(verification),
            Action::Resync => self.outgoing.resync(),
            Action::ArmTimer { at } => self.timer = Some(at),
            Action::CancelPull { pull } => {
                if let Some(running) = self.pulls.remove(&pull) {
                    running.abort();
                }
            }
            action => {
                tracing::debug!(%action, "begin");
                let pull = if let Action::Pull { pull, .. } = &action { Some(*pull) } else { None };
                let running = self.performing.spawn(self.hands.clone().perform(action));
                if let Some(pull) = pull {
                    self.pulls.retain(|_, running| !running.is_finished());
                    self.pulls.insert(pull, running);
                }
            }
        }
    }

    /// Ends the driver's work once nothing is left of the swarm, or too much time went by.
    async fn leave_is_over(&mut self) -> bool {
        let Some(leaving) = &self.leaving else { return false };
        let outcome = if self.core.is_empty() {
            match self.hands.endpoints.teardown().await {
                Ok(()) => self.state.forget(),
                Err(failure) => {
                    tracing::error!(reason = %failure.message, "the networks were not removed");
                    self.state.forget()
                }
            }
        } else if tokio::time::Instant::now() >= leaving.deadline {
            Err(WorkerError::LeaveTimeout { seconds: LEAVE_TIMEOUT.as_secs() })
        } else {
            return false;
        };
        let left = outcome.is_ok();
        if let Some(leaving) = self.leaving.take() {
            // Whoever asked may have gone; the swarm is left all the same.
            let _asker = leaving.reply.send(outcome);
        }
        left
    }
}

impl DriverHandle {
    /// Puts the worker to the service of these managers; an earlier session ends.
    pub(crate) async fn serve(&self, session: SwarmSession) -> Result<(), WorkerError> {
        self.commands.send(Command::Serve(session)).await.map_err(|_| WorkerError::Stopped)
    }

    /// Ends all tasks and networks, and forgets the assignments.
    pub(crate) async fn leave(&self) -> Result<(), WorkerError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Leave(reply)).await.map_err(|_| WorkerError::Stopped)?;
        answer.await.map_err(|_| WorkerError::Stopped)?
    }
}

impl Unsaved {
    fn note(&mut self, action: &Action) {
        match action {
            Action::PersistAssignments(set) => self.assignments = Some(Arc::clone(set)),
            Action::PersistEnded(ended) => self.ended = Some(Arc::clone(ended)),
            _ => {}
        }
    }

    fn is_some(&self) -> bool {
        self.assignments.is_some() || self.ended.is_some()
    }
}

/// What an operation answered; nothing for one that was cancelled.
fn results(done: Result<Vec<Input>, tokio::task::JoinError>) -> Vec<Input> {
    match done {
        Ok(inputs) => inputs,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Vec::new(),
    }
}

async fn until(at: Option<Timestamp>, now: Timestamp) {
    match at {
        Some(at) => tokio::time::sleep(at.since(now)).await,
        None => std::future::pending().await,
    }
}

async fn leave_deadline(leaving: Option<&Leaving>) {
    match leaving {
        Some(leaving) => tokio::time::sleep_until(leaving.deadline).await,
        None => std::future::pending().await,
    }
}

/// From a failed write or listing to the next attempt: a disk that has room again is used soon.
const SAVE_RETRY: Duration = Duration::from_secs(1);
