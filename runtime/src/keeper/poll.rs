//! Waiting: which descriptor belongs to whom.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// Names a container while this keeper lives.
pub(super) type Serial = u64;

/// Whom a descriptor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Listener,
    Client(u64),
    /// A container's first process.
    Exit(Serial),
    /// The socket of a child that is becoming a container.
    Control(Serial),
    Output(Serial, Stream),
    /// The writing end of an attached client's pipe.
    Attached(Serial, u64),
    ExecExit(u64),
    ExecControl(u64),
    Spare(u64),
    Oom,
}

/// Which of a container's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Names a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Token(u64);

/// The epoll instance. Tokens are never used twice, so an event that was fetched before its source went away finds
/// nobody.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    sources: HashMap<u64, Source>,
    next: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) source: Source,
    pub(super) writable: bool,
    /// The other end is gone.
    pub(super) hung_up: bool,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, sources: HashMap::new(), next: 1 })
    }

    /// Watches a descriptor for input (and for its other end's going, always).
    pub(super) fn watch(&mut self, descriptor: impl AsFd, source: Source) -> io::Result<Token> {
        self.add(descriptor, source, EventFlags::IN)
    }

    /// Watches a descriptor for nothing but its other end's going.
    pub(super) fn watch_end(&mut self, descriptor: impl AsFd, source: Source) -> io::Result<Token> {
        self.add(descriptor, source, EventFlags::empty())
    }

    fn add(&mut self, descriptor: impl AsFd, source: Source, flags: EventFlags) -> io::Result<Token> {
        let token = self.next;
        epoll::add(&self.epoll, descriptor, EventData::new_u64(token), flags)?;
        self.next += 1;
        self.sources.insert(token, source);
        Ok(Token(token))
    }

    /// Also tells when the descriptor can be written to, or no longer.
    pub(super) fn want_write(&self, descriptor: impl AsFd, token: Token, read: bool, write: bool) -> io::Result<()> {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, read);
        flags.set(EventFlags::OUT, write);
        Ok(epoll::modify(&self.epoll, descriptor, EventData::new_u64(token.0), flags)?)
    }

    /// Watches no longer. Must come before the descriptor is closed: a copy in another process would keep it watched.
    pub(super) fn forget(&mut self, descriptor: impl AsFd, token: Token) {
        self.sources.remove(&token.0);
        // It fails only when the descriptor is not watched, which is what was wanted.
        let _unwatched = epoll::delete(&self.epoll, descriptor);
    }

    /// Waits for something to happen.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<Ready>> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let sources = &self.sources;
        Ok(events
            .into_iter()
            .filter_map(|event| {
                let (data, flags) = (event.data, event.flags);
                Some(Ready {
                    source: *sources.get(&data.u64())?,
                    writable: flags.contains(EventFlags::OUT),
                    hung_up: flags.intersects(EventFlags::HUP | EventFlags::ERR),
                })
            })
            .collect())
    }
}

const EVENTS_AT_ONCE: usize = 128;
