//! Passes: what changed is decided upon, what that changes is decided upon in turn, until nothing is left.

use std::collections::BTreeSet;

use shoal_proto::model::{NodeId, ServiceId, ServiceMode, TaskId, TaskState, Timestamp};

use super::dirty::Dirty;
use super::{Lost, Reign};
use crate::deciders::memory::Memory;
use crate::deciders::{
    Plan, Step, allocator, enforcer, execute, global, job, liveness, reaper, replicated, restart, scheduler, update,
};
use crate::dispatch::Dispatcher;
use crate::limits::{BATCH_WEIGHT, FULL_PASS_PERIOD, PASS_ROUNDS, PROPOSALS_IN_FLIGHT};
use crate::output::{Change, CloseReason};
use crate::replica::Replica;
use crate::store::{SlotKey, Tables};

/// What this leader has seen beyond the tables.
struct Seen<'a> {
    memory: &'a Memory,
    dispatcher: &'a Dispatcher,
    tables: &'a Tables,
}

impl update::Witness for Seen<'_> {
    fn running_since(&self, task: TaskId) -> Option<Timestamp> {
        self.memory.running_since(task)
    }

    fn lagging(&self, service: ServiceId) -> Vec<NodeId> {
        self.dispatcher.lagging(service, self.tables)
    }
}

impl Reign {
    /// Runs passes until nothing is left to decide, or the log is too far behind.
    pub(super) fn run_passes(&mut self, replica: &mut Replica) -> Result<(), Lost> {
        self.wake();
        for _ in 0..PASS_ROUNDS {
            self.absorb();
            let behind = replica.next_index().saturating_sub(replica.applied()) > PROPOSALS_IN_FLIGHT;
            if self.dirty.is_empty() || behind {
                return Ok(());
            }
            self.pass(replica)?;
        }
        Ok(())
    }

    /// What time alone makes worth a look.
    fn wake(&mut self) {
        if self.now >= self.full_pass_at {
            self.full_pass_at = self.now + FULL_PASS_PERIOD;
            self.dirty = Dirty::everything(self.draft.tables());
        }
        let now = self.now;
        let due: Vec<ServiceId> = self.timers.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        for id in due {
            self.timers.remove(&id);
            self.dirty.services.insert(id);
        }
    }

    /// Takes note of what the draft has changed.
    fn absorb(&mut self) {
        for change in self.draft.take_news() {
            match &change {
                Change::Task(it) => self.memory.observe(it.before.as_deref(), it.after.as_deref(), self.now),
                Change::Service(it) if it.after.is_none() => {
                    if let Some(id) = it.id(|service| service.id) {
                        self.memory.forget_service(id);
                        self.timers.remove(&id);
                    }
                }
                Change::Node(it) if it.after.is_none() => {
                    it.id(|node| node.id).map(|id| self.deadlines.remove(&id));
                }
                _ => {}
            }
            self.dirty.mark(&change, self.draft.tables());
        }
    }

    fn pass(&mut self, replica: &mut Replica) -> Result<(), Lost> {
        let dirty = std::mem::take(&mut self.dirty);
        if dirty.liveness {
            let plan = liveness::decide(self.draft.tables(), &self.deadlines, self.now);
            self.perform(replica, plan)?;
        }
        for service in dirty.services {
            self.orchestrate(replica, service)?;
        }
        let mut place = dirty.place;
        if dirty.allocate {
            // What was just made waits for a node as well.
            place |= self.draft.tables().fresh_tasks().next().is_some();
            self.allocate(replica)?;
        }
        if place {
            let plan = scheduler::decide(self.draft.tables(), &self.memory, self.now);
            self.perform(replica, plan)?;
        }
        self.enforce(replica, dirty.nodes)?;
        self.reap(replica, dirty.slots)
    }

    /// Brings one service to what is wished of it, as far as that can be done now.
    fn orchestrate(&mut self, replica: &mut Replica, id: ServiceId) -> Result<(), Lost> {
        self.timers.remove(&id);
        let now = self.now;
        let Some(service) = self.draft.tables().service(id).cloned() else {
            let live = self.draft.tables().service_tasks(id).filter(|task| task.desired < TaskState::Remove);
            let steps = live.map(|task| Step::Desire { task: task.id, state: TaskState::Remove }).collect();
            return self.perform(replica, Plan { steps, wake: None });
        };
        let plan = restart::decide(self.draft.tables(), &service, now);
        self.perform_for(replica, id, plan)?;
        let tables = self.draft.tables();
        let plan = match service.spec.mode {
            ServiceMode::Replicated { replicas } => replicated::decide(tables, &service, replicas, now),
            ServiceMode::Global => global::decide(tables, &service, now),
            ServiceMode::ReplicatedJob { max_concurrent, total_completions } => {
                job::decide_replicated(tables, &service, max_concurrent, total_completions)
            }
            ServiceMode::GlobalJob => job::decide_global(tables, &service),
        };
        self.perform_for(replica, id, plan)?;
        if !service.spec.mode.is_job() {
            let tables = self.draft.tables();
            let seen = Seen { memory: &self.memory, dispatcher: &self.dispatcher, tables };
            let plan = update::decide(tables, &service, &seen, now);
            self.perform_for(replica, id, plan)?;
        }
        Ok(())
    }

    fn allocate(&mut self, replica: &mut Replica) -> Result<(), Lost> {
        let services: Vec<_> = self.draft.tables().services().cloned().collect();
        for service in services {
            let plan = allocator::decide_service(self.draft.tables(), &service, &mut self.cursor);
            self.perform(replica, plan)?;
        }
        let plan = allocator::decide_nodes(self.draft.tables(), &mut self.cursor);
        self.perform(replica, plan)?;
        let plan = allocator::decide_tasks(self.draft.tables(), &mut self.cursor);
        self.perform(replica, plan)
    }

    fn enforce(&mut self, replica: &mut Replica, nodes: BTreeSet<NodeId>) -> Result<(), Lost> {
        for id in nodes {
            let Some(node) = self.draft.tables().node(id) else { continue };
            let plan = enforcer::decide(self.draft.tables(), node);
            self.perform(replica, plan)?;
        }
        Ok(())
    }

    fn reap(&mut self, replica: &mut Replica, slots: BTreeSet<SlotKey>) -> Result<(), Lost> {
        for slot in slots {
            let plan = reaper::decide(self.draft.tables(), slot);
            self.perform(replica, plan)?;
        }
        Ok(())
    }

    fn perform_for(&mut self, replica: &mut Replica, service: ServiceId, plan: Plan) -> Result<(), Lost> {
        if let Some(wake) = plan.wake {
            let timer = self.timers.entry(service).or_insert(wake);
            *timer = (*timer).min(wake);
        }
        self.perform(replica, plan)
    }

    /// Performs a plan, in entries of bounded size.
    fn perform(&mut self, replica: &mut Replica, plan: Plan) -> Result<(), Lost> {
        for step in plan.steps {
            if let Step::Believe { node, .. } = &step {
                self.silenced.extend(self.dispatcher.close(*node, CloseReason::Silent));
                self.complaints.remove(node);
                self.suspect();
            }
            execute(&mut self.draft, &mut self.random, step);
            if self.draft.weight() >= BATCH_WEIGHT {
                self.propose(replica)?;
            }
        }
        Ok(())
    }
}
