//! Workers' processes: start, find the leader, hear and tell it, and keep their files.

use std::time::Duration;

use shoal_manager_core::{CloseReason, SessionId};
use shoal_proto::model::Timestamp;
use shoal_worker_core::{Action, Input};

use super::World;
use crate::check::payloads;
use crate::event::{Daemon, Event};
use crate::host::{AgentProcess, Host, LiveSession, host_at, spread};
use crate::limits::{AGENT_QUEUE, HEARTBEAT, RECONNECT, REDIRECTS, REGISTER_TIMEOUT, SILENCE};
use crate::network::HostId;
use crate::stream::{Down, Up};

impl World {
    /// Starts a worker's process on what its disk and its kernel hold.
    pub(super) fn start_agent(&mut self, host: HostId) {
        let of = &mut self.hosts[host.0];
        of.agent = Some(AgentProcess::new(of.node, of.kernel.saved.clone()));
        let found = self.draw.millis(1..50);
        self.plan(found, host, Daemon::Adopt);
    }

    pub(super) fn adopt(&mut self, host: HostId) {
        let (networks, containers) = self.hosts[host.0].kernel.adopt();
        self.tell_agent(host, Input::NetworksFound(networks));
        self.tell_agent(host, Input::Adopted(containers));
        self.plan(Duration::from_millis(1), host, Daemon::Seek { attempt: 0 });
    }

    /// Gives a worker's core an input. It takes it once its disk is written.
    pub(super) fn tell_agent(&mut self, host: HostId, input: Input) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        agent.inbox.push_back(input);
        if agent.inbox.len() + agent.operations.len() > AGENT_QUEUE {
            let text = format!("{host:?}: {} inputs, {} operations", agent.inbox.len(), agent.operations.len());
            self.checks.violate("a worker's queues are bounded", text);
        }
        self.agent_turns(host);
    }

    fn agent_turns(&mut self, host: HostId) {
        loop {
            let of = &mut self.hosts[host.0];
            let now = of.clock(self.queue.now());
            let Some(agent) = of.agent.as_mut().filter(|agent| !agent.saving) else { return };
            let Some(input) = agent.inbox.pop_front() else { return };
            let actions = agent.core.handle(now, input);
            let held = payloads::check_held(&agent.core);
            self.checks.note(actions.iter().map(payloads::check_action).chain([held]));
            let persists = |action: &Action| matches!(action, Action::PersistAssignments(_) | Action::PersistEnded(_));
            if actions.iter().any(persists) {
                agent.saving = true;
                agent.held_back = actions;
                let latency = self.climate.sync_latency(host, &mut self.draw);
                self.plan(latency, host, Daemon::Saved);
            } else {
                self.begin_all(host, actions);
            }
        }
    }

    pub(super) fn saved(&mut self, host: HostId) {
        let of = &mut self.hosts[host.0];
        let Some(agent) = &mut of.agent else { return };
        agent.saving = false;
        let actions = std::mem::take(&mut agent.held_back);
        save(&mut of.kernel.saved, &actions);
        self.begin_all(host, actions);
        self.agent_turns(host);
    }

    fn begin_all(&mut self, host: HostId, actions: Vec<Action>) {
        for action in actions {
            if !matches!(action, Action::PersistAssignments(_) | Action::PersistEnded(_) | Action::ArmTimer { .. }) {
                self.trace.note(self.queue.now(), "action", host.0 as u64, || format!("{host:?} {action}"));
            }
            match action {
                Action::PersistAssignments(_) | Action::PersistEnded(_) => {}
                Action::Report { sequence, reports } => {
                    let session = self.hosts[host.0].agent.as_mut().and_then(|agent| agent.session.as_mut());
                    if let Some(live) = session {
                        live.last_report = Some(sequence);
                        let id = live.id;
                        self.send_up(id, Up::Reports(reports));
                    }
                }
                Action::TellSilent { hosts } => {
                    if let Some(id) = self.session_of(host) {
                        self.send_up(id, Up::Silent(hosts));
                    }
                }
                Action::TellVerified(verification) => {
                    if let Some(id) = self.session_of(host) {
                        self.send_up(id, Up::Verified(verification));
                    }
                }
                Action::Applied { revision } => {
                    if let Some(id) = self.session_of(host) {
                        self.send_up(id, Up::Applied(revision));
                    }
                }
                Action::Resync => self.session_ends(host, None),
                Action::ArmTimer { at } => {
                    let of = &mut self.hosts[host.0];
                    if let Some(agent) = &mut of.agent {
                        agent.timer = Some(at);
                    }
                    let (due, generation) = (of.world_time(at), of.generation);
                    let what = Daemon::Timer { at };
                    self.queue.plan_at(due, Event::Daemon { host, generation, what });
                }
                action => self.begin_operation(host, action),
            }
        }
    }

    pub(super) fn agent_timer(&mut self, host: HostId, at: Timestamp) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        if agent.timer == Some(at) {
            agent.timer = None;
            self.tell_agent(host, Input::Tick);
        }
    }

    fn session_of(&self, host: HostId) -> Option<SessionId> {
        self.hosts[host.0].agent.as_ref()?.session.as_ref().map(|session| session.id)
    }

    /// Asks the next manager for a stream.
    pub(super) fn seek(&mut self, host: HostId, attempt: u64) {
        let of = &mut self.hosts[host.0];
        let Some(agent) = of.agent.as_mut().filter(|agent| agent.seek.attempt == attempt && agent.session.is_none())
        else {
            return;
        };
        agent.seek.attempt += 1;
        let attempt = agent.seek.attempt;
        let address = agent.seek.next(&of.managers);
        let generation = of.generation;
        self.plan(REGISTER_TIMEOUT, host, Daemon::SeekFailed { attempt });
        let Some(manager) = address.as_deref().and_then(host_at) else { return };
        if self.network.connects(host, manager) {
            let after = self.network.delay(&mut self.draw, host, manager);
            self.queue.plan(after, Event::Opening { agent: host, generation, attempt, manager });
        }
    }

    pub(super) fn seek_failed(&mut self, host: HostId, attempt: u64) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        if agent.seek.attempt != attempt || agent.session.is_some() {
            return;
        }
        agent.seek.redirects = 0;
        let opening = agent.seek.opening.take();
        self.seek_after_pause(host);
        if let Some(session) = opening {
            self.close_agent_end(session);
        }
    }

    pub(super) fn redirected(&mut self, host: HostId, attempt: u64, leader: Option<String>) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        if agent.seek.attempt != attempt || agent.session.is_some() {
            return;
        }
        self.follow(host, leader);
    }

    /// Asks the leader that was named, or anybody after a pause.
    fn follow(&mut self, host: HostId, leader: Option<String>) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        let attempt = agent.seek.attempt;
        if leader.is_some() && agent.seek.redirects < REDIRECTS {
            agent.seek.redirects += 1;
            agent.seek.hint = leader;
            self.plan(Duration::from_micros(10), host, Daemon::Seek { attempt });
        } else {
            agent.seek.redirects = 0;
            self.seek_after_pause(host);
        }
    }

    fn seek_after_pause(&mut self, host: HostId) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        let pause = spread(agent.seek.pause, &mut self.draw);
        agent.seek.pause = (agent.seek.pause * 2).min(RECONNECT.1);
        let attempt = agent.seek.attempt;
        self.plan(pause, host, Daemon::Seek { attempt });
    }

    /// A frame has arrived at a worker.
    pub(super) fn agent_hears(&mut self, host: HostId, session: SessionId, frame: Down) {
        let now = self.queue.now();
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        if agent.seek.opening == Some(session) {
            return self.opening_answered(host, session, frame);
        }
        let Some(live) = agent.session.as_mut().filter(|live| live.id == session) else {
            // The answer to a call that was given up.
            return self.close_agent_end(session);
        };
        live.heard = now;
        match frame {
            Down::Welcome => self.checks.violate("a stream is welcomed once", format!("{host:?}")),
            Down::Assign(diff) => self.tell_agent(host, Input::Assignments(*diff)),
            Down::News(news) => self.node_hears(host, news),
            Down::HeartbeatReply => {
                if let Some(sequence) = live.heartbeats.pop_front().flatten() {
                    self.tell_agent(host, Input::ReportsAcknowledged { sequence });
                }
            }
            Down::Closed { reason, leader } => {
                if reason == Some(CloseReason::UnknownSession) {
                    self.climate.tally.unknown_sessions += 1;
                }
                self.session_ends(host, leader);
            }
        }
    }

    fn opening_answered(&mut self, host: HostId, session: SessionId, frame: Down) {
        let now = self.queue.now();
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        agent.seek.opening = None;
        match frame {
            Down::Welcome => {
                agent.seek.pause = RECONNECT.0;
                agent.seek.redirects = 0;
                // After its loss the same manager is asked first.
                agent.seek.turn = agent.seek.turn.wrapping_sub(1);
                agent.session =
                    Some(LiveSession { id: session, heard: now, heartbeats: Default::default(), last_report: None });
                self.climate.tally.sessions += 1;
                self.tell_agent(host, Input::SessionUp);
                self.plan(HEARTBEAT, host, Daemon::Beat { session });
                self.plan(SILENCE, host, Daemon::Silence { session });
            }
            Down::Closed { leader, .. } => self.follow(host, leader),
            _ => self.checks.violate("the first frame is a welcome", format!("{host:?}")),
        }
    }

    /// The worker's stream has ended, or it ends it.
    pub(super) fn session_ends(&mut self, host: HostId, leader: Option<String>) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        let Some(live) = agent.session.take() else { return };
        self.close_agent_end(live.id);
        self.tell_agent(host, Input::SessionDown);
        self.follow(host, leader);
    }

    pub(super) fn beat(&mut self, host: HostId, session: SessionId) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        let Some(live) = agent.session.as_mut().filter(|live| live.id == session) else { return };
        live.heartbeats.push_back(live.last_report);
        self.send_up(session, Up::Heartbeat);
        self.probe(host);
        self.plan(HEARTBEAT, host, Daemon::Beat { session });
    }

    /// The worker hears which hosts answer its probes; now and then one that could answers too late.
    fn probe(&mut self, host: HostId) {
        let starved = self.phase.is_chaos() && self.draw.happens(20);
        let others = self.hosts.iter().filter(|other| other.id != host);
        let answers = |other: &&Host| other.agent.is_some() && self.network.connects(host, other.id);
        let hosts = others.filter(|other| starved || !answers(other)).map(|other| other.node).collect();
        self.tell_agent(host, Input::Silent { hosts });
    }

    pub(super) fn silence(&mut self, host: HostId, session: SessionId) {
        let now = self.queue.now();
        let of = &self.hosts[host.0];
        let live = of.agent.as_ref().and_then(|agent| agent.session.as_ref());
        let Some(live) = live.filter(|live| live.id == session) else { return };
        let limit = live.heard + SILENCE;
        if now >= limit {
            return self.session_ends(host, None);
        }
        let generation = of.generation;
        self.queue.plan_at(limit, Event::Daemon { host, generation, what: Daemon::Silence { session } });
    }
}

/// Writes what these actions want on disk.
pub(super) fn save(saved: &mut shoal_worker_core::Saved, actions: &[Action]) {
    for action in actions {
        match action {
            Action::PersistAssignments(set) => saved.assignments = Some((**set).clone()),
            Action::PersistEnded(ended) => saved.ended = (**ended).clone(),
            _ => {}
        }
    }
}
