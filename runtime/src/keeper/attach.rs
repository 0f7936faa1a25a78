//! Attached clients: each gets pipes of its own, filled as the container speaks. One that does not read is detached once
//! its queue is full; the container never waits.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::failure::Failure;
use crate::keeper::clients::ReplyTo;
use crate::keeper::container::Container;
use crate::keeper::lifecycle::would_block;
use crate::keeper::poll::{Serial, Source, Stream, Token};
use crate::keeper::run::Keeper;
use crate::keeper::start::system;
use crate::limits::{ATTACH_QUEUE_BYTES_MAX, ATTACHED_MAX};
use crate::spec::ContainerId;
use crate::wire::{Answer, Streams};

/// The keeper's end of one client's stdout or stderr.
#[derive(Debug)]
pub(super) struct AttachedPipe {
    key: u64,
    stream: Stream,
    writer: OwnedFd,
    token: Token,
    queue: VecDeque<u8>,
    /// The container ended: what is queued is still delivered, then the pipe ends.
    last: bool,
}

impl Keeper {
    /// Hands out the streams of a container.
    pub(super) fn attach(&mut self, reply: ReplyTo, id: &ContainerId, stdin: bool) {
        let outcome = self.find(id).and_then(|serial| {
            self.with(serial, |keeper, container| keeper.attach_to(serial, container, stdin))
                .unwrap_or_else(|| Err(Failure::NotFound { id: id.clone() }))
        });
        match outcome {
            Ok((streams, descriptors)) => self.answer(reply, &Answer::Attached { streams }, descriptors),
            Err(failure) => self.refuse(reply, failure),
        }
    }

    fn attach_to(
        &mut self,
        serial: Serial,
        container: &mut Container,
        stdin: bool,
    ) -> Result<(Streams, Vec<OwnedFd>), Failure> {
        if container.process.is_none() {
            return Err(container.wrong_status("attached to"));
        }
        if container.streams.attached.len() >= 2 * ATTACHED_MAX {
            return Err(Failure::Full { what: "attached clients".to_owned(), held: ATTACHED_MAX });
        }
        let duplicate = |descriptor: &OwnedFd| descriptor.try_clone().map_err(system("hand out stdin"));
        let input = match (stdin, container.terminal()) {
            (false, _) => None,
            (true, Some(master)) => Some(duplicate(master)?),
            (true, None) => container.streams.stdin.as_ref().map(duplicate).transpose()?,
        };
        let terminal = container.record.terminal;
        let streams = Streams { terminal, stdin: input.is_some(), stdout: true, stderr: !terminal };
        let mut descriptors: Vec<OwnedFd> = input.into_iter().collect();
        descriptors.push(self.attach_pipe(serial, container, Stream::Stdout).map_err(system("make a pipe"))?);
        if !terminal {
            descriptors.push(self.attach_pipe(serial, container, Stream::Stderr).map_err(system("make a pipe"))?);
        }
        Ok((streams, descriptors))
    }

    fn attach_pipe(&mut self, serial: Serial, container: &mut Container, stream: Stream) -> io::Result<OwnedFd> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&writer, true)?;
        self.next_client += 1;
        let key = self.next_client;
        let token = self.poller.watch_end(&writer, Source::Attached(serial, key))?;
        container.streams.attached.push(AttachedPipe {
            key,
            stream,
            writer,
            token,
            queue: VecDeque::new(),
            last: false,
        });
        Ok(reader)
    }

    /// Passes on what a container said.
    pub(super) fn pass_on(&mut self, container: &mut Container, stream: Stream, bytes: &[u8]) {
        for at in (0..container.streams.attached.len()).rev() {
            let pipe = &mut container.streams.attached[at];
            if pipe.stream != stream {
                continue;
            }
            pipe.queue.extend(bytes);
            self.flush_pipe(container, at);
        }
    }

    /// An attached client reads again, or went.
    pub(super) fn attached_ready(&mut self, serial: Serial, key: u64, hung_up: bool) {
        self.with(serial, |keeper, container| {
            let Some(at) = container.streams.attached.iter().position(|pipe| pipe.key == key) else { return };
            if hung_up { keeper.detach(container, at) } else { keeper.flush_pipe(container, at) }
        });
    }

    /// The container ended: so do the pipes, once what is queued was taken.
    pub(super) fn end_attached(&mut self, container: &mut Container) {
        for at in (0..container.streams.attached.len()).rev() {
            container.streams.attached[at].last = true;
            self.flush_pipe(container, at);
        }
    }

    fn flush_pipe(&mut self, container: &mut Container, at: usize) {
        let pipe = &mut container.streams.attached[at];
        let outcome = pipe.flush();
        let blocked = matches!(&outcome, Err(error) if would_block(error));
        let broken = outcome.is_err() && !blocked;
        if broken || pipe.queue.len() > ATTACH_QUEUE_BYTES_MAX || (pipe.last && pipe.queue.is_empty()) {
            return self.detach(container, at);
        }
        if self.poller.want_write(&pipe.writer, pipe.token, false, blocked).is_err() {
            self.detach(container, at);
        }
    }

    fn detach(&mut self, container: &mut Container, at: usize) {
        let pipe = container.streams.attached.swap_remove(at);
        self.poller.forget(&pipe.writer, pipe.token);
    }

    /// Lets go of the keeper's end of a container's stdin.
    pub(super) fn close_stdin(&mut self, id: &ContainerId) -> Result<(), Failure> {
        let serial = self.find(id)?;
        if let Some(container) = self.containers.get_mut(&serial) {
            container.streams.stdin = None;
        }
        Ok(())
    }

    /// Sets the size of a container's terminal.
    pub(super) fn resize(&mut self, id: &ContainerId, rows: u16, columns: u16) -> Result<(), Failure> {
        let serial = self.find(id)?;
        let Some(container) = self.containers.get(&serial) else { return Ok(()) };
        let master = container.terminal().ok_or_else(|| container.wrong_status("resized, without a terminal"))?;
        set_size(master, rows, columns).map_err(system("resize the terminal"))
    }
}

/// Sets the size of a terminal by its master.
pub(super) fn set_size(master: &OwnedFd, rows: u16, columns: u16) -> io::Result<()> {
    Ok(tcsetwinsize(master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}

impl AttachedPipe {
    fn flush(&mut self) -> io::Result<()> {
        while !self.queue.is_empty() {
            let (front, _) = self.queue.as_slices();
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.writer, front))?;
            self.queue.drain(..written);
        }
        Ok(())
    }
}
