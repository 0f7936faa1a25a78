//! One netlink socket: many requests in one datagram, each refusal matched to its request.
//!
//! Synchronous: the kernel answers before `send` returns. Leaves the content of messages to `route` and `nftables`.
//! Invariant: after each call no answer of that call is left in the socket, or it is skipped by its sequence number.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use super::namespace::in_throw_away_thread;
use crate::network::limits::{ANSWER_SECONDS_MAX, REQUESTS_A_DATAGRAM, SEND_BUFFER};

/// A socket of the namespace where it was opened.
#[derive(Debug)]
pub(in crate::network) struct Channel {
    socket: Socket,
    sequence: u32,
}

/// A message and how its refusal is to be taken.
#[derive(Debug)]
pub(in crate::network) struct Request<M> {
    pub(in crate::network) message: M,
    /// Netlink flags besides REQUEST and ACK.
    pub(in crate::network) flags: u16,
    /// Refusals that mean "it is so already".
    pub(in crate::network) tolerated: &'static [i32],
}

/// The first request that the kernel refused.
#[derive(Debug)]
pub(in crate::network) struct Refusal {
    /// Its position; `None`: the whole.
    pub(in crate::network) position: Option<usize>,
    /// The kernel's answer.
    pub(in crate::network) error: io::Error,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { position: None, error }
    }
}

impl Channel {
    /// Opens a socket of a netlink protocol in the calling thread's network namespace.
    pub(in crate::network) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_cap_ack(true)?;
        setsockopt(&socket.as_fd(), sockopt::SndBufForce, &SEND_BUFFER)?;
        setsockopt(&socket.as_fd(), sockopt::ReceiveTimeout, &TimeVal::new(ANSWER_SECONDS_MAX, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The same in the namespace that is kept on a file.
    pub(in crate::network) fn open_inside(namespace: &Path, protocol: isize) -> io::Result<Self> {
        in_throw_away_thread(|| {
            setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
            Self::open(protocol)
        })
    }

    /// Sends requests, a datagram at a time, and waits until the kernel has taken them all. Requests after a refused one
    /// in the same datagram are tried all the same.
    pub(in crate::network) fn perform<M>(&mut self, requests: Vec<Request<M>>) -> Result<(), Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let mut done = 0;
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let datagram: Vec<Request<M>> = requests.by_ref().take(REQUESTS_A_DATAGRAM).collect();
            let count = datagram.len();
            self.perform_datagram(datagram, done)?;
            done += count;
        }
        Ok(())
    }

    fn perform_datagram<M>(&mut self, requests: Vec<Request<M>>, done: usize) -> Result<(), Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let first = self.sequence.wrapping_add(1);
        let count = requests.len();
        let tolerated: Vec<&[i32]> = requests.iter().map(|request| request.tolerated).collect();
        let mut buffer = Vec::new();
        for (position, request) in requests.into_iter().enumerate() {
            let last = if position + 1 == count { NLM_F_ACK } else { 0 };
            self.append(&mut buffer, NetlinkPayload::InnerMessage(request.message), request.flags | last);
        }
        self.socket.send(&buffer, 0)?;
        let mut refusal = None;
        self.answers(first, |position, error| {
            if let Some(error) = error
                && refusal.is_none()
                && !error.raw_os_error().is_some_and(|code| tolerated[position].contains(&code))
            {
                refusal = Some(Refusal { position: Some(done + position), error });
            }
            position + 1 == count
        })?;
        refusal.map_or(Ok(()), Err)
    }

    /// Sends messages that the kernel takes together or not at all; the first and the last mark the batch.
    pub(in crate::network) fn transact<M>(&mut self, messages: Vec<(M, u16)>) -> Result<(), Refusal>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let first = self.sequence.wrapping_add(1);
        let count = messages.len();
        let mut buffer = Vec::new();
        for (position, (message, flags)) in messages.into_iter().enumerate() {
            // The closing mark is never acknowledged: the message before it is.
            let last = if position + 2 == count { NLM_F_ACK } else { 0 };
            self.append(&mut buffer, NetlinkPayload::InnerMessage(message), flags | last);
        }
        self.socket.send(&buffer, 0)?;
        let mut refusal = None;
        self.answers(first, |position, error| {
            if let Some(error) = error
                && refusal.is_none()
            {
                refusal = Some(Refusal { position: position.checked_sub(1), error });
            }
            // A refusal of the opening mark is a refusal of the whole, and the only answer.
            position + 2 == count || position == 0
        })?;
        refusal.map_or(Ok(()), Err)
    }

    /// Asks for all objects of a kind.
    pub(in crate::network) fn dump<M>(&mut self, message: M) -> io::Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.ask(message, NLM_F_DUMP)
    }

    /// Asks for one object.
    pub(in crate::network) fn get<M>(&mut self, message: M) -> io::Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.ask(message, NLM_F_ACK)
    }

    fn ask<M>(&mut self, message: M, flags: u16) -> io::Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let mut buffer = Vec::new();
        let sequence = self.append(&mut buffer, NetlinkPayload::InnerMessage(message), flags);
        self.socket.send(&buffer, 0)?;
        let mut found = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for message in messages::<M>(&datagram) {
                let message = message?;
                if message.header.sequence_number != sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => found.push(inner),
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(found),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }

    /// Reads acknowledgements and refusals from sequence number `first` on until `finished` says so.
    fn answers(&self, first: u32, mut finished: impl FnMut(usize, Option<io::Error>) -> bool) -> io::Result<()> {
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for (sequence, code) in error_codes(&datagram) {
                let position = sequence.wrapping_sub(first) as usize;
                if position > self.sequence.wrapping_sub(first) as usize {
                    continue;
                }
                let error = (code != 0).then(|| io::Error::from_raw_os_error(-code));
                if finished(position, error) {
                    return Ok(());
                }
            }
        }
    }

    fn append<M: NetlinkSerializable>(&mut self, buffer: &mut Vec<u8>, payload: NetlinkPayload<M>, flags: u16) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::new(Default::default(), payload);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let start = buffer.len();
        buffer.resize(start + aligned(message.buffer_len()), 0);
        message.serialize(&mut buffer[start..start + message.buffer_len()]);
        self.sequence
    }
}

/// The messages of one datagram.
fn messages<M: NetlinkDeserializable>(datagram: &[u8]) -> impl Iterator<Item = io::Result<NetlinkMessage<M>>> {
    frames(datagram).map(|frame| {
        NetlinkMessage::deserialize(frame)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
    })
}

/// Sequence number and code of each acknowledgement or refusal in a datagram.
fn error_codes(datagram: &[u8]) -> impl Iterator<Item = (u32, i32)> {
    const KIND_ERROR: u16 = 2;
    frames(datagram).filter_map(|frame| {
        let kind = u16::from_ne_bytes(frame.get(4..6)?.try_into().ok()?);
        let sequence = u32::from_ne_bytes(frame.get(8..12)?.try_into().ok()?);
        let code = i32::from_ne_bytes(frame.get(16..20)?.try_into().ok()?);
        (kind == KIND_ERROR).then_some((sequence, code))
    })
}

/// Cuts a datagram at the lengths that its messages state.
fn frames(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    const HEADER: usize = 16;
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let frame = rest.get(..length).filter(|frame| frame.len() >= HEADER)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(frame)
    })
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}
