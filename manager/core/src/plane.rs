//! The control plane: routes inputs to the parts, and collects what they want done.
//!
//! Owns the replica, the committed tables and their history, and, while it leads, a [`Reign`]. After the inputs of a call
//! it settles: decisions are proposed, what is committed is applied, until nothing is left to do now.

mod bootstrap;
mod route;

use std::collections::BTreeMap;

use bytes::Bytes;
use shoal_proto::model::{NodeId, Revision, Timestamp};

use crate::deciders::membership::{MemberHealth, MembersView};
use crate::leader::{Accession, Reign};
use crate::limits::REACHABLE_ELECTIONS;
use crate::random::Random;
use crate::replica::{Committed, Effect, Replica, Role, Start};
use crate::store::{History, Image, Tables};
use crate::{
    Change, ChangeSet, Difference, Input, Leadership, Member, Output, PlaneConfig, RestoreError, Restored, SessionView,
};

/// All that one manager decides.
#[derive(Debug)]
pub struct ControlPlane {
    config: PlaneConfig,
    random: Random,
    now: Timestamp,
    replica: Replica,
    tables: Tables,
    history: History,
    reign: Option<Reign>,
    /// When each other member was last heard.
    heard: BTreeMap<u64, Timestamp>,
    told_leadership: Option<Leadership>,
    told_members: Vec<Member>,
    outputs: Vec<Output>,
}

impl ControlPlane {
    /// Takes up what the log held; nothing: a plane that waits for [`Input::Bootstrap`], or for the leader of the swarm
    /// that it has joined.
    ///
    /// # Errors
    /// [`RestoreError`] when the log does not hold what a plane wrote.
    pub fn new(config: PlaneConfig, restored: Restored) -> Result<Self, RestoreError> {
        let mut random = Random::new(config.seed);
        let Start { replica, image } = Replica::restore(&config, restored, random.fork())?;
        let tables = image.into_tables();
        Ok(Self {
            config,
            random,
            now: Timestamp::default(),
            replica,
            history: History::since(tables.index()),
            tables,
            reign: None,
            heard: BTreeMap::new(),
            told_leadership: None,
            told_members: Vec::new(),
            outputs: Vec::new(),
        })
    }

    /// Takes one input, at `now`, and says what is to be done, in order.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        self.handle_all(now, [input])
    }

    /// Takes several inputs at once: cheaper than one by one, because decisions, writes and sends are made once for all.
    pub fn handle_all(&mut self, now: Timestamp, inputs: impl IntoIterator<Item = Input>) -> Vec<Output> {
        // A clock that was set back must not undo what time has done.
        self.now = self.now.max(now);
        if let Some(reign) = &mut self.reign {
            reign.set_now(self.now);
        }
        for input in inputs {
            self.take(input);
        }
        self.settle();
        std::mem::take(&mut self.outputs)
    }

    /// The committed state.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The changes after a log index, in order; `None` when some of them are forgotten: read the tables anew.
    #[must_use]
    pub fn changes_after(&self, index: u64) -> Option<Vec<ChangeSet>> {
        self.history.after(index)
    }

    /// The members that vote, in order: the others still catch up. As this member knows it.
    #[must_use]
    pub fn voters(&self) -> Vec<u64> {
        self.replica.voters()
    }

    /// What this plane was started with.
    #[must_use]
    pub fn config(&self) -> &PlaneConfig {
        &self.config
    }

    /// Whether this plane leads and takes requests and sessions.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.reign.is_some()
    }

    /// The term in which it leads, or believes to.
    #[must_use]
    pub fn leads_in(&self) -> Option<u64> {
        self.reign.as_ref().map(Reign::term)
    }

    /// The sessions of workers, when this plane leads.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> {
        self.reign.iter().flat_map(|reign| reign.dispatcher_ref().views())
    }

    /// The set that a worker's kernel shows, as it said last to this leader.
    #[must_use]
    pub fn applied_revision(&self, node: NodeId) -> Option<Revision> {
        self.sessions().find(|view| view.node == node).map(|view| view.applied)
    }

    fn settle(&mut self) {
        loop {
            let effects = self.replica.drain();
            let idle = effects.is_empty();
            effects.into_iter().for_each(|effect| self.perform(effect));
            self.follow_role();
            let members = self.members();
            let Some(reign) = &mut self.reign else {
                if idle {
                    break;
                }
                continue;
            };
            let next = self.replica.next_index();
            match reign.decide(&mut self.replica, &members) {
                Ok(outputs) => self.outputs.extend(outputs),
                Err(_) => {
                    self.abdicate();
                    // Whatever the reason was, the next input finds it changed or comes here again.
                    let effects = self.replica.drain();
                    effects.into_iter().for_each(|effect| self.perform(effect));
                    break;
                }
            }
            if idle && self.replica.next_index() == next {
                break;
            }
        }
        if let Some(reign) = &mut self.reign {
            self.outputs.extend(reign.answers(&self.tables));
            self.outputs.extend(reign.dispatcher().flush(&self.tables));
            self.outputs.extend(reign.barriers(&self.tables));
            self.outputs.extend(reign.verifications(&self.tables));
        }
        self.snapshot_if_due();
        self.tell();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Output(output) => self.outputs.push(output),
            Effect::Install { index, image } => self.install(index, &image),
            Effect::Committed(entry) => self.commit(&entry),
            Effect::ImageWanted => {
                if let Some(image) = self.image() {
                    self.replica.offer_image(image);
                }
            }
        }
    }

    fn commit(&mut self, entry: &Committed) {
        let index = entry.index;
        let drafted = self.reign.as_mut().and_then(|reign| reign.committed(index, entry.term));
        let changes = match (drafted, entry.decode()) {
            (Some(changes), _) => {
                self.tables.install(index, &changes);
                changes
            }
            (None, Some(command)) => self.tables.apply(index, command),
            (None, None) => {
                self.tables.advance(index);
                Vec::new()
            }
        };
        if let Some(reign) = &mut self.reign {
            let ended = changes.iter().filter_map(|change| reign.dispatcher().follow(change, &self.tables));
            self.outputs.extend(ended);
            self.outputs.extend(reign.answers(&self.tables));
        }
        if !changes.is_empty() {
            self.publish(ChangeSet { index, resynced: false, changes });
        }
    }

    /// A snapshot has taken the log's place.
    fn install(&mut self, index: u64, image: &Bytes) {
        // It was read once already before the consensus took it: see `Replica::step`.
        let Ok(image) = Image::decode(image) else { return };
        self.tables = image.into_tables();
        self.tables.advance(index);
        self.publish(resynced(&self.tables));
    }

    fn publish(&mut self, set: ChangeSet) {
        self.history.push(set.clone());
        self.outputs.push(Output::Changed(set));
    }

    /// Begins or ends the reign as the consensus says.
    fn follow_role(&mut self) {
        let leads = match self.replica.role() {
            Role::Leader { term } if self.replica.accepts() => Some(term),
            _ => None,
        };
        if self.reign.as_ref().map(Reign::term) == leads {
            return;
        }
        self.abdicate();
        if let Some(term) = leads {
            let random = self.random.fork();
            let accession = Accession { term, tables: &self.tables, replica: &self.replica, random, now: self.now };
            self.reign = Some(Reign::begin(accession));
        }
    }

    fn abdicate(&mut self) {
        if let Some(reign) = self.reign.take() {
            self.outputs.extend(reign.end());
        }
    }

    /// Tells who leads and who the managers are, when that is news.
    fn tell(&mut self) {
        let members = self.tables.members();
        if members != self.told_members {
            self.told_members.clone_from(&members);
            self.outputs.push(Output::Members(members));
        }
        let leadership = match (&self.reign, self.replica.role()) {
            (Some(_), _) => Leadership::Leader,
            (None, Role::Follower { leader }) => {
                let member = self.told_members.iter().find(|member| member.raft_id == leader);
                Leadership::Follower { leader: member.filter(|member| member.raft_id != self.config.raft_id).cloned() }
            }
            (None, Role::Leader { .. }) => Leadership::Follower { leader: None },
        };
        if self.told_leadership.as_ref() != Some(&leadership) {
            self.told_leadership = Some(leadership.clone());
            self.outputs.push(Output::Leadership(leadership));
        }
    }

    fn snapshot_if_due(&mut self) {
        let settings = self.tables.cluster().map(|cluster| cluster.spec.raft.clone()).unwrap_or_default();
        let interval = match settings.snapshot_interval {
            0 => shoal_proto::model::RaftConfig::default().snapshot_interval,
            interval => interval,
        };
        let keep = settings.log_entries_for_slow_followers;
        if !self.replica.is_snapshot_due(interval, keep) {
            return;
        }
        if let Some(image) = self.image() {
            self.outputs.extend(self.replica.snapshot_taken(image, keep));
        }
    }

    fn image(&self) -> Option<Bytes> {
        let image = Image::of(&self.tables, self.replica.voters(), self.replica.learners());
        // Every value in the tables was decoded from the same encoding, or is about to be.
        image.encode().ok().map(Bytes::from)
    }

    /// What this plane, leading, knows of the members.
    fn members(&self) -> MembersView {
        if self.reign.is_none() {
            return MembersView::default();
        }
        let patience =
            self.config.tick * u32::try_from(self.config.election_ticks).unwrap_or(u32::MAX) * REACHABLE_ELECTIONS;
        let health = |id: &u64| {
            let heard = self.heard.get(id).is_some_and(|at| self.now.since(*at) < patience);
            let reachable = *id == self.config.raft_id || heard;
            (*id, MemberHealth { reachable, lag: self.replica.lag(*id).unwrap_or(u64::MAX) })
        };
        MembersView {
            own: self.config.raft_id,
            voters: self.replica.voters().iter().map(health).collect(),
            learners: self.replica.learners().iter().map(health).collect(),
        }
    }
}

/// All that there is, as creations.
fn resynced(tables: &Tables) -> ChangeSet {
    fn made<T>(object: &std::sync::Arc<T>) -> Difference<T> {
        Difference { before: None, after: Some(object.clone()) }
    }
    let changes = tables.cluster().map(|it| Change::Cluster(made(it))).into_iter();
    let changes = changes.chain(tables.networks().map(|it| Change::Network(made(it))));
    let changes = changes.chain(tables.nodes().map(|it| Change::Node(made(it))));
    let changes = changes.chain(tables.payloads().map(|it| Change::Payload(made(it))));
    let changes = changes.chain(tables.services().map(|it| Change::Service(made(it))));
    let changes = changes.chain(tables.tasks().map(|it| Change::Task(made(it))));
    ChangeSet { index: tables.index(), resynced: true, changes: changes.collect() }
}
