//! Who answered of late: counts beats without an answer, as a function of what was sent and what came back.
//!
//! A host is silent once several beats in a row went unanswered, counted beyond the time that its answers usually take;
//! one answer ends that. A beat that comes late says that this host itself was held up, and counts against nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use shoal_proto::model::NodeId;

use super::frame::{Frame, FrameKind};
use crate::limits::{PROBE_LATENESS_MAX, PROBES_MISSED};
use crate::network::MacAddress;

/// The hosts that are probed.
#[derive(Debug)]
pub(super) struct Pulse {
    token: u64,
    sequence: u64,
    beat_at: Option<Instant>,
    hosts: BTreeMap<NodeId, Host>,
}

#[derive(Debug)]
struct Host {
    mac: MacAddress,
    /// Beats since its last answer.
    missed: u64,
    /// The beat that it answered last.
    answered: u64,
    /// Beats that its answers take.
    delay: u64,
}

impl Pulse {
    /// Nobody is probed yet. The token tells this prober's frames from others'.
    pub(super) fn new(token: u64) -> Self {
        Self { token, sequence: 0, beat_at: None, hosts: BTreeMap::new() }
    }

    /// Probes these hosts; what is known of those that stay is kept.
    pub(super) fn set_hosts(&mut self, hosts: Vec<(NodeId, MacAddress)>) {
        let mut before = std::mem::take(&mut self.hosts);
        for (node, mac) in hosts {
            let known = before.remove(&node).filter(|host| host.mac == mac);
            let fresh = || Host { mac, missed: 0, answered: self.sequence, delay: 0 };
            self.hosts.insert(node, known.unwrap_or_else(fresh));
        }
    }

    /// Whether nobody is probed.
    pub(super) fn is_idle(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The next beat: what is to be sent to whom.
    pub(super) fn beat(&mut self, now: Instant) -> Vec<(MacAddress, Frame)> {
        let held_up = self.beat_at.is_some_and(|before| now.duration_since(before) > PROBE_LATENESS_MAX);
        self.beat_at = Some(now);
        self.sequence += 1;
        let frame = Frame { kind: FrameKind::Ask, token: self.token, sequence: self.sequence };
        for host in self.hosts.values_mut() {
            host.missed += u64::from(!held_up);
        }
        self.hosts.values().map(|host| (host.mac, frame)).collect()
    }

    /// A host's answer has come.
    pub(super) fn answered(&mut self, from: MacAddress, frame: &Frame) {
        let asked = frame.token == self.token && frame.sequence <= self.sequence;
        let host = self.hosts.values_mut().find(|host| host.mac == from);
        if let Some(host) = host.filter(|host| asked && frame.sequence > host.answered) {
            host.answered = frame.sequence;
            host.delay = (self.sequence - frame.sequence).min(PROBES_MISSED);
            host.missed = 0;
        }
    }

    /// Those that do not answer.
    pub(super) fn silent(&self) -> BTreeSet<NodeId> {
        let silent = |host: &Host| host.missed > PROBES_MISSED + host.delay;
        self.hosts.iter().filter(|(_, host)| silent(host)).map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PROBE_PERIOD;
    use shoal_proto::model::Id;

    const MAC: MacAddress = MacAddress([2, 66, 10, 0, 0, 2]);

    struct Stage {
        pulse: Pulse,
        now: Instant,
        asked: Option<Frame>,
    }

    impl Stage {
        fn new() -> Self {
            let mut pulse = Pulse::new(7);
            pulse.set_hosts(vec![(NodeId::from_random(2), MAC)]);
            Self { pulse, now: Instant::now(), asked: None }
        }

        /// A beat; says whether the host is silent after it.
        fn beat(&mut self, answers: bool) -> bool {
            self.now += PROBE_PERIOD;
            self.asked = self.pulse.beat(self.now).first().map(|(_, frame)| *frame);
            if answers {
                self.answer(self.asked);
            }
            !self.pulse.silent().is_empty()
        }

        fn answer(&mut self, asked: Option<Frame>) {
            let frame = Frame { kind: FrameKind::Answer, ..asked.unwrap() };
            self.pulse.answered(MAC, &frame);
        }
    }

    #[test]
    fn silence_is_noticed_and_ended_by_one_answer() {
        let mut stage = Stage::new();
        assert!(!stage.beat(true));
        let silent_after = (1..20).find(|_| stage.beat(false)).unwrap();
        assert_eq!(silent_after, PROBES_MISSED + 1);
        assert!(!stage.beat(true));
    }

    #[test]
    fn a_host_that_was_held_up_blames_nobody() {
        let mut stage = Stage::new();
        assert!(!stage.beat(true));
        for _ in 0..20 {
            stage.now += PROBE_LATENESS_MAX;
            assert!(!stage.beat(false));
        }
    }

    #[test]
    fn long_ways_are_allowed_for() {
        let mut stage = Stage::new();
        let mut under_way = Vec::new();
        for beat in 0..40 {
            stage.beat(false);
            under_way.push(stage.asked);
            if beat >= 3 {
                let asked = under_way.remove(0);
                stage.answer(asked);
            }
            assert!(stage.pulse.silent().is_empty(), "beat {beat}");
        }
    }

    #[test]
    fn old_and_foreign_answers_count_for_nothing() {
        let mut stage = Stage::new();
        stage.beat(true);
        let old = stage.asked.unwrap();
        for _ in 0..10 {
            stage.beat(false);
            stage.answer(Some(old));
            stage.answer(Some(Frame { token: 8, ..stage.asked.unwrap() }));
            stage.answer(Some(Frame { sequence: 1000, ..old }));
        }
        assert!(!stage.pulse.silent().is_empty());
    }
}
