//! One container in the keeper's memory: some hundred bytes and three descriptors while it runs quietly.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use crate::failure::Failure;
use crate::keeper::attach::AttachedPipe;
use crate::keeper::clients::ReplyTo;
use crate::keeper::log::Log;
use crate::keeper::poll::{Poller, Token};
use crate::keeper::record::Record;
use crate::keeper::spawn::Control;
use crate::state::Ending;

/// One container.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) record: Record,
    pub(super) phase: Phase,
    /// Its first process, until it is reaped.
    pub(super) process: Option<Watched>,
    /// The socket to it, until it executes its command.
    pub(super) control: Option<(Control, Token)>,
    /// The child said that it is about to execute.
    pub(super) executing: bool,
    pub(super) streams: Streams,
    /// Counts stops: the deadline of an earlier one means nothing.
    pub(super) stops: u64,
    /// Kills for memory that were told.
    pub(super) oom_kills: u64,
    /// Who waits for it to be gone.
    pub(super) deleting: Vec<ReplyTo>,
    pub(super) cgroup: Removal,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The child builds it for this request.
    Building {
        reply: ReplyTo,
        start: bool,
    },
    /// The child waits for `start`.
    Created,
    /// The child executes the command. A container that was made by the same request is forgotten when that fails.
    Starting {
        reply: ReplyTo,
        fresh: bool,
    },
    Running,
    /// It failed; the child is being reaped. With an ending the container stays, as one that ended so.
    Failing {
        reply: Option<(ReplyTo, Failure)>,
        ending: Option<Ending>,
    },
    /// It ended, and what is left of it is this record.
    Exited,
    /// It failed while it was made, and goes as soon as its cgroup has.
    Forgotten {
        reply: Option<(ReplyTo, Failure)>,
    },
}

/// The end of its cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// It is still in use.
    Pending,
    /// Tried since then.
    Since(Instant),
    Done,
}

/// A descriptor that is being watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) descriptor: OwnedFd,
    pub(super) token: Token,
}

impl Watched {
    /// Stops watching and closes.
    pub(super) fn close(self, poller: &mut Poller) {
        poller.forget(&self.descriptor, self.token);
    }
}

/// What it says and hears.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Its stdout, or the master of its terminal.
    pub(super) stdout: Option<Watched>,
    pub(super) stderr: Option<Watched>,
    /// The writing end of its stdin.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) log: Option<Log>,
    pub(super) attached: Vec<AttachedPipe>,
}

impl Container {
    /// A container around a process that is known to run.
    pub(super) fn new(record: Record, phase: Phase, process: Option<Watched>) -> Self {
        Self {
            record,
            phase,
            process,
            control: None,
            executing: false,
            streams: Streams::default(),
            stops: 0,
            oom_kills: 0,
            deleting: Vec::new(),
            cgroup: Removal::Pending,
        }
    }

    /// Whether its process is there and may be signalled as a container.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running) && self.process.is_some()
    }

    /// Docker's word for its status.
    pub(super) fn status(&self) -> &'static str {
        match self.phase {
            Phase::Building { .. } | Phase::Created | Phase::Starting { .. } => "created",
            Phase::Running => "running",
            Phase::Failing { .. } | Phase::Exited | Phase::Forgotten { .. } => "exited",
        }
    }

    /// Why a request cannot be done now.
    pub(super) fn wrong_status(&self, request: &str) -> Failure {
        Failure::WrongStatus {
            id: self.record.id.clone(),
            status: self.status().to_owned(),
            request: request.to_owned(),
        }
    }

    /// The master of its terminal.
    pub(super) fn terminal(&self) -> Option<&OwnedFd> {
        self.record.terminal.then_some(self.streams.stdout.as_ref()).flatten().map(|watched| &watched.descriptor)
    }

    /// Lets go of the socket to the child.
    pub(super) fn close_control(&mut self, poller: &mut Poller) {
        if let Some((control, token)) = self.control.take() {
            poller.forget(control.as_fd(), token);
        }
    }
}
