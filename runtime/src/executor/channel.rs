//! The socket between the keeper and a child: a task down, reports up. Both ends are one build of one program.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::cgroup::Location;
use crate::failure::StartFailure;
use crate::plan::{ExecPlan, StartPlan};
use crate::wire::{Decoder, Frame, Kind, receive, send_all};

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) inherited: Inherited,
    /// The descriptors that came with it: stdin, stdout, stderr, those of them that are there.
    pub(crate) stdio: [bool; 3],
}

/// A container, or a process in one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    Start {
        plan: Box<StartPlan>,
        entry: CgroupEntry,
    },
    /// The last descriptor is the container's pidfd.
    Join(Box<ExecPlan>),
}

/// How the child comes into its cgroup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum CgroupEntry {
    /// It makes the cgroup and moves there.
    Move,
    /// It is in one already, which becomes the container's by a new name.
    Rename(Location),
    /// It was born there (v2), and the limits are set.
    Inside,
}

/// What the keeper changed of itself and a container must not inherit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Inherited {
    /// Soft and hard limit of open files, as the keeper found them.
    pub(crate) open_files: (u64, u64),
}

/// Down.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToChild {
    Task(Box<Task>),
    /// Execute the command.
    Go,
}

/// Up. After `Executing` the socket's end says that the command was executed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromChild {
    /// Waiting in a cgroup of its own.
    Parked,
    /// Everything is made; the master of the terminal comes along, when there is one.
    Built,
    Executing,
    Failed(StartFailure),
}

/// The child's end; blocking.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    decoder: Decoder,
}

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, decoder: Decoder::default() }
    }

    /// Waits for the keeper's next message and what comes with it.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub(crate) fn wait(&mut self) -> io::Result<(ToChild, Vec<OwnedFd>)> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if let Some(frame) = self.decoder.next().map_err(io::Error::other)? {
                return Ok((serde_json::from_slice(&frame.body)?, frame.descriptors));
            }
            let received = receive(&self.socket, &mut buffer)?;
            if received.bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.decoder.push(&buffer[..received.bytes], received.descriptors).map_err(io::Error::other)?;
        }
    }

    /// Tells the keeper.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub(crate) fn report(&self, message: &FromChild, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let descriptors = descriptor.as_slice();
        let frame =
            Frame { kind: Kind::Answer, sequence: 0, body: serde_json::to_vec(message)?, descriptors: Vec::new() };
        let bytes = frame.encode_with(descriptors.len()).map_err(io::Error::other)?;
        send_all(self.socket.as_fd(), &bytes, descriptors)
    }
}

const READ_BYTES: usize = 32 << 10;
