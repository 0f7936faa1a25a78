//! The phases of a world: the swarm forms, things break, things settle, and all stays as it is.

use shoal_proto::model::Timestamp;

use super::{Mood, World};
use crate::check::ending::Swarm;
use crate::event::Event;
use crate::limits::{CHAOS_MILLIS, CONVERGENCE_MAX, LOOK_PERIOD, STEADY, STEADY_ENTRIES};

/// How far a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Hosts join; nothing fails.
    Forming { by: Timestamp },
    /// Clients change things, and everything fails.
    Chaos,
    /// Nothing fails any more.
    Settling { by: Timestamp },
    /// All is as wished; it should stay so.
    Steady { since: Timestamp, index: u64, by: Timestamp },
    /// It did.
    Settled,
}

impl Phase {
    pub(super) fn is_chaos(self) -> bool {
        self == Self::Chaos
    }
}

impl World {
    /// Somebody looks whether all is as wished.
    pub(super) fn look(&mut self) {
        self.queue.plan(LOOK_PERIOD, Event::Look);
        let now = self.queue.now();
        match self.phase {
            Phase::Forming { by } => match self.swarm().lacks_members() {
                None => self.begin_chaos(),
                Some(lack) if now > by => self.checks.violate("a swarm forms", lack),
                Some(_) => {}
            },
            Phase::Chaos | Phase::Settled => {}
            Phase::Settling { by } => match self.lack() {
                None => {
                    let index = self.checks.history.index();
                    self.phase = Phase::Steady { since: now, index, by };
                }
                Some(lack) if now > by => self.checks.violate("the swarm becomes as wished", lack),
                Some(_) => {}
            },
            Phase::Steady { since, index, by } => {
                if let Some(lack) = self.lack() {
                    self.trace.note(now, "unsteady", 0, || lack);
                    self.phase = Phase::Settling { by };
                } else if now >= since + STEADY {
                    self.phase = Phase::Settled;
                    let grown = self.checks.history.index() - index;
                    if grown > STEADY_ENTRIES {
                        let found = format!("{grown} entries while nothing was to be done");
                        self.checks.violate("a steady swarm writes nothing", found);
                    }
                }
            }
        }
    }

    /// Faults have stopped.
    pub(super) fn settle(&mut self) {
        self.phase = Phase::Settling { by: self.queue.now() + CONVERGENCE_MAX };
    }

    fn begin_chaos(&mut self) {
        self.phase = Phase::Chaos;
        self.start_clients();
        if self.mood == Mood::Rough {
            self.start_faults();
        }
        let calm = self.draw.millis(CHAOS_MILLIS);
        self.queue.plan(calm, Event::Calm);
    }

    fn lack(&self) -> Option<String> {
        let busy = self.clients.iter().find(|client| !client.is_idle());
        if let Some(client) = busy {
            return Some(format!("client {} still works on {:?}", client.number, client.work()));
        }
        self.swarm().lack()
    }

    fn swarm(&self) -> Swarm<'_> {
        Swarm { history: &self.checks.history, hosts: &self.hosts, streams: &self.streams }
    }
}
