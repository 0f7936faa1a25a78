//! What breaks: crashes, cuts of all shapes, weather, slow disks, dying containers; drawn one after the other.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use shoal_manager_core::Input;

use super::World;
use crate::draw::Draw;
use crate::event::Event;
use crate::network::{Cut, HostId, HostSet, Weather};

/// How hard the world is on its hosts, and what that came to.
#[derive(Debug)]
pub(super) struct Climate {
    /// A manager dies in place of performing an output, in hundred thousandths.
    pub(super) crash_at_output: u64,
    /// A crash takes the host's power, in thousandths.
    pub(super) power_loss: u32,
    /// A worker's operation fails, in thousandths.
    failures: u32,
    /// The longest write, in microseconds.
    sync_max: u64,
    /// Hosts whose disks are a hundred times slower.
    slow_disks: BTreeSet<HostId>,
    pub(super) tally: Tally,
}

/// What a run did, for people.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) handled: u64,
    pub(super) leaders: u64,
    pub(super) crashes: u64,
    pub(super) crashes_at_output: u64,
    pub(super) cuts: u64,
    pub(super) failures: u64,
    pub(super) snapshots: u64,
    pub(super) sessions: u64,
    pub(super) unknown_sessions: u64,
    pub(super) demotions: u64,
    pub(super) requests: u64,
    pub(super) operations: u64,
    pub(super) timeouts: u64,
}

impl Climate {
    /// Nothing fails.
    pub(super) fn calm() -> Self {
        Self {
            crash_at_output: 0,
            power_loss: 0,
            failures: 0,
            sync_max: 1_000,
            slow_disks: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    fn become_calm(&mut self) {
        *self = Self { tally: std::mem::take(&mut self.tally), ..Self::calm() };
    }

    fn become_rough(&mut self, draw: &mut Draw) {
        self.crash_at_output = if draw.happens(700) { draw.number(0..400) } else { 0 };
        self.power_loss = [0, 200, 500][draw.place(3)];
        self.failures = [0, 10, 60][draw.place(3)];
        self.sync_max = [500, 5_000, 40_000][draw.place(3)];
    }

    /// How long a write takes to be on disk.
    pub(super) fn sync_latency(&self, host: HostId, draw: &mut Draw) -> Duration {
        let latency = draw.micros(50..self.sync_max.max(51));
        if self.slow_disks.contains(&host) { latency * 100 } else { latency }
    }

    /// Whether a worker's operation fails.
    pub(super) fn operation_fails(&self, draw: &mut Draw) -> bool {
        draw.happens(self.failures)
    }
}

impl World {
    /// Faults begin.
    pub(super) fn start_faults(&mut self) {
        self.climate.become_rough(&mut self.draw);
        let weather = Weather::rough(&mut self.draw);
        self.network.set_weather(weather);
        self.queue.plan(Duration::from_millis(100), Event::Fault);
    }

    pub(super) fn fault(&mut self) {
        if !self.phase.is_chaos() {
            return;
        }
        let next = self.draw.millis(30..1_200);
        self.queue.plan(next, Event::Fault);
        let anybody = HostId(self.draw.place(self.hosts.len()));
        let managers: Vec<HostId> = self.hosts.iter().filter(|it| it.raft_id.is_some()).map(|it| it.id).collect();
        let Some(manager) = self.draw.one_of(&managers).copied() else { return };
        let leader = self.leader().unwrap_or(manager);
        match self.draw.number(0..100) {
            0..12 => self.crash(manager),
            12..22 => self.crash(anybody),
            22..28 => self.crash(leader),
            28..50 => self.cut(leader, manager, anybody),
            50..62 => self.containers_die(),
            62..70 => {
                let weather = Weather::rough(&mut self.draw);
                self.network.set_weather(weather);
            }
            70..78 => {
                let weather = Weather { loss: 700, repeats: 100, delay_max: 800_000 };
                self.network.set_pair(leader, manager, weather);
            }
            78..84 => {
                let slow = &mut self.climate.slow_disks;
                if !slow.remove(&manager) {
                    slow.insert(manager);
                }
            }
            84..90 => self.climate.become_rough(&mut self.draw),
            90..94 => self.feed(leader, Input::TransferLeadership),
            94..97 => managers.into_iter().for_each(|manager| self.crash(manager)),
            97..98 => (0..self.hosts.len()).for_each(|host| self.crash(HostId(host))),
            _ => {
                let crowd: Vec<HostId> = (0..10).map(|_| HostId(self.draw.place(self.hosts.len()))).collect();
                crowd.into_iter().for_each(|host| self.crash(host));
            }
        }
    }

    /// A partition of some shape, for a while.
    fn cut(&mut self, leader: HostId, manager: HostId, anybody: HostId) {
        let all = HostSet::first(self.hosts.len());
        let alone = |host| (HostSet::default().with(host), all.without(HostSet::default().with(host)));
        let pair = |one, other| (HostSet::default().with(one), HostSet::default().with(other));
        let shape = self.draw.number(0..100);
        let (one, other) = match shape {
            0..25 => alone(leader),
            25..40 => alone(manager),
            40..50 => alone(anybody),
            50..65 => pair(leader, manager),
            65..75 => pair(leader, anybody),
            _ => {
                let half: HostSet = (0..self.hosts.len()).map(HostId).filter(|_| self.draw.happens(500)).collect();
                (half, all.without(half))
            }
        };
        let directions = self.draw.number(0..100);
        self.trace.note(self.queue.now(), "cut", shape, || format!("{one:?} {other:?} {directions}"));
        let heals = if self.draw.happens(700) { self.draw.millis(50..3_000) } else { self.draw.millis(3_000..9_000) };
        for (from, to, passes) in [(one, other, 70..85), (other, one, 85..100)] {
            if !passes.contains(&directions) {
                self.climate.tally.cuts += 1;
                let cut = self.network.cut(Cut { from, to });
                self.queue.plan(heals, Event::Heal { cut });
            }
        }
    }

    pub(super) fn heal(&mut self, cut: u64) {
        self.network.heal(cut);
        self.resume_streams();
    }

    /// Some containers end by themselves.
    fn containers_die(&mut self) {
        for _ in 0..self.draw.number(1..6) {
            let host = HostId(self.draw.place(self.hosts.len()));
            let running: Vec<_> = self.hosts[host.0].kernel.running().collect();
            let Some(task) = self.draw.one_of(&running).copied() else { continue };
            let start = self.hosts[host.0].kernel.containers.get(&task).map_or(0, |container| container.start);
            let code = [0, 1, 137][self.draw.place(3)];
            self.container_ends(host, task, start, code);
        }
    }

    /// No faults from now on: all hosts are up, all messages pass, all disks are fast.
    pub(super) fn calm(&mut self) {
        self.network.calm();
        self.climate.become_calm();
        for host in 0..self.hosts.len() {
            self.boot(HostId(host));
        }
        self.resume_streams();
        for client in &mut self.clients {
            client.resting = true;
        }
        self.settle();
    }

    /// The manager that leads, as it knows itself.
    pub(super) fn leader(&self) -> Option<HostId> {
        self.hosts.iter().find(|host| host.manager.as_ref().is_some_and(|it| it.leads())).map(|host| host.id)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} calls of planes, {} leaders, {} crashes ({} at an output), {} cuts, {} failures, {} snapshots, {} sessions \
             ({} unknown), {} demotions, {} requests for {} operations ({} unanswered)",
            self.handled,
            self.leaders,
            self.crashes,
            self.crashes_at_output,
            self.cuts,
            self.failures,
            self.snapshots,
            self.sessions,
            self.unknown_sessions,
            self.demotions,
            self.requests,
            self.operations,
            self.timeouts,
        )
    }
}
