//! Connected clients: taking their requests, queueing their answers. A client that does not read is disconnected, never
//! waited for.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;

use crate::failure::Failure;
use crate::keeper::container::Container;
use crate::keeper::poll::{Source, Token};
use crate::keeper::run::Keeper;
use crate::limits::{CLIENT_QUEUE_BYTES_MAX, CLIENTS_MAX};
use crate::state::Event;
use crate::wire::{Answer, Decoder, Frame, Held, Hold, Kind, Request, receive, send};

/// Whom an answer goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplyTo {
    client: u64,
    sequence: u32,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    socket: UnixStream,
    token: Token,
    decoder: Decoder,
    out: VecDeque<Message>,
    out_bytes: usize,
    waiting_to_write: bool,
}

#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
}

impl Keeper {
    /// Takes new connections.
    pub(super) fn accept(&mut self) {
        loop {
            match self.listener.as_ref().map(|listener| listener.accept()) {
                Some(Ok((socket, _))) => {
                    if let Err(error) = self.admit(socket) {
                        eprintln!("admit a client: {error}");
                    }
                }
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Some(Err(error)) => {
                    eprintln!("accept: {error}");
                    return;
                }
                None => return,
            }
        }
    }

    fn admit(&mut self, socket: UnixStream) -> io::Result<()> {
        if !socket_peercred(&socket)?.uid.is_root() || self.clients.len() >= CLIENTS_MAX {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        socket.set_nonblocking(true)?;
        self.next_client += 1;
        let key = self.next_client;
        let token = self.poller.watch(&socket, Source::Client(key))?;
        let client = Client {
            socket,
            token,
            decoder: Decoder::default(),
            out: VecDeque::new(),
            out_bytes: 0,
            waiting_to_write: false,
        };
        self.clients.insert(key, client);
        Ok(())
    }

    /// A client can be read from or written to.
    pub(super) fn client_ready(&mut self, key: u64, writable: bool) {
        if writable {
            self.flush(key);
        }
        let Some(client) = self.clients.get_mut(&key) else { return };
        match receive(&client.socket, &mut self.buffer) {
            Ok(received) if received.bytes > 0 => {
                if client.decoder.push(&self.buffer[..received.bytes], received.descriptors).is_err() {
                    return self.disconnect(key);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => return self.disconnect(key),
        }
        while let Some(client) = self.clients.get_mut(&key) {
            match client.decoder.next() {
                Ok(Some(frame)) if frame.kind == Kind::Request => {
                    let reply = ReplyTo { client: key, sequence: frame.sequence };
                    match serde_json::from_slice::<Request>(&frame.body) {
                        Ok(request) => self.request(reply, request, frame.descriptors),
                        Err(error) => self.refuse(
                            reply,
                            Failure::Invalid {
                                field: "request".to_owned(),
                                value: String::from_utf8_lossy(&frame.body).chars().take(64).collect(),
                                remedy: error.to_string(),
                            },
                        ),
                    }
                }
                Ok(None) => return,
                _ => return self.disconnect(key),
            }
        }
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, reply: ReplyTo, answer: &Answer, descriptors: Vec<OwnedFd>) {
        match serde_json::to_vec(answer) {
            Ok(body) => {
                self.queue(reply.client, Frame { kind: Kind::Answer, sequence: reply.sequence, body, descriptors })
            }
            Err(error) => eprintln!("write an answer: {error}"),
        }
    }

    /// Answers that a request was not done.
    pub(super) fn refuse(&mut self, reply: ReplyTo, failure: Failure) {
        self.answer(reply, &Answer::Failed(failure), Vec::new());
    }

    /// Answers that a request was done.
    pub(super) fn done(&mut self, reply: ReplyTo) {
        self.answer(reply, &Answer::Done, Vec::new());
    }

    /// Tells everybody.
    pub(super) fn tell(&mut self, event: &Event) {
        match serde_json::to_vec(event) {
            Ok(body) => {
                for key in self.clients.keys().copied().collect::<Vec<_>>() {
                    let (body, descriptors) = (body.clone(), Vec::new());
                    self.queue(key, Frame { kind: Kind::Event, sequence: 0, body, descriptors });
                }
            }
            Err(error) => eprintln!("write an event: {error}"),
        }
    }

    /// Gives everybody a copy of what would end with the keeper.
    pub(super) fn hold(&mut self, container: &Container) {
        for key in self.clients.keys().copied().collect::<Vec<_>>() {
            self.hold_at(key, container);
        }
    }

    /// Gives a new client copies of what would end with the keeper.
    pub(super) fn hold_all(&mut self, reply: ReplyTo) {
        for serial in self.containers.keys().copied().collect::<Vec<_>>() {
            self.with(serial, |keeper, container| keeper.hold_at(reply.client, container));
        }
    }

    fn hold_at(&mut self, key: u64, container: &Container) {
        let held = [(Held::Terminal, container.terminal()), (Held::Stdin, container.streams.stdin.as_ref())];
        for (what, descriptor) in held {
            let Some(descriptor) = descriptor else { continue };
            let hold = Hold { id: container.record.id.clone(), what };
            match (serde_json::to_vec(&hold), descriptor.try_clone()) {
                (Ok(body), Ok(copy)) => {
                    self.queue(key, Frame { kind: Kind::Hold, sequence: 0, body, descriptors: vec![copy] });
                }
                _ => eprintln!("{}: no copy of its terminal or stdin could be handed out", container.record.id),
            }
        }
    }

    fn queue(&mut self, key: u64, frame: Frame) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        match frame.encode() {
            Ok(bytes) => {
                client.out_bytes += bytes.len();
                client.out.push_back(Message { bytes, sent: 0, descriptors: frame.descriptors });
                if client.out_bytes > CLIENT_QUEUE_BYTES_MAX {
                    eprintln!("disconnect a client that does not read");
                    return self.disconnect(key);
                }
                self.flush(key);
            }
            Err(error) => {
                eprintln!("disconnect a client: {error}");
                self.disconnect(key);
            }
        }
    }

    fn flush(&mut self, key: u64) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let outcome = client.flush();
        let blocked = matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if outcome.is_err() && !blocked {
            return self.disconnect(key);
        }
        if blocked != client.waiting_to_write {
            client.waiting_to_write = blocked;
            if self.poller.want_write(&client.socket, client.token, true, blocked).is_err() {
                self.disconnect(key);
            }
        }
    }

    fn disconnect(&mut self, key: u64) {
        if let Some(client) = self.clients.remove(&key) {
            self.poller.forget(&client.socket, client.token);
        }
    }
}

impl Client {
    fn flush(&mut self) -> io::Result<()> {
        while let Some(message) = self.out.front_mut() {
            while message.sent < message.bytes.len() {
                let with: Vec<_> =
                    if message.sent == 0 { message.descriptors.iter().map(AsFd::as_fd).collect() } else { Vec::new() };
                let sent = send(&self.socket, &message.bytes[message.sent..], &with)?;
                message.sent += sent;
                self.out_bytes = self.out_bytes.saturating_sub(sent);
            }
            self.out.pop_front();
        }
        Ok(())
    }
}
