//! What must hold, looked at after every step, at the cost of what the step changed.
//!
//! [`terms`] holds the consensus to one leader a term; [`history`] holds all planes to one history of the tables;
//! [`claims`] holds that history to the rules of slots, addresses and ports; [`book`] holds it to what clients were
//! promised; [`payloads`] holds workers to the secrets of their own tasks; [`ending`] says what is not yet as wished once
//! faults have stopped.

mod book;
mod claims;
pub(crate) mod ending;
mod history;
pub(crate) mod payloads;
mod terms;

use std::fmt;

use shoal_manager_core::store::Tables;
use shoal_manager_core::{Output, RequestId};

use crate::client::Promise;
use crate::network::HostId;
use book::Book;
use history::History;
pub(crate) use terms::Head;
use terms::Terms;

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// What was seen instead.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "violated: {}: {}", self.invariant, self.found)
    }
}

/// All checkers of a world, and the first violation.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) history: History,
    pub(crate) book: Book,
    terms: Terms,
    violation: Option<Violation>,
}

impl Checks {
    pub(crate) fn new() -> Self {
        Self { history: History::default(), book: Book::default(), terms: Terms::default(), violation: None }
    }

    /// Notes a violation, unless there was one before.
    pub(crate) fn violate(&mut self, invariant: &'static str, found: String) {
        self.violation.get_or_insert(Violation { invariant, found });
    }

    /// Notes what was looked at.
    pub(crate) fn note(&mut self, outcomes: impl Iterator<Item = Result<(), Violation>>) {
        if let Some(violation) = outcomes.filter_map(Result::err).next() {
            self.violation.get_or_insert(violation);
        }
    }

    /// The first violation.
    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A plane has started with these tables.
    pub(crate) fn restarted(&mut self, host: HostId, tables: &Tables) {
        if let Err(violation) = self.history.restarted(host, tables) {
            self.violation.get_or_insert(violation);
        }
    }

    /// A plane wants this done.
    pub(crate) fn output(&mut self, host: HostId, raft_id: u64, output: &Output) {
        let found = match output {
            Output::Send { message, .. } => self.terms.sent(raft_id, message),
            Output::Changed(changes) => self.history.changed(host, changes, &self.book),
            _ => return,
        };
        if let Err(violation) = found {
            self.violation.get_or_insert(violation);
        }
    }

    /// A plane answered a write: from now on it must not be lost.
    pub(crate) fn promised(&mut self, promise: &Promise, index: u64) {
        if let Err(violation) = self.history.keeps(promise, index) {
            self.violation.get_or_insert(violation);
        }
    }

    /// A plane answered what nobody waits for: that may be one who gave up, but not one who was never there.
    pub(crate) fn answered_unasked(&mut self, host: HostId, id: RequestId, requests: u64) {
        if id.0 >= requests {
            self.violate("answers are to questions", format!("{host:?} answered {id:?}"));
        }
    }
}
