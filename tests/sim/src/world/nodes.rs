//! A node's place in the swarm: made, admitted, made a manager, made a worker again; and its daemon's life and death.

use std::time::Duration;

use shoal_manager_core::{Answer, Input, NewSwarm, RequestId};
use shoal_proto::model::{
    Availability, ClusterId, ClusterSpec, ControlErrorKind, Id, JoinTokens, Role, RootCa, Sensitive,
};

use super::World;
use super::ending::Phase;
use crate::event::{Ask, Daemon, Event, Outcome, Replied};
use crate::host::{Asker, News, Waiting, host_at};
use crate::limits::{FORMATION_MAX, MANAGERS, NODE_TURN};
use crate::network::HostId;

impl World {
    /// The first host makes the swarm, the others ask to be admitted.
    pub(super) fn form(&mut self) {
        let first = HostId(0);
        let swarm = self.new_swarm();
        self.hosts[first.0].raft_id = Some(self.draw.bits() >> 1 | 1);
        self.start_manager(first);
        let now = self.queue.now();
        if let Some(process) = &mut self.hosts[first.0].manager {
            let asker = Asker::Node { host: first, attempt: 0 };
            process.requests = 1;
            process.pending.insert(RequestId(0), Waiting { asker, via: None, since: now });
        }
        self.feed(first, Input::Bootstrap { id: RequestId(0), swarm: Box::new(swarm) });
        for host in 1..self.hosts.len() {
            let later = Duration::from_millis(1_000) + self.draw.millis(0..1_500);
            self.hosts[host].managers = vec![self.hosts[0].address()];
            self.plan(later, HostId(host), Daemon::Node);
        }
        self.queue.plan(Duration::from_secs(2), Event::Look);
        self.phase = Phase::Forming { by: now + FORMATION_MAX };
    }

    fn new_swarm(&mut self) -> NewSwarm {
        let first = &self.hosts[0];
        let mut spec = ClusterSpec::default();
        // Often enough that followers are brought up to date by snapshots, too.
        spec.raft.snapshot_interval = [20, 100, 500, 5_000][self.draw.place(4)];
        spec.raft.log_entries_for_slow_followers = [0, 10, 100, 500][self.draw.place(4)];
        spec.task_history_retention_limit = [0, 1, 5][self.draw.place(3)];
        let secret = |text: &str| Sensitive(text.to_owned());
        NewSwarm {
            cluster: ClusterId::from_random(self.draw.wide_bits()),
            spec,
            root_ca: RootCa { certificate_pem: "certificate".to_owned(), key_pem: secret("key") },
            join_tokens: JoinTokens { worker: secret("worker"), manager: secret("manager") },
            default_address_pool: Vec::new(),
            subnet_size: 24,
            data_path_port: 4789,
            description: first.description(),
            availability: Availability::Active,
            manager_address: first.address(),
            data_path_address: first.ip().to_string(),
        }
    }

    /// The node looks what it lacks, and asks for it.
    pub(super) fn node_turn(&mut self, host: HostId) {
        let of = &mut self.hosts[host.0];
        let role = if host.0 < MANAGERS { Role::Manager } else { Role::Worker };
        let ask = match of.certificate {
            None => Ask::Admit { node: of.node, role, availability: Availability::Active },
            Some(certificate) if of.wanted.is_some_and(|wanted| wanted != certificate) => Ask::Renew { node: of.node },
            Some(Role::Manager) if of.raft_id.is_none() => Ask::Join { node: of.node, address: of.address() },
            Some(_) => return,
        };
        of.attempt += 1;
        let asker = Asker::Node { host, attempt: of.attempt };
        let managers: Vec<HostId> = of.managers.iter().filter_map(|address| host_at(address)).collect();
        if let Some(to) = self.draw.one_of(&managers).copied() {
            self.ask(asker, to, ask);
        }
        let pause = NODE_TURN + self.draw.millis(0..200);
        self.plan(pause, host, Daemon::Node);
    }

    /// The leader says what the node should be, and who the managers are.
    pub(super) fn node_hears(&mut self, host: HostId, news: News) {
        let of = &mut self.hosts[host.0];
        of.managers = news.managers;
        let changed = of.wanted != Some(news.role);
        of.wanted = Some(news.role);
        if changed {
            self.plan(Duration::from_millis(1), host, Daemon::Node);
        }
    }

    pub(super) fn node_answered(&mut self, host: HostId, outcome: Outcome) {
        let role = self.hosts[host.0].certificate;
        let answer = match outcome {
            Ok(Replied::Certificate(role)) => {
                let before = self.hosts[host.0].certificate.replace(role);
                if role == Role::Worker && self.hosts[host.0].manager.is_some() {
                    self.demoted(host);
                }
                if before != Some(role) {
                    // The new certificate is shown by a new session.
                    self.session_ends(host, None);
                }
                return self.plan(Duration::from_millis(1), host, Daemon::Node);
            }
            Ok(Replied::Plane { answer, .. }) => answer,
            Err(error) => {
                if !matches!(error.kind, ControlErrorKind::Unavailable | ControlErrorKind::FailedPrecondition) {
                    let text = format!("{host:?}: {:?}: {}", error.kind, error.message);
                    self.checks.violate("a node that follows its role is not refused", text);
                }
                return;
            }
        };
        match answer {
            Answer::Bootstrapped { .. } => {
                let of = &mut self.hosts[host.0];
                of.certificate = Some(Role::Manager);
                of.managers = vec![of.address()];
                self.start_agent(host);
            }
            Answer::Admitted { role, .. } if self.hosts[host.0].certificate.is_none() => {
                self.hosts[host.0].certificate = Some(role);
                self.start_agent(host);
                self.plan(Duration::from_millis(1), host, Daemon::Node);
            }
            Answer::Joined { raft_id, members } if role == Some(Role::Manager) => {
                let of = &mut self.hosts[host.0];
                if of.raft_id.is_none() {
                    of.raft_id = Some(raft_id);
                    self.start_manager(host);
                    if let Some(process) = &mut self.hosts[host.0].manager {
                        process.members = members;
                    }
                }
            }
            _ => {}
        }
    }

    /// The node is no manager any longer: its manager part ends, and its log goes.
    pub(super) fn demoted(&mut self, host: HostId) {
        self.climate.tally.demotions += 1;
        self.trace.note(self.queue.now(), "demoted", host.0 as u64, || format!("{host:?}"));
        self.hang_up(host);
        self.break_streams(host, false, false);
        let of = &mut self.hosts[host.0];
        of.manager = None;
        of.raft_id = None;
        of.disk.wipe();
        self.checks.history.stopped(host);
        self.plan(NODE_TURN, host, Daemon::Node);
    }

    /// The daemon dies. It comes back later.
    pub(super) fn crash(&mut self, host: HostId) {
        let power = self.draw.happens(self.climate.power_loss);
        self.daemon_dies(host, power);
        let back = if self.draw.happens(700) { self.draw.millis(10..2_000) } else { self.draw.millis(2_000..12_000) };
        self.queue.plan(back, Event::Boot { host });
    }

    fn daemon_dies(&mut self, host: HostId, power: bool) {
        if !self.hosts[host.0].up {
            return;
        }
        self.climate.tally.crashes += 1;
        self.trace.note(self.queue.now(), "crash", host.0 as u64, || {
            format!("{host:?}{}", if power { " loses power" } else { "" })
        });
        self.hang_up(host);
        self.break_streams(host, true, power);
        self.operations_cut_off(host);
        let of = &mut self.hosts[host.0];
        of.up = false;
        of.generation += 1;
        of.attempt += 1;
        of.manager = None;
        of.agent = None;
        of.disk.crash(&mut self.draw);
        if power {
            of.kernel.power_off();
        }
        self.checks.history.stopped(host);
    }

    /// What was under way has taken effect, or not; nobody hears of it.
    fn operations_cut_off(&mut self, host: HostId) {
        let Some(agent) = &mut self.hosts[host.0].agent else { return };
        let held_back = std::mem::take(&mut agent.held_back);
        let operations = std::mem::take(&mut agent.operations);
        if agent.saving && self.draw.happens(500) {
            super::agents::save(&mut self.hosts[host.0].kernel.saved, &held_back);
        }
        for action in operations.into_values() {
            if self.draw.happens(500) {
                self.performed(host, &action);
            }
        }
    }

    pub(super) fn boot(&mut self, host: HostId) {
        let of = &mut self.hosts[host.0];
        if of.up {
            return;
        }
        of.up = true;
        of.generation += 1;
        self.trace.note(self.queue.now(), "boot", host.0 as u64, || format!("{host:?}"));
        self.start_manager(host);
        if self.hosts[host.0].certificate.is_some() {
            self.start_agent(host);
        }
        self.plan(Duration::from_millis(5), host, Daemon::Node);
    }
}
