//! Workers' streams: opens them, carries frames both ways, breaks them.

use shoal_manager_core::{CloseReason, Input, SessionId};
use shoal_proto::model::{AssignmentDiff, NodeId, Role};

use super::World;
use crate::event::{Daemon, Event};
use crate::host::News;
use crate::limits::SILENCE;
use crate::network::HostId;
use crate::stream::{Channel, Direction, Down, Stream, Up};

impl World {
    /// A worker asks a manager for a stream.
    pub(super) fn opening_arrives(&mut self, agent: HostId, generation: u64, attempt: u64, manager: HostId) {
        if !self.network.connects(agent, manager) || self.hosts[agent.0].generation != generation {
            return;
        }
        let back = self.network.delay(&mut self.draw, manager, agent);
        let of = &self.hosts[manager.0];
        let Some(process) = of.manager.as_ref().filter(|_| of.up) else {
            return self.plan(back, agent, Daemon::SeekFailed { attempt });
        };
        if !process.leads() {
            let leader = process.leader_elsewhere();
            return self.plan(back, agent, Daemon::Redirected { attempt, leader });
        }
        let session = SessionId(self.draw.bits());
        let now = self.queue.now();
        let stream = Stream {
            agent,
            node: self.hosts[agent.0].node,
            agent_generation: generation,
            manager,
            up: Channel::new(),
            down: Channel::new(),
            agent_open: true,
            manager_open: true,
            manager_heard: now,
        };
        self.streams.insert(session, stream);
        let seek = self.hosts[agent.0].agent.as_mut().map(|agent| &mut agent.seek);
        if let Some(seek) = seek.filter(|seek| seek.attempt == attempt) {
            seek.opening = Some(session);
        }
        self.send_down(session, Down::Welcome);
        if let Some(process) = &mut self.hosts[manager.0].manager {
            process.streams.insert(session, None);
            process.news = true;
        }
        let from = &self.hosts[agent.0];
        let opened = Input::SessionOpened {
            node: from.node,
            session,
            description: from.description(),
            observed_address: from.ip(),
            data_path_address: None,
        };
        let certificate = from.certificate.map(|role| Input::CertificateRole { node: from.node, role });
        self.feed(manager, opened);
        certificate.into_iter().for_each(|input| self.feed(manager, input));
        self.queue.plan(SILENCE, Event::KeepAlive { session });
    }

    /// Sends a frame to the manager.
    pub(super) fn send_up(&mut self, session: SessionId, frame: Up) {
        let Some(stream) = self.streams.get_mut(&session) else { return };
        let delay = self.network.delay(&mut self.draw, stream.agent, stream.manager);
        let at = stream.up.send(self.queue.now() + delay, frame);
        self.queue.plan_at(at, Event::Frames { session, direction: Direction::Up });
    }

    /// Sends a frame to the worker.
    pub(super) fn send_down(&mut self, session: SessionId, frame: Down) {
        let Some(stream) = self.streams.get_mut(&session) else { return };
        let delay = self.network.delay(&mut self.draw, stream.manager, stream.agent);
        let at = stream.down.send(self.queue.now() + delay, frame);
        self.queue.plan_at(at, Event::Frames { session, direction: Direction::Down });
    }

    /// Takes what has arrived in this direction; behind a cut it waits.
    pub(super) fn frames_arrive(&mut self, session: SessionId, direction: Direction) {
        loop {
            let now = self.queue.now();
            let Some(stream) = self.streams.get_mut(&session) else { return };
            if !self.network.connects(stream.agent, stream.manager) {
                return;
            }
            match direction {
                Direction::Up => match stream.up.take(now) {
                    Some(frame) => self.arrived_up(session, frame),
                    None => break,
                },
                Direction::Down => match stream.down.take(now) {
                    Some(frame) => self.arrived_down(session, frame),
                    None => break,
                },
            }
        }
        self.forget_if_over(session);
    }

    /// After a cut has healed, what waited goes on.
    pub(super) fn resume_streams(&mut self) {
        let waiting = |stream: &Stream| !stream.up.is_empty() || !stream.down.is_empty();
        let sessions: Vec<SessionId> =
            self.streams.iter().filter(|(_, stream)| waiting(stream)).map(|(session, _)| *session).collect();
        for session in sessions {
            for direction in [Direction::Up, Direction::Down] {
                let after = self.draw.millis(1..200);
                self.queue.plan(after, Event::Frames { session, direction });
            }
        }
    }

    fn arrived_up(&mut self, session: SessionId, frame: Up) {
        let Some(stream) = self.streams.get_mut(&session) else { return };
        if !stream.manager_open {
            return;
        }
        let (manager, node) = (stream.manager, self.hosts[stream.agent.0].node);
        stream.manager_heard = self.queue.now();
        self.trace.note(self.queue.now(), "up", session.0, || format!("{manager:?} from {node}: {}", text_up(&frame)));
        let input = match frame {
            Up::Heartbeat => {
                self.send_down(session, Down::HeartbeatReply);
                Input::Heartbeat { node, session }
            }
            Up::Reports(reports) => Input::Reports { node, session, reports },
            Up::Silent(hosts) => Input::Silent { node, session, hosts },
            Up::Verified(verification) => Input::Verified { node, session, verification },
            Up::Applied(revision) => Input::Applied { node, session, revision },
            Up::Closed => {
                self.close_manager_end(session);
                Input::SessionClosed { node, session }
            }
        };
        self.feed(manager, input);
    }

    fn arrived_down(&mut self, session: SessionId, frame: Down) {
        let Some(stream) = self.streams.get_mut(&session) else { return };
        let agent = stream.agent;
        if !stream.agent_open || stream.agent_generation != self.hosts[agent.0].generation {
            return;
        }
        if matches!(frame, Down::Closed { .. }) {
            stream.agent_open = false;
        }
        self.trace.note(self.queue.now(), "down", session.0, || format!("{agent:?}: {}", text_down(&frame)));
        self.agent_hears(agent, session, frame);
    }

    /// The manager's shell looks whether the worker's host still answers.
    pub(super) fn keep_alive(&mut self, session: SessionId) {
        let Some(stream) = self.streams.get(&session) else { return };
        if !stream.manager_open {
            return self.forget_if_over(session);
        }
        let agent = &self.hosts[stream.agent.0];
        let lives = agent.up && agent.generation == stream.agent_generation && stream.agent_open;
        if lives && self.network.connects(stream.agent, stream.manager) {
            self.queue.plan(SILENCE, Event::KeepAlive { session });
            return;
        }
        let (manager, node) = (stream.manager, agent.node);
        self.close_manager_end(session);
        self.send_down(session, Down::Closed { reason: None, leader: None });
        self.feed(manager, Input::SessionClosed { node, session });
        self.forget_if_over(session);
    }

    /// The plane has something to tell a worker.
    pub(super) fn assign(&mut self, host: HostId, node: NodeId, session: SessionId, diff: AssignmentDiff) {
        let open = self.streams.get(&session).is_some_and(|stream| stream.manager_open && stream.manager == host);
        if open {
            self.send_down(session, Down::Assign(Box::new(diff)));
        } else {
            self.feed(host, Input::SessionClosed { node, session });
        }
    }

    /// The plane ends a worker's stream.
    pub(super) fn close_session(&mut self, host: HostId, session: SessionId, reason: CloseReason) {
        let leader = self.hosts[host.0].manager.as_ref().and_then(|process| process.leader_elsewhere());
        let leader = leader.filter(|_| reason == CloseReason::NotLeader);
        if self.streams.get(&session).is_some_and(|stream| stream.manager_open) {
            self.close_manager_end(session);
            self.send_down(session, Down::Closed { reason: Some(reason), leader });
        }
    }

    /// The worker ends its stream.
    pub(super) fn close_agent_end(&mut self, session: SessionId) {
        if let Some(stream) = self.streams.get_mut(&session).filter(|stream| stream.agent_open) {
            stream.agent_open = false;
            self.send_up(session, Up::Closed);
            self.forget_if_over(session);
        }
    }

    fn close_manager_end(&mut self, session: SessionId) {
        let Some(stream) = self.streams.get_mut(&session) else { return };
        stream.manager_open = false;
        if let Some(process) = &mut self.hosts[stream.manager.0].manager {
            process.streams.remove(&session);
        }
    }

    /// A daemon is gone: its ends of streams are closed. Its host says so to the others when it still can.
    pub(super) fn break_streams(&mut self, host: HostId, agents_too: bool, silently: bool) {
        let of = |stream: &Stream| stream.manager == host || (agents_too && stream.agent == host);
        let sessions: Vec<SessionId> =
            self.streams.iter().filter(|(_, stream)| of(stream)).map(|(session, _)| *session).collect();
        for session in sessions {
            let Some(stream) = self.streams.get_mut(&session) else { continue };
            let manager = stream.manager == host && std::mem::take(&mut stream.manager_open);
            let agent = stream.agent == host && agents_too && std::mem::take(&mut stream.agent_open);
            if manager && !silently {
                self.send_down(session, Down::Closed { reason: None, leader: None });
            }
            if agent && !silently {
                self.send_up(session, Up::Closed);
            }
            self.forget_if_over(session);
        }
    }

    /// Tells workers of the managers and of their roles, when that has changed.
    pub(super) fn tell_news(&mut self, host: HostId) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        let managers = process.addresses();
        if managers.is_empty() {
            return;
        }
        let mut untold = Vec::new();
        for (session, told) in &mut process.streams {
            let Some(stream) = self.streams.get(session) else { continue };
            let node = stream.node;
            let role = process.plane.tables().certificate_role(node).unwrap_or(Role::Worker);
            let news = News { managers: managers.clone(), role };
            if told.as_ref() != Some(&news) {
                *told = Some(news.clone());
                untold.push((*session, news));
            }
        }
        for (session, news) in untold {
            self.send_down(session, Down::News(news));
        }
    }

    pub(super) fn forget_if_over(&mut self, session: SessionId) {
        if self.streams.get(&session).is_some_and(Stream::is_over) {
            self.streams.remove(&session);
        }
    }
}

fn text_up(frame: &Up) -> String {
    match frame {
        Up::Heartbeat => "heartbeat".to_owned(),
        Up::Reports(reports) => {
            let each = reports.iter().map(|report| format!("{} {:?}", report.task, report.status.state));
            format!("reports {}", each.collect::<Vec<_>>().join(", "))
        }
        Up::Silent(hosts) => format!("{} silent", hosts.len()),
        Up::Verified(verification) => format!("verified {}", verification.number),
        Up::Applied(revision) => format!("applied {}", revision.0),
        Up::Closed => "closed".to_owned(),
    }
}

fn text_down(frame: &Down) -> String {
    match frame {
        Down::Welcome => "welcome".to_owned(),
        Down::Assign(diff) => {
            let wanted = |task: &Option<shoal_proto::model::TaskAssignment>| {
                task.as_ref().map_or("gone".to_owned(), |assigned| format!("{:?}", assigned.task.desired))
            };
            let each = diff.tasks.iter().map(|(id, task)| format!("{id} {}", wanted(task)));
            format!("assign {}->{}: {}", diff.base.0, diff.result.0, each.collect::<Vec<_>>().join(", "))
        }
        Down::News(news) => format!("news {:?} {}", news.role, news.managers.join(" ")),
        Down::HeartbeatReply => "heartbeat reply".to_owned(),
        Down::Closed { reason, leader } => format!("closed {reason:?} {leader:?}"),
    }
}
