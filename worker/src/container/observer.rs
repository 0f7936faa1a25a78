//! Follows the keeper's events: notes how far each container is, tells the core of ends, and publishes local events.
//!
//! A thread, because the keeper's client blocks. It ends with the keeper's handle. What it missed it learns from a list.

use std::collections::BTreeMap;
use std::sync::Weak;

use shoal_proto::model::Timestamp;
use shoal_runtime::client::Events;
use shoal_runtime::state::{ContainerStatus, Event, ExitStatus};
use shoal_worker_core::Input;

use super::store::{Inner, pid_of};
use super::{ContainerEnd, ContainerLife};
use crate::events::now;

/// Follows the keeper's events.
#[derive(Debug)]
pub(super) struct Observer {
    containers: Weak<Inner>,
    heard: Events,
}

impl Observer {
    pub(super) fn new(containers: Weak<Inner>, heard: Events) -> Self {
        Self { containers, heard }
    }

    /// Serves until the keeper's handle is gone.
    pub(super) fn run(self) {
        while let Some(event) = self.heard.next() {
            let Some(containers) = self.containers.upgrade() else { return };
            containers.observe(event);
        }
    }
}

impl Inner {
    fn observe(&self, event: Event) {
        match event {
            Event::Started { id, pid, at } => {
                let pid = i32::try_from(pid).unwrap_or_default();
                self.note_started(id.as_str(), pid, Timestamp(at.as_nanos()));
            }
            Event::Exited { id, status } => self.note_exited(id.as_str(), end_of(&status)),
            Event::ExecExited { id, exec, ending } => self.note_exec_exited(id.as_str(), &exec, ending.code()),
            Event::OomKilled { id } => self.publish(id.as_str(), "oom", BTreeMap::new()),
            Event::Lagged => self.catch_up(),
        }
    }

    fn note_started(&self, id: &str, pid: i32, started_at: Timestamp) {
        let started = self.registry.change(id, |life| {
            matches!(life, ContainerLife::Created { .. }).then_some(ContainerLife::Running { pid, started_at })
        });
        if let Some(record) = started {
            self.publish_for(&record, "start", BTreeMap::new());
        }
    }

    fn note_exited(&self, id: &str, end: ContainerEnd) {
        let code = end.code;
        let Some(view) = self.registry.get(id).filter(|view| !view.life.is_over()) else { return };
        if let Err(error) = self.roots.folder(id).save_end(&end) {
            tracing::warn!(container = %id, error = &error as &dyn std::error::Error, "how a container ended is not saved");
        }
        self.note_execs_over(id);
        // The core before those who wait for the end: a stop must not be over before its exit is known.
        self.tell(Input::ContainerExited { task: view.record.task, exit: end.exit() });
        self.registry.change(id, |life| (!life.is_over()).then_some(ContainerLife::Exited(end)));
        self.publish_for(&view.record, "die", BTreeMap::from([("exitCode".to_owned(), code.to_string())]));
    }

    /// Events were lost: the keeper's list says how things are.
    fn catch_up(&self) {
        let kept = match self.keeper.list() {
            Ok(kept) => kept,
            // The next connection begins with another `Lagged`.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the keeper does not answer");
                return;
            }
        };
        for view in self.registry.all().into_iter().filter(|view| !view.life.is_over()) {
            let id = view.record.id.as_str();
            let Some(state) = kept.iter().find(|state| state.id.as_str() == id) else {
                self.note_vanished(&view);
                continue;
            };
            match &state.status {
                ContainerStatus::Created => {}
                ContainerStatus::Running { started_at } => {
                    self.note_started(id, pid_of(state), Timestamp(started_at.as_nanos()));
                }
                ContainerStatus::Exited(status) => self.note_exited(id, end_of(status)),
            }
        }
    }

    /// A keeper that does not know a running container any more: it ended with nobody there to see it.
    fn note_vanished(&self, view: &super::ContainerView) {
        if let ContainerLife::Running { started_at, .. } = view.life {
            let error = "it ended while no keeper was there to see it".to_owned();
            let end =
                ContainerEnd { code: 255, signal: None, oom_killed: false, started_at, finished_at: now(), error };
            self.note_exited(&view.record.id, end);
        }
    }
}

/// How a container ended, in our words.
pub(super) fn end_of(status: &ExitStatus) -> ContainerEnd {
    ContainerEnd {
        code: status.code(),
        signal: status.signal().map(shoal_runtime::signal::Signal::number),
        oom_killed: status.oom_killed,
        started_at: Timestamp(status.started_at.map_or(0, |at| at.as_nanos())),
        finished_at: Timestamp(status.finished_at.as_nanos()),
        error: String::new(),
    }
}
