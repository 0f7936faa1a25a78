//! Children of the keeper, from the keeper's side: their birth and the socket to them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::executor::{FromChild, Parking, ToChild, child_main};
use crate::limits::TASK_TIMEOUT;
use crate::signal::Signal;
use crate::sys::{self, Cloned, SingleThread};
use crate::wire::{Decoder, Frame, Kind, receive, send};

/// A child that has not executed its command yet.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    pub(super) control: Control,
}

/// Where and how a child is born.
#[derive(Debug, Default)]
pub(super) struct Birth<'a> {
    /// CLONE_NEW*.
    pub(super) flags: i32,
    /// v2: the cgroup to be born in.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
    /// Wait in a cgroup for work to come.
    pub(super) parking: Option<&'a Parking>,
}

/// Makes a child that waits for a task.
pub(super) fn spawn(single: &SingleThread, birth: &Birth<'_>) -> io::Result<Child> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    match sys::clone_process(single, birth.flags as u64, birth.cgroup)? {
        Cloned::Child => child_main(single, theirs, birth.parking),
        Cloned::Parent { pid, pidfd } => {
            rustix::io::ioctl_fionbio(&ours, true)?;
            Ok(Child { pid, pidfd, control: Control { socket: ours, decoder: Decoder::default() } })
        }
    }
}

/// Ends a child that is of no use, and reaps it.
pub(super) fn abandon(child: Child) {
    drop(child.control);
    // It may have ended already; it is reaped in either case.
    let _ended = sys::send_signal(&child.pidfd, Signal::KILL);
    if let Err(error) = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
        eprintln!("reap a child: {error}");
    }
}

/// The keeper's end of the socket to a child; it never waits for the child to say something.
#[derive(Debug)]
pub(super) struct Control {
    socket: OwnedFd,
    decoder: Decoder,
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Control {
    /// Sends a message; the child only reads, so this takes no longer than that.
    pub(super) fn send(&self, message: &ToChild, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let body = serde_json::to_vec(message)?;
        let frame = Frame { kind: Kind::Request, sequence: 0, body, descriptors: Vec::new() };
        let bytes = frame.encode_with(descriptors.len()).map_err(io::Error::other)?;
        let mut sent = 0;
        while sent < bytes.len() {
            let with = if sent == 0 { descriptors } else { &[] };
            match send(&self.socket, &bytes[sent..], with) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_until_writable()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait_until_writable(&self) -> io::Result<()> {
        let limit = Timespec { tv_sec: TASK_TIMEOUT.as_secs().cast_signed(), tv_nsec: 0 };
        match poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&limit))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    /// What the child has said, and whether it may say more.
    pub(super) fn read(&mut self) -> (Vec<(FromChild, Option<OwnedFd>)>, bool) {
        let mut messages = Vec::new();
        let mut buffer = [0; READ_BYTES];
        let open = loop {
            match receive(&self.socket, &mut buffer) {
                Ok(received) if received.bytes == 0 => break false,
                Ok(received) => {
                    if self.decoder.push(&buffer[..received.bytes], received.descriptors).is_err() {
                        break false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                // The child died with something unread: the end, as well.
                Err(_) => break false,
            }
        };
        while let Ok(Some(frame)) = self.decoder.next() {
            if let Ok(message) = serde_json::from_slice(&frame.body) {
                messages.push((message, frame.descriptors.into_iter().next()));
            }
        }
        (messages, open)
    }
}

const READ_BYTES: usize = 4096;
