//! Asks other hosts again and again whether they can be reached on the data path, and answers those who ask.
//!
//! Probes are small frames on the routing mesh's network: they go through the tunnel as connections to tasks do, and
//! past every filter of the hosts. `frame` knows their form, `pulse` counts who answered; here is the actor that owns
//! the socket and the time. Leaves what follows from silence to the worker core.

mod frame;
mod pulse;

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

use rand::RngCore;
use shoal_proto::model::NodeId;
use shoal_worker_core::Input;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::limits::{PROBE_COMMANDS_WAITING, PROBE_FRAMES_A_TURN, PROBE_PERIOD};
use crate::network::{FrameSocket, MacAddress};
use frame::{Frame, FrameKind};
use pulse::Pulse;

/// The prober of this host, from outside.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    commands: mpsc::Sender<Command>,
}

/// Whom to probe, over which link. No socket: nobody.
#[derive(Debug)]
struct Command {
    socket: Option<FrameSocket>,
    hosts: Vec<(NodeId, MacAddress)>,
}

#[derive(Debug)]
struct Actor {
    commands: mpsc::Receiver<Command>,
    inputs: mpsc::Sender<Input>,
    socket: Option<AsyncFd<FrameSocket>>,
    pulse: Pulse,
    told: BTreeSet<NodeId>,
}

impl Prober {
    /// Starts the actor; it ends when the handle or the receiver of `inputs` is gone.
    pub(crate) fn spawn(inputs: mpsc::Sender<Input>) -> Self {
        let (commands, inbox) = mpsc::channel(PROBE_COMMANDS_WAITING);
        let pulse = Pulse::new(rand::rng().next_u64());
        tokio::spawn(Actor { commands: inbox, inputs, socket: None, pulse, told: BTreeSet::new() }.run());
        Self { commands }
    }

    /// Probes these hosts from now on, and no others.
    pub(crate) async fn set(&self, socket: Option<FrameSocket>, hosts: Vec<(NodeId, MacAddress)>) {
        // An actor that has ended belongs to a worker that stops.
        let _stopped = self.commands.send(Command { socket, hosts }).await;
    }
}

impl Actor {
    async fn run(mut self) {
        let mut beat = interval(PROBE_PERIOD);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                _ = beat.tick(), if !self.pulse.is_idle() => self.beat(),
                received = readable(self.socket.as_ref()) => self.take(received),
            }
            let silent = self.pulse.silent();
            if silent != self.told {
                self.told.clone_from(&silent);
                if self.inputs.send(Input::Silent { hosts: silent }).await.is_err() {
                    return;
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        self.socket = command.socket.and_then(|socket| match socket.watched() {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "hosts can't be probed");
                None
            }
        });
        self.pulse.set_hosts(command.hosts);
    }

    fn beat(&mut self) {
        let Some(socket) = &self.socket else { return };
        for (to, frame) in self.pulse.beat(Instant::now().into_std()) {
            // What could not be sent is not answered.
            if let Err(error) = socket.get_ref().send(to, &frame.encode()) {
                tracing::trace!(%to, %error, "a probe was not sent");
            }
        }
    }

    /// Takes frames that wait, some at a time so that a flood of them delays nothing else for long.
    fn take(&mut self, received: io::Result<Vec<(Frame, MacAddress)>>) {
        let Some(socket) = &self.socket else { return };
        let frames = match received {
            Ok(frames) => frames,
            Err(error) => {
                // The link is gone: a new one comes with the next command.
                tracing::debug!(%error, "the probes' link can't be read");
                self.socket = None;
                return;
            }
        };
        for (frame, from) in frames {
            match frame.kind {
                FrameKind::Ask => {
                    let answer = Frame { kind: FrameKind::Answer, ..frame };
                    if let Err(error) = socket.get_ref().send(from, &answer.encode()) {
                        tracing::trace!(%from, %error, "an answer to a probe was not sent");
                    }
                }
                FrameKind::Answer => self.pulse.answered(from, &frame),
            }
        }
    }
}

/// Waits for frames; for ever without a socket.
async fn readable(socket: Option<&AsyncFd<FrameSocket>>) -> io::Result<Vec<(Frame, MacAddress)>> {
    let Some(socket) = socket else { return std::future::pending().await };
    loop {
        let mut ready = socket.readable().await?;
        let mut frames = Vec::new();
        let mut buffer = [0; frame::SIZE];
        while frames.len() < PROBE_FRAMES_A_TURN {
            match socket.get_ref().receive(&mut buffer) {
                Ok((size, from)) => {
                    frames.extend(Frame::decode(buffer.get(..size).unwrap_or_default()).map(|frame| (frame, from)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready.clear_ready();
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if !frames.is_empty() {
            return Ok(frames);
        }
    }
}
