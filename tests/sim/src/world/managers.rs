//! Managers' processes: feeds planes, performs their outputs in order, one event each, and keeps their disks.

use std::time::Duration;

use bytes::Bytes;
use shoal_manager_core::{
    Change, ChangeSet, ControlPlane, Input, Leadership, Member, Output, Persist, PlaneConfig, SnapshotOutcome,
};

use super::World;
use crate::event::{Daemon, Event};
use crate::host::{ManagerProcess, host_at};
use crate::limits::MANAGER_QUEUE;
use crate::network::HostId;
use crate::trace::Digest;

impl World {
    /// Starts a manager's process on what its disk holds.
    pub(super) fn start_manager(&mut self, host: HostId) {
        let seed = [self.draw.bits(), self.draw.bits(), self.draw.bits(), self.draw.bits()];
        let of = &mut self.hosts[host.0];
        let Some(raft_id) = of.raft_id else { return };
        let config = PlaneConfig::new(raft_id, of.node, seed);
        let tick = config.tick;
        let plane = match ControlPlane::new(config, of.disk.contents()) {
            Ok(plane) => plane,
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                self.checks.violate("what was written can be taken up again", format!("{host:?}: {error}: {source}"));
                return;
            }
        };
        self.checks.restarted(host, plane.tables());
        of.manager = Some(ManagerProcess::new(plane, self.eager));
        let first = self.draw.micros(0..50_000).min(tick);
        self.trace.note(self.queue.now(), "manager", host.0 as u64, || format!("{host:?} starts as {raft_id:x}"));
        self.plan(first, host, Daemon::Tick);
    }

    /// Gives a plane an input. It takes it soon.
    pub(super) fn feed(&mut self, host: HostId, input: Input) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        if matches!(input, Input::Tick) && process.inbox.contains(&Input::Tick) {
            // Ticks do not pile up behind a slow disk.
            return;
        }
        process.inbox.push(input);
        if process.inbox.len() + process.outputs.len() > MANAGER_QUEUE {
            let text = format!("{host:?}: {} inputs, {} outputs", process.inbox.len(), process.outputs.len());
            self.checks.violate("a manager's queues are bounded", text);
        }
        self.rouse(host);
    }

    fn rouse(&mut self, host: HostId) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        let free = process.eager || !process.performing;
        if free && !process.woken && !process.inbox.is_empty() {
            process.woken = true;
            let soon = self.draw.micros(1..50);
            self.plan(soon, host, Daemon::Wake);
        }
    }

    pub(super) fn tick(&mut self, host: HostId) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        let tick = process.plane.config().tick;
        let unreachable = std::mem::take(&mut process.unreachable);
        for raft_id in unreachable {
            self.feed(host, Input::PeerUnreachable { raft_id });
        }
        self.feed(host, Input::Tick);
        self.plan(tick, host, Daemon::Tick);
    }

    pub(super) fn wake(&mut self, host: HostId) {
        let of = &mut self.hosts[host.0];
        let now = of.clock(self.queue.now());
        let Some(process) = &mut of.manager else { return };
        process.woken = false;
        let inputs = std::mem::take(&mut process.inbox);
        let count = inputs.len() as u64;
        if self.trace.prints() {
            for input in inputs.iter().filter(|input| !matches!(input, Input::Tick | Input::RaftMessage { .. })) {
                self.trace.note(self.queue.now(), "input", count, || format!("{host:?} {}", crate::text::input(input)));
            }
        }
        let outputs = process.plane.handle_all(now, inputs);
        self.climate.tally.handled += 1;
        self.trace.note(self.queue.now(), "handle", count << 32 | outputs.len() as u64, || format!("{host:?}"));
        for output in &outputs {
            self.checks.output(host, process.plane.config().raft_id, output);
        }
        process.outputs.extend(outputs);
        if !process.performing && !process.outputs.is_empty() {
            process.performing = true;
            self.plan(Duration::from_micros(2), host, Daemon::Perform);
        }
        if self.hosts[host.0].manager.as_ref().is_some_and(|process| !process.performing) {
            self.round_ends(host);
        }
    }

    /// Performs the next output; a crash may come in its place.
    pub(super) fn perform(&mut self, host: HostId) {
        if self.climate.crash_at_output > 0 && self.draw.number(0..100_000) < self.climate.crash_at_output {
            self.climate.tally.crashes_at_output += 1;
            return self.crash(host);
        }
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        let Some(output) = process.outputs.pop_front() else { return };
        self.note_output(host, &output);
        let pause = match output {
            Output::Persist(persist) => return self.persist(host, persist),
            output => self.effect(host, output),
        };
        self.go_on(host, pause);
    }

    fn go_on(&mut self, host: HostId, pause: Duration) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        process.performing = !process.outputs.is_empty();
        if process.performing {
            self.plan(pause, host, Daemon::Perform);
        } else {
            self.round_ends(host);
        }
    }

    /// All outputs so far are performed.
    fn round_ends(&mut self, host: HostId) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        if process.was_member && !process.is_manager() {
            return self.demoted(host);
        }
        if std::mem::take(&mut process.news) {
            self.tell_news(host);
        }
        self.rouse(host);
    }

    fn persist(&mut self, host: HostId, persist: Persist) {
        let number = persist.number;
        let of = &mut self.hosts[host.0];
        match of.disk.begin(persist) {
            Ok(true) => {
                if let Some(process) = &mut of.manager {
                    process.syncing = Some(number);
                }
                let latency = self.climate.sync_latency(host, &mut self.draw);
                self.plan(latency, host, Daemon::Synced);
            }
            Ok(false) => {
                self.feed(host, Input::Persisted { number });
                self.go_on(host, Duration::from_micros(2));
            }
            Err(misuse) => self.checks.violate("the log is written in order", format!("{host:?}: {}", misuse.0)),
        }
    }

    pub(super) fn synced(&mut self, host: HostId) {
        let of = &mut self.hosts[host.0];
        of.disk.synced();
        if let Some(number) = of.manager.as_mut().and_then(|process| process.syncing.take()) {
            self.feed(host, Input::Persisted { number });
            self.go_on(host, Duration::from_micros(2));
        }
    }

    /// Does what an output says; how long that takes.
    fn effect(&mut self, host: HostId, output: Output) -> Duration {
        let mut pause = Duration::from_micros(2);
        let disk = &mut self.hosts[host.0].disk;
        match output {
            Output::Persist(_) => {}
            Output::SaveSnapshot(snapshot) => {
                self.climate.tally.snapshots += 1;
                let saved = disk.save_snapshot(snapshot);
                self.disk_used(host, saved);
                pause = self.climate.sync_latency(host, &mut self.draw);
            }
            Output::Compact { through } => {
                let compacted = disk.compact(through, &mut self.draw);
                self.disk_used(host, compacted);
            }
            Output::Send { to, message, snapshot } => self.send(host, to, message, snapshot),
            Output::Reply { id, outcome, index } => self.reply(host, id, outcome, index),
            Output::Assign { node, session, diff } => self.assign(host, node, session, diff),
            Output::CloseSession { session, reason, .. } => self.close_session(host, session, reason),
            Output::Leadership(leadership) => self.lead(host, leadership),
            Output::Members(members) => {
                if let Some(process) = &mut self.hosts[host.0].manager {
                    process.set_members(members);
                }
            }
            Output::Changed(changes) => self.note_changes(host, &changes),
        }
        pause
    }

    fn disk_used(&mut self, host: HostId, outcome: Result<(), crate::host::DiskMisuse>) {
        if let Err(misuse) = outcome {
            self.checks.violate("the log is compacted behind its snapshot", format!("{host:?}: {}", misuse.0));
        }
    }

    fn lead(&mut self, host: HostId, leadership: Leadership) {
        if leadership == Leadership::Leader {
            self.climate.tally.leaders += 1;
        }
        if let Some(process) = &mut self.hosts[host.0].manager {
            process.leadership = leadership;
            process.news = true;
        }
    }

    fn note_changes(&mut self, host: HostId, changes: &ChangeSet) {
        let concerns_workers = |change: &Change| matches!(change, Change::Cluster(_) | Change::Node(_));
        if let Some(process) = &mut self.hosts[host.0].manager {
            process.news |= changes.resynced || changes.changes.iter().any(concerns_workers);
        }
    }

    fn send(&mut self, host: HostId, raft_id: u64, message: Bytes, snapshot: Option<Bytes>) {
        let Some(process) = &mut self.hosts[host.0].manager else { return };
        let to = process.address_of(raft_id).and_then(host_at);
        let reachable = to.is_some_and(|to| self.network.passes(host, to) && self.hosts[to.0].manager.is_some());
        if !reachable && let Some(process) = &mut self.hosts[host.0].manager {
            process.unreachable.insert(raft_id);
        }
        let arrivals = match to {
            Some(to) => self.network.carry(&mut self.draw, host, to),
            None => Vec::new(),
        };
        if snapshot.is_some() {
            let delivered = !arrivals.is_empty();
            let outcome = if delivered { SnapshotOutcome::Delivered } else { SnapshotOutcome::Failed };
            let told = arrivals.iter().max().copied().unwrap_or_default() + self.draw.micros(100..300_000);
            self.plan(told, host, Daemon::SnapshotSent { raft_id, outcome });
        }
        for after in arrivals {
            if let Some(to) = to {
                let (message, snapshot) = (message.clone(), snapshot.clone());
                self.queue.plan(after, Event::Message { from: host, to, message, snapshot });
            }
        }
    }

    pub(super) fn message_arrives(&mut self, (from, to): (HostId, HostId), message: Bytes, snapshot: Option<Bytes>) {
        let sender = &self.hosts[from.0];
        let sender = sender.raft_id.map(|raft_id| Member { raft_id, node: sender.node, address: sender.address() });
        if self.hosts[to.0].up {
            if let (Some(process), Some(sender)) = (&mut self.hosts[to.0].manager, sender) {
                process.learn(sender);
            }
            self.feed(to, Input::RaftMessage { message, snapshot });
        }
    }

    fn note_output(&mut self, host: HostId, output: &Output) {
        let mut digest = Digest::new();
        digest.word(host.0 as u64);
        match output {
            Output::Send { to, message, snapshot } => {
                digest.word(*to);
                digest.bytes(message);
                digest.bytes(snapshot.as_deref().unwrap_or_default());
            }
            Output::Persist(persist) => {
                digest.word(persist.number);
                persist.entries.iter().for_each(|entry| digest.bytes(&entry.bytes));
                digest.bytes(persist.hard_state.as_deref().unwrap_or_default());
            }
            Output::SaveSnapshot(snapshot) => digest.bytes(&snapshot.bytes),
            Output::Changed(changes) => digest.word(changes.index),
            _ => {}
        }
        self.trace
            .note(self.queue.now(), "output", digest.value(), || format!("{host:?} {}", crate::text::output(output)));
    }
}
