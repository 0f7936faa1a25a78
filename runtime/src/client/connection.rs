//! One connection: requests out under a lock, answers paired by sequence number, events to the subscribers. A thread
//! of its own reads; it ends with the connection.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::client::KeeperError;
use crate::client::events::Subscribers;
use crate::client::holds::Holds;
use crate::limits::CALL_TIMEOUT;
use crate::state::Event;
use crate::wire::{Answer, Decoder, Frame, Kind, Request, Welcome, receive, send_all};

/// An open connection. The locks guard the socket and the callers' channels, and are not held while waiting.
#[derive(Debug)]
pub(super) struct Connection {
    socket: UnixStream,
    writing: Mutex<()>,
    waiting: Mutex<Waiting>,
    sequence: AtomicU32,
}

/// What comes without being asked for.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) subscribers: Subscribers,
    pub(super) holds: Holds,
}

/// Who waits for which answer; `None` once the connection is lost.
type Waiting = Option<HashMap<u32, SyncSender<Reply>>>;

/// An answer and what came with it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Connection {
    /// Connects, without saying anything yet.
    pub(super) fn open(path: &Path) -> Result<Self, KeeperError> {
        let socket =
            UnixStream::connect(path).map_err(|source| KeeperError::Connect { socket: path.to_owned(), source })?;
        Ok(Self {
            socket,
            writing: Mutex::new(()),
            waiting: Mutex::new(Some(HashMap::new())),
            sequence: AtomicU32::new(1),
        })
    }

    /// Greets the keeper. The reading thread must run already.
    pub(super) fn greet(&self) -> Result<Welcome, KeeperError> {
        match self.call(&Request::Hello)?.answer {
            Answer::Welcome(welcome) => Ok(welcome),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn call(&self, request: &Request) -> Result<Reply, KeeperError> {
        self.call_with(request, Vec::new())
    }

    /// Sends a request and descriptors with it, and waits for its answer.
    pub(super) fn call_with(&self, request: &Request, descriptors: Vec<OwnedFd>) -> Result<Reply, KeeperError> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let body = serde_json::to_vec(request).map_err(|error| KeeperError::Protocol(error.to_string()))?;
        let frame = Frame { kind: Kind::Request, sequence, body, descriptors };
        let bytes = frame.encode().map_err(|error| KeeperError::Protocol(error.to_string()))?;
        let (sender, receiver) = sync_channel(1);
        match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => waiting.insert(sequence, sender),
            None => return Err(KeeperError::Disconnected),
        };
        {
            let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let descriptors: Vec<_> = frame.descriptors.iter().map(AsFd::as_fd).collect();
            if send_all(self.socket.as_fd(), &bytes, &descriptors).is_err() {
                self.forget(sequence);
                return Err(KeeperError::Disconnected);
            }
        }
        match receiver.recv_timeout(CALL_TIMEOUT) {
            Ok(Reply { answer: Answer::Failed(failure), .. }) => Err(KeeperError::Refused(failure)),
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Disconnected) => Err(KeeperError::Disconnected),
            Err(RecvTimeoutError::Timeout) => {
                self.forget(sequence);
                Err(KeeperError::Timeout { seconds: CALL_TIMEOUT.as_secs() })
            }
        }
    }

    /// Reads until the connection ends; then every waiting call fails.
    pub(super) fn read(&self, inbox: &Inbox) {
        // Whatever ended it (the keeper is gone, or speaks nonsense), the connection is of no further use.
        let _ended = self.read_frames(inbox);
        self.close();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Ends the connection from this side.
    pub(super) fn close(&self) {
        // It fails only when the connection is gone already.
        let _gone = self.socket.shutdown(Shutdown::Both);
    }

    fn read_frames(&self, inbox: &Inbox) -> io::Result<()> {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let received = receive(self.socket.as_fd(), &mut buffer)?;
            if received.bytes == 0 {
                return Ok(());
            }
            decoder.push(&buffer[..received.bytes], received.descriptors).map_err(io::Error::other)?;
            while let Some(frame) = decoder.next().map_err(io::Error::other)? {
                self.take(frame, inbox)?;
            }
        }
    }

    fn take(&self, frame: Frame, inbox: &Inbox) -> io::Result<()> {
        match frame.kind {
            Kind::Event => {
                let event = serde_json::from_slice::<Event>(&frame.body)?;
                inbox.holds.hear(&event);
                inbox.subscribers.publish(&event);
            }
            Kind::Hold => {
                if let Some(descriptor) = frame.descriptors.into_iter().next() {
                    inbox.holds.take(serde_json::from_slice(&frame.body)?, descriptor);
                }
            }
            Kind::Answer => {
                let answer = serde_json::from_slice::<Answer>(&frame.body)?;
                let waiter = {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    waiting.as_mut().and_then(|waiting| waiting.remove(&frame.sequence))
                };
                if let Some(waiter) = waiter {
                    // The caller may have given up in this moment; its descriptors are closed with the reply.
                    let _given_up = waiter.try_send(Reply { answer, descriptors: frame.descriptors });
                }
            }
            Kind::Request => return Err(io::Error::other("the keeper sent a request")),
        }
        Ok(())
    }

    fn forget(&self, sequence: u32) {
        if let Some(waiting) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            waiting.remove(&sequence);
        }
    }
}

/// An answer of another kind than the request has.
pub(super) fn unexpected(answer: &Answer) -> KeeperError {
    let text = format!("{answer:?}");
    KeeperError::Protocol(format!("an answer of another kind: {}", text.chars().take(64).collect::<String>()))
}

const READ_BYTES: usize = 64 << 10;
