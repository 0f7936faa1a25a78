//! The messages themselves. A change here that an older peer would misread raises `PROTOCOL_VERSION`.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::signal::Signal;
use crate::spec::{ContainerId, ContainerSpec, ExecSpec};
use crate::state::{ContainerState, ExecId, Stats};

/// Raised by every change that an older peer would misread.
pub(crate) const PROTOCOL_VERSION: u8 = 1;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// The first message of a connection.
    Hello,
    /// Make a container, and start it too when told so.
    Create {
        spec: Box<ContainerSpec>,
        start: bool,
    },
    Start {
        id: ContainerId,
    },
    Signal {
        id: ContainerId,
        signal: Signal,
    },
    /// Ask to end, and kill when it has not after the grace period; without a period it is never killed.
    Stop {
        id: ContainerId,
        signal: Option<Signal>,
        grace_ms: Option<u64>,
    },
    Delete {
        id: ContainerId,
    },
    List,
    Exec {
        id: ContainerId,
        spec: Box<ExecSpec>,
    },
    ExecResize {
        exec: ExecId,
        rows: u16,
        columns: u16,
    },
    ExecSignal {
        exec: ExecId,
        signal: Signal,
    },
    /// Hand out descriptors of stdin, stdout and stderr (or of the terminal).
    Attach {
        id: ContainerId,
        stdin: bool,
    },
    /// The keeper lets go of its own end of stdin: the container reads its end once every client has too.
    CloseStdin {
        id: ContainerId,
    },
    Resize {
        id: ContainerId,
        rows: u16,
        columns: u16,
    },
    Stats {
        id: ContainerId,
    },
    /// The master of the container's terminal comes along: an earlier keeper gave it to be held.
    Restore {
        id: ContainerId,
    },
    /// The keeper ends once it holds no container; refused before.
    Shutdown,
}

/// What the keeper answers; the failure is the other half of `Reply`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Welcome(Welcome),
    Created {
        pid: u32,
    },
    Done,
    List {
        containers: Vec<ContainerState>,
    },
    /// The descriptors are those that the flags name, in this order.
    Exec {
        exec: ExecId,
        pid: u32,
        streams: Streams,
    },
    Attached {
        streams: Streams,
    },
    Stats(Box<Stats>),
    Failed(Failure),
}

/// Who the keeper is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// Its process id.
    pub(crate) pid: u32,
    /// The program's version.
    pub(crate) version: String,
}

/// What a client holds for the keeper's successor; the descriptor comes along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) id: ContainerId,
    pub(crate) what: Held,
}

/// What would end with the keeper if nobody else had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Held {
    /// The master of a terminal: its processes would be hung up.
    Terminal,
    /// The writing end of stdin: its reader would see the end.
    Stdin,
}

/// Which descriptors come with an answer, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Streams {
    pub(crate) terminal: bool,
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}
