//! One member of the consensus.

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{
    ConfChange, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot,
};
use raft::{Config, RawNode, Ready, SnapshotStatus, StateRole};

use super::effect::{Committed, Effect};
use super::guard;
use super::log::MemoryLog;
use super::timeout::ElectionTimeout;
use crate::limits::{APPEND_BYTES, APPENDS_IN_FLIGHT, LOG_BYTES, MESSAGE_BYTES, SNAPSHOT_KEPT_TICKS};
use crate::random::Random;
use crate::store::Image;
use crate::{LogEntry, Output, Persist, PlaneConfig, RestoreError, Restored, SnapshotOutcome, SnapshotRecord};

/// A member: its raft and its log.
pub(crate) struct Replica {
    node: RawNode<MemoryLog>,
    timeout: ElectionTimeout,
    applied: u64,
    /// The last entry that a snapshot on disk covers.
    covered: u64,
    /// Ticks since a snapshot was made for followers.
    snapshot_age: u32,
    /// Entries given out to be persisted, up to the newest number that was not fed back.
    unpersisted: u64,
    persisted: u64,
}

/// A member, and the image of the tables that it starts from.
pub(crate) struct Start {
    pub(crate) replica: Replica,
    pub(crate) image: Image,
}

/// What a member is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It leads, and all that was decided before it led is applied.
    Leader {
        /// Since this term.
        term: u64,
    },
    /// It does not, or not yet.
    Follower {
        /// Who does; zero: nobody known.
        leader: u64,
    },
}

/// A change of who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MembershipChange {
    /// Receives the log and does not vote.
    AddLearner(u64),
    /// Votes.
    AddVoter(u64),
    /// Takes part no longer.
    Remove(u64),
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let raft = &self.node.raft;
        out.debug_struct("Replica")
            .field("id", &raft.id)
            .field("term", &raft.term)
            .field("state", &raft.state)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

impl Replica {
    /// Takes up what the log held; nothing: a member that waits for the leader.
    pub(crate) fn restore(config: &PlaneConfig, restored: Restored, random: Random) -> Result<Start, RestoreError> {
        let image = match &restored.snapshot {
            Some(record) => {
                Image::decode(&record.bytes).map_err(|source| RestoreError::Snapshot { index: record.index, source })?
            }
            None => Image::default(),
        };
        let covered = restored.snapshot.as_ref().map_or((0, 0), |record| (record.index, record.term));
        let conf_state = ConfState::from((image.voters.clone(), image.learners.clone()));
        let mut log = MemoryLog::new(conf_state, covered);
        for record in restored.entries.into_iter().filter(|record| record.index > covered.0) {
            if record.index != log.last() + 1 {
                return Err(RestoreError::Gap { expected: log.last() + 1, found: record.index });
            }
            log.append(&[decode::<Entry>("log entry", &record.bytes)?]);
        }
        let mut hard_state = match &restored.hard_state {
            Some(bytes) => decode::<HardState>("hard state", bytes)?,
            None => HardState::default(),
        };
        // A commit index may be durable before or after what it covers; between these bounds it is but a hint.
        hard_state.commit = hard_state.commit.clamp(log.first() - 1, log.last());
        hard_state.term = hard_state.term.max(covered.1);
        log.set_hard_state(hard_state);
        Ok(Start { replica: Self::over(config, log, covered.0, random)?, image })
    }

    /// The first member of a new swarm, whose log begins with this snapshot of its tables.
    pub(crate) fn bootstrap(
        config: &PlaneConfig,
        snapshot: &SnapshotRecord,
        random: Random,
    ) -> Result<(Self, Persist), RestoreError> {
        let conf_state = ConfState::from((vec![config.raft_id], Vec::new()));
        let mut log = MemoryLog::new(conf_state, (snapshot.index, snapshot.term));
        let hard_state = HardState { term: snapshot.term, commit: snapshot.index, ..HardState::default() };
        let bytes = hard_state.write_to_bytes().unwrap_or_default();
        log.set_hard_state(hard_state);
        let mut replica = Self::over(config, log, snapshot.index, random)?;
        // There is nobody to wait for.
        replica.node.campaign()?;
        let persist = Persist {
            number: 0,
            snapshot: Some(snapshot.clone()),
            hard_state: Some(bytes.into()),
            must_sync: true,
            ..Persist::default()
        };
        Ok((replica, persist))
    }

    fn over(config: &PlaneConfig, log: MemoryLog, covered: u64, mut random: Random) -> Result<Self, RestoreError> {
        let bounds = (config.election_ticks, config.election_ticks + config.election_ticks / 2 + 1);
        let raft_config = Config {
            id: config.raft_id,
            election_tick: config.election_ticks,
            heartbeat_tick: config.heartbeat_ticks,
            applied: covered,
            max_size_per_msg: APPEND_BYTES,
            max_inflight_msgs: APPENDS_IN_FLIGHT,
            check_quorum: true,
            pre_vote: true,
            min_election_tick: bounds.0,
            max_election_tick: bounds.1,
            ..Config::default()
        };
        raft_config.validate()?;
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let timeout = ElectionTimeout::new(Random::new([random.next(), random.next(), random.next(), 1]), bounds);
        let node = RawNode::new(&raft_config, log, &logger)?;
        Ok(Self { node, timeout, applied: covered, covered, snapshot_age: 0, unpersisted: 0, persisted: 0 })
    }

    /// Time goes on.
    pub(crate) fn tick(&mut self) {
        if !self.is_installing() {
            self.timeout.impose(&mut self.node);
            self.node.tick();
        }
        self.snapshot_age = self.snapshot_age.saturating_add(1);
        if self.snapshot_age == SNAPSHOT_KEPT_TICKS {
            self.node.mut_store().offer_snapshot(None);
        }
    }

    /// Whether a snapshot has taken the log's place and is not durable yet. An election would look for entries that it
    /// covers, because it does not count as applied before.
    fn is_installing(&self) -> bool {
        self.node.raft.raft_log.applied + 1 < self.node.store().first()
    }

    /// Takes a message of another member; answers who that was. What is not one, or not for this member, is dropped.
    pub(crate) fn step(&mut self, message: &Bytes, snapshot: Option<Bytes>) -> Option<u64> {
        if message.len() > MESSAGE_BYTES || !guard::is_decodable(message) {
            return None;
        }
        let mut message = Message::parse_from_carllerche_bytes(message).ok()?;
        let from = message.from;
        if message.to != self.node.raft.id || from == self.node.raft.id || from == 0 {
            return None;
        }
        match message.get_msg_type() {
            MessageType::MsgSnapshot => {
                let data = snapshot?;
                // What can't be read must not take the log's place.
                Image::decode(&data).ok()?;
                message.mut_snapshot().data = data;
            }
            // A leader can believe that a member has more than it has only if that member lost its disk.
            MessageType::MsgHeartbeat => message.commit = message.commit.min(self.node.raft.raft_log.last_index()),
            MessageType::MsgPropose => return None,
            // Asks for an election at once: see `tick`.
            MessageType::MsgTimeoutNow if self.is_installing() => return None,
            _ => {}
        }
        // Refused are messages of members that are gone, and proposals, which are made here alone.
        self.node.step(message).ok()?;
        Some(from)
    }

    /// All up to `number` is durable.
    pub(crate) fn persisted(&mut self, number: u64) {
        if number > self.persisted && number <= self.unpersisted {
            self.persisted = number;
            self.node.on_persist_ready(number);
            self.advance_applied();
        }
    }

    /// Tells the consensus how far the tables are. A snapshot is in the tables before it is durable, and counts as applied
    /// only when it is.
    fn advance_applied(&mut self) {
        let applied = self.applied.min(self.node.raft.raft_log.persisted);
        if applied > self.node.raft.raft_log.applied {
            self.node.advance_apply_to(applied);
        }
    }

    /// Messages to a member are being lost.
    pub(crate) fn unreachable(&mut self, id: u64) {
        self.node.report_unreachable(id);
    }

    /// The sending of a snapshot has ended.
    pub(crate) fn snapshot_sent(&mut self, id: u64, outcome: SnapshotOutcome) {
        let status = match outcome {
            SnapshotOutcome::Delivered => SnapshotStatus::Finish,
            SnapshotOutcome::Failed => SnapshotStatus::Failure,
        };
        self.node.report_snapshot(id, status);
    }

    /// What this member is.
    pub(crate) fn role(&self) -> Role {
        let raft = &self.node.raft;
        let caught_up = || raft.raft_log.term(self.applied).is_ok_and(|term| term == raft.term);
        if raft.state == StateRole::Leader && caught_up() {
            Role::Leader { term: raft.term }
        } else if raft.state == StateRole::Leader {
            Role::Follower { leader: 0 }
        } else {
            Role::Follower { leader: raft.leader_id }
        }
    }

    /// The last entry that the tables reflect.
    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    /// The entry that the next proposal will be.
    pub(crate) fn next_index(&self) -> u64 {
        self.node.raft.raft_log.last_index() + 1
    }

    /// Entries after the applied ones.
    pub(crate) fn unapplied(&self) -> Vec<Entry> {
        let log = &self.node.raft.raft_log;
        let range = (self.applied + 1, log.last_index() + 1);
        if range.0 >= range.1 {
            return Vec::new();
        }
        log.slice(range.0, range.1, None, raft::GetEntriesContext::empty(false)).unwrap_or_default()
    }

    /// Whether proposals are taken.
    pub(crate) fn accepts(&self) -> bool {
        self.node.raft.state == StateRole::Leader && self.node.raft.lead_transferee.is_none()
    }

    /// Appends an entry; answers its index. `None`: it is not taken, and will not be in the log.
    pub(crate) fn propose(&mut self, data: Vec<u8>) -> Option<u64> {
        if !self.accepts() {
            return None;
        }
        self.node.propose(Vec::new(), data).ok()?;
        Some(self.node.raft.raft_log.last_index())
    }

    /// Whether a change of membership would be taken: only one may be under way.
    pub(crate) fn accepts_membership(&self) -> bool {
        self.accepts() && !self.node.raft.has_pending_conf()
    }

    /// Appends a change of membership that carries a command.
    pub(crate) fn propose_membership(&mut self, change: MembershipChange, command: Vec<u8>) -> Option<u64> {
        if !self.accepts_membership() {
            return None;
        }
        let (kind, id) = match change {
            MembershipChange::AddLearner(id) => (ConfChangeType::AddLearnerNode, id),
            MembershipChange::AddVoter(id) => (ConfChangeType::AddNode, id),
            MembershipChange::Remove(id) => (ConfChangeType::RemoveNode, id),
        };
        let change = ConfChange { change_type: kind, node_id: id, ..ConfChange::default() };
        self.node.propose_conf_change(command, change).ok()?;
        Some(self.node.raft.raft_log.last_index())
    }

    /// Hands the leadership to another member, if it keeps up.
    pub(crate) fn transfer_to(&mut self, id: u64) {
        self.node.transfer_leader(id);
    }

    /// Members that vote, in order.
    pub(crate) fn voters(&self) -> Vec<u64> {
        sorted(self.node.store().conf_state().get_voters())
    }

    /// Members that do not vote yet, in order.
    pub(crate) fn learners(&self) -> Vec<u64> {
        sorted(self.node.store().conf_state().get_learners())
    }

    /// How many entries a member lacks, as far as this leader knows.
    pub(crate) fn lag(&self, id: u64) -> Option<u64> {
        let raft = &self.node.raft;
        raft.prs().get(id).map(|progress| raft.raft_log.last_index().saturating_sub(progress.matched))
    }

    /// Whether a snapshot of the tables should be taken now.
    pub(crate) fn is_snapshot_due(&self, interval: u64, keep: u64) -> bool {
        let news = self.applied.saturating_sub(self.covered);
        news >= interval.max(1) || (self.node.store().bytes() > LOG_BYTES && news > keep)
    }

    /// A snapshot of the tables as applied: the log behind it may go, except `keep` entries.
    pub(crate) fn snapshot_taken(&mut self, image: Bytes, keep: u64) -> Vec<Output> {
        let term = self.node.raft.raft_log.term(self.applied).unwrap_or_default();
        self.covered = self.applied;
        // The tables may be ahead of what is durable here, and the consensus looks at entries up to there again.
        let through = self.applied.saturating_sub(keep).min(self.node.raft.raft_log.applied);
        self.node.mut_store().compact(through);
        let record = SnapshotRecord { index: self.applied, term, bytes: image };
        vec![Output::SaveSnapshot(record), Output::Compact { through }]
    }

    /// An image of the tables as applied, for followers.
    pub(crate) fn offer_image(&mut self, image: Bytes) {
        let mut snapshot = Snapshot { data: image, ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        metadata.index = self.applied;
        metadata.term = self.node.raft.raft_log.term(self.applied).unwrap_or_default();
        metadata.set_conf_state(self.node.store().conf_state().clone());
        self.node.mut_store().offer_snapshot(Some(snapshot));
        self.snapshot_age = 0;
    }

    /// What is to be done now, in order. To be called until it answers nothing.
    pub(crate) fn drain(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            let number = ready.number();
            let durable = self.perform(&mut ready, &mut effects);
            self.node.advance_append_async(ready);
            self.advance_applied();
            if durable {
                self.persisted(number);
            }
        }
        if self.node.store().is_snapshot_wanted() {
            self.node.mut_store().offer_snapshot(None);
            effects.push(Effect::ImageWanted);
        }
        effects
    }

    /// Answers whether nothing has to be written for this.
    fn perform(&mut self, ready: &mut Ready, effects: &mut Vec<Effect>) -> bool {
        // A leader's messages may go before its own disk has what they hold.
        effects.extend(ready.take_messages().into_iter().filter_map(send));
        let mut persist = Persist { number: ready.number(), must_sync: ready.must_sync(), ..Persist::default() };
        if !ready.snapshot().is_empty() {
            let snapshot = ready.snapshot();
            let metadata = snapshot.get_metadata();
            let record = SnapshotRecord { index: metadata.index, term: metadata.term, bytes: snapshot.data.clone() };
            (self.applied, self.covered) = (record.index, record.index);
            effects.push(Effect::Install { index: record.index, image: record.bytes.clone() });
            self.node.mut_store().install(snapshot);
            persist.snapshot = Some(record);
        }
        for entry in ready.take_committed_entries() {
            effects.push(Effect::Committed(self.commit(entry)));
        }
        self.node.mut_store().append(ready.entries());
        persist.entries = ready.entries().iter().map(log_entry).collect();
        if let Some(hard_state) = ready.hs() {
            persist.hard_state = hard_state.write_to_bytes().ok().map(Bytes::from);
            self.node.mut_store().set_hard_state(hard_state.clone());
        }
        let nothing = persist.snapshot.is_none() && persist.entries.is_empty() && persist.hard_state.is_none();
        // Nothing to write, and nothing before it that is still being written: durable as it is.
        let at_once = nothing && self.unpersisted == self.persisted;
        self.unpersisted = persist.number;
        if !at_once {
            effects.push(Effect::Output(Output::Persist(persist)));
        }
        effects.extend(ready.take_persisted_messages().into_iter().filter_map(send));
        at_once
    }

    fn commit(&mut self, mut entry: Entry) -> Committed {
        self.applied = entry.index;
        let context = std::mem::take(&mut entry.context);
        let command = match entry.get_entry_type() {
            EntryType::EntryNormal => entry.data,
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                self.change_membership(&entry);
                context
            }
        };
        Committed { index: entry.index, term: entry.term, command: (!command.is_empty()).then_some(command) }
    }

    /// Every member comes to the same end, also when it refuses: the bytes are the same everywhere.
    fn change_membership(&mut self, entry: &Entry) {
        let applied = if entry.entry_type == EntryType::EntryConfChange {
            guard::is_flat(&entry.data)
                .then(|| ConfChange::parse_from_carllerche_bytes(&entry.data).ok())
                .flatten()
                .and_then(|change| self.node.apply_conf_change(&change).ok())
        } else {
            // Never proposed here: only the empty one, which leaves a joint configuration.
            self.node.apply_conf_change(&ConfChangeV2::default()).ok()
        };
        if let Some(conf_state) = applied {
            self.node.mut_store().set_conf_state(conf_state);
            // A new member refuses a snapshot that does not name it.
            self.node.mut_store().offer_snapshot(None);
        }
    }
}

fn decode<T: protobuf::Message>(what: &'static str, bytes: &Bytes) -> Result<T, RestoreError> {
    T::parse_from_carllerche_bytes(bytes).map_err(|source| RestoreError::Record { what, source })
}

fn sorted(ids: &[u64]) -> Vec<u64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

fn log_entry(entry: &Entry) -> LogEntry {
    let bytes = entry.write_to_bytes().unwrap_or_default();
    LogEntry { index: entry.index, term: entry.term, bytes: bytes.into() }
}

/// A message on its way; a snapshot's data travels beside it. `None`: one that can't be encoded, which there is not.
fn send(mut message: Message) -> Option<Effect> {
    let snapshot =
        (message.get_msg_type() == MessageType::MsgSnapshot).then(|| std::mem::take(&mut message.mut_snapshot().data));
    let bytes = message.write_to_bytes().ok()?;
    Some(Effect::Output(Output::Send { to: message.to, message: bytes.into(), snapshot }))
}
