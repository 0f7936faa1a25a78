//! The world: owns hosts, streams, clients, the network and the clock, and makes them happen, one event a step.
//!
//! Its parts are in files of their own: [`managers`] runs planes, [`agents`] and [`executors`] run workers, [`streams`]
//! carries frames between them, [`doors`] carries questions to the leader, [`nodes`] has hosts admitted and follow their
//! roles, [`clients`] makes requests, [`faults`] breaks things, [`ending`] looks whether all is as wished.

mod agents;
mod clients;
mod doors;
mod ending;
mod executors;
mod faults;
mod managers;
mod nodes;
mod streams;

use std::collections::BTreeMap;

use shoal_manager_core::SessionId;
use shoal_proto::model::{Id, NodeId, Timestamp};

use crate::check::{Checks, Violation};
use crate::client::Client;
use crate::draw::Draw;
use crate::event::{Daemon, Event};
use crate::host::Host;
use crate::limits::{CLIENTS, EVENTS, HOSTS, STEPS};
use crate::network::{HostId, Network};
use crate::queue::Queue;
use crate::stream::Stream;
use crate::trace::Trace;
use ending::Phase;
use faults::Climate;

/// What a world is made of.
#[derive(Debug, Clone, Copy)]
pub struct WorldConfig {
    /// Everything else follows from it.
    pub seed: u64,
    /// What happens to it.
    pub mood: Mood,
    /// Whether events are printed.
    pub trace: bool,
}

/// What happens to a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Clients make their changes, and nothing fails.
    Quiet,
    /// Everything fails for a while.
    Rough,
}

/// A swarm and its surroundings.
#[derive(Debug)]
pub struct World {
    queue: Queue<Event>,
    draw: Draw,
    network: Network,
    climate: Climate,
    hosts: Vec<Host>,
    streams: BTreeMap<SessionId, Stream>,
    clients: Vec<Client>,
    checks: Checks,
    phase: Phase,
    trace: Trace,
    steps: u64,
    mood: Mood,
    /// Managers take inputs while they perform outputs.
    eager: bool,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepReport {
    /// Something happened.
    Progress,
    /// All is as wished, and stays so: the world is over.
    Settled,
    /// Something happened that must not.
    Violated(Violation),
}

impl World {
    /// Hosts without a swarm; the first one is about to make it.
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        let mut draw = Draw::new(config.seed);
        let skewed = draw.happens(500);
        let host = |number| {
            let node = NodeId::from_random(draw.wide_bits());
            let offset = if skewed { draw.number(0..1_000_000_000) } else { 0 };
            Host::new(HostId(number), node, i64::try_from(offset).unwrap_or(0))
        };
        let hosts = (0..HOSTS).map(host).collect();
        let eager = draw.happens(250);
        let mut world = Self {
            queue: Queue::new(Timestamp(1_000_000_000)),
            climate: Climate::calm(),
            network: Network::new(),
            hosts,
            streams: BTreeMap::new(),
            clients: (0..CLIENTS).map(|number| Client::new(number, draw.fork())).collect(),
            checks: Checks::new(),
            phase: Phase::Forming { by: Timestamp(0) },
            trace: Trace::new(config.trace),
            steps: 0,
            mood: config.mood,
            eager,
            draw,
        };
        world.form();
        world
    }

    /// Makes the next event happen.
    pub fn step(&mut self) -> StepReport {
        self.steps += 1;
        if let Some(event) = self.queue.take() {
            self.happen(event);
        }
        if self.steps > STEPS || self.queue.len() > EVENTS || self.queue.is_empty() {
            let text = format!("{} steps, {} events planned", self.steps, self.queue.len());
            self.checks.violate("work is bounded", text);
        }
        match self.checks.violation() {
            Some(violation) => StepReport::Violated(violation.clone()),
            None if self.phase == Phase::Settled => StepReport::Settled,
            None => StepReport::Progress,
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first violation.
    pub fn run(&mut self) -> Result<(), Violation> {
        loop {
            match self.step() {
                StepReport::Progress => {}
                StepReport::Settled => return Ok(()),
                StepReport::Violated(violation) => return Err(violation),
            }
        }
    }

    /// The world's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.queue.now()
    }

    /// Events so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// A digest of all that happened.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.trace.value()
    }

    /// What the run did, in numbers, for people.
    #[must_use]
    pub fn tally(&self) -> String {
        self.climate.tally.to_string()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Daemon { host, generation, what } => {
                let of = &self.hosts[host.0];
                if of.up && of.generation == generation {
                    self.happen_to(host, what);
                }
            }
            Event::Message { from, to, message, snapshot } => self.message_arrives((from, to), message, snapshot),
            Event::Opening { agent, generation, attempt, manager } => {
                self.opening_arrives(agent, generation, attempt, manager);
            }
            Event::Frames { session, direction } => self.frames_arrive(session, direction),
            Event::KeepAlive { session } => self.keep_alive(session),
            Event::Ends { host, task, start, code } => self.container_ends(host, task, start, code),
            Event::Asked { at, question } => self.asked(at, *question),
            Event::Answered { asker, outcome } => self.answered(asker, outcome),
            Event::Client { client, attempt } => self.client_goes_on(client, attempt),
            Event::Boot { host } => self.boot(host),
            Event::Fault => self.fault(),
            Event::Heal { cut } => self.heal(cut),
            Event::Calm => self.calm(),
            Event::Look => self.look(),
        }
    }

    fn happen_to(&mut self, host: HostId, what: Daemon) {
        match what {
            Daemon::Tick => self.tick(host),
            Daemon::Wake => self.wake(host),
            Daemon::Perform => self.perform(host),
            Daemon::Synced => self.synced(host),
            Daemon::SnapshotSent { raft_id, outcome } => {
                self.feed(host, shoal_manager_core::Input::SnapshotSent { raft_id, outcome });
            }
            Daemon::Adopt => self.adopt(host),
            Daemon::Saved => self.saved(host),
            Daemon::Done { operation } => self.operation_done(host, operation),
            Daemon::Timer { at } => self.agent_timer(host, at),
            Daemon::Seek { attempt } => self.seek(host, attempt),
            Daemon::SeekFailed { attempt } => self.seek_failed(host, attempt),
            Daemon::Redirected { attempt, leader } => self.redirected(host, attempt, leader),
            Daemon::Beat { session } => self.beat(host, session),
            Daemon::Silence { session } => self.silence(host, session),
            Daemon::Node => self.node_turn(host),
        }
    }

    /// Plans something for a daemon, in its present life.
    fn plan(&mut self, after: std::time::Duration, host: HostId, what: Daemon) {
        let generation = self.hosts[host.0].generation;
        self.queue.plan(after, Event::Daemon { host, generation, what });
    }
}
