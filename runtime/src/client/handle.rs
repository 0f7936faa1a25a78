//! The handle: one method for each thing the keeper does, and the thread that keeps the connection up.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::connection::{Connection, Inbox, Reply, unexpected};
use crate::client::{Events, KeeperError, KeeperOptions};
use crate::limits::{GRACE_MAX, SPAWN_TIMEOUT};
use crate::signal::Signal;
use crate::spec::{ContainerId, ContainerSpec, ExecSpec};
use crate::state::{ContainerState, Event, ExecId, Stats};
use crate::wire::{Answer, Held, Request, Streams, Welcome};

/// The keeper. Clones share one connection; every method may block and be called from any thread.
#[derive(Debug, Clone)]
pub struct Keeper {
    shared: Arc<Shared>,
}

/// A container that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// Process id of its first process on the host.
    pub pid: u32,
}

/// Who the keeper is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperInfo {
    /// Its process id.
    pub pid: u32,
    /// Its program's version.
    pub version: String,
}

/// A process started by `exec`, and its streams. `Event::ExecExited` tells how it ended.
#[derive(Debug)]
pub struct ExecHandle {
    /// Names it.
    pub exec: ExecId,
    /// Process id on the host.
    pub pid: u32,
    /// Its streams. The keeper reads none of them: whoever holds them must, or the process stalls.
    pub stdio: Stdio,
}

/// The streams of an exec process.
#[derive(Debug)]
pub enum Stdio {
    /// The master side of its terminal.
    Terminal(OwnedFd),
    /// Pipes; absent where the process has `/dev/null`.
    Pipes {
        /// Writable.
        stdin: Option<OwnedFd>,
        /// Readable.
        stdout: Option<OwnedFd>,
        /// Readable.
        stderr: Option<OwnedFd>,
    },
}

/// The streams of a container, from now on. A client that does not read is detached; the container never waits.
#[derive(Debug)]
pub struct Attachment {
    /// The container has a terminal: stdout is its one raw stream, and there is no stderr.
    pub terminal: bool,
    /// Writable; absent when it was not asked for, or when the container has none.
    pub stdin: Option<OwnedFd>,
    /// Readable.
    pub stdout: OwnedFd,
    /// Readable.
    pub stderr: Option<OwnedFd>,
}

impl Keeper {
    /// Connects to a keeper that runs.
    ///
    /// # Errors
    /// When nobody answers there, or in another version of the protocol.
    pub fn connect(socket: impl Into<PathBuf>) -> Result<Self, KeeperError> {
        Self::begin(Target { socket: socket.into(), launch: None })
    }

    /// Connects to the keeper, and starts it first when it does not run. It outlives the caller: it is in a session and
    /// a cgroup of its own.
    ///
    /// # Errors
    /// When it cannot be started or does not answer.
    pub fn launch(options: KeeperOptions) -> Result<Self, KeeperError> {
        Self::begin(Target { socket: options.socket.clone(), launch: Some(options) })
    }

    /// Who the keeper is.
    ///
    /// # Errors
    /// When the keeper is not there.
    pub fn info(&self) -> Result<KeeperInfo, KeeperError> {
        match self.call(&Request::Hello)?.answer {
            Answer::Welcome(Welcome { pid, version }) => Ok(KeeperInfo { pid, version }),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes a container; its command waits for `start`.
    ///
    /// # Errors
    /// When it cannot be made; nothing of it is left then.
    pub fn create(&self, spec: &ContainerSpec) -> Result<Created, KeeperError> {
        self.make(spec, false)
    }

    /// Makes a container and starts its command: `create` and `start` in one message.
    ///
    /// # Errors
    /// When it cannot be made or started; nothing of it is left then.
    pub fn run(&self, spec: &ContainerSpec) -> Result<Created, KeeperError> {
        self.make(spec, true)
    }

    /// Executes the command of a container that `create` made. When that fails the container is `exited` with
    /// Docker's code (`StartFailure::exit_code`), until it is deleted.
    ///
    /// # Errors
    /// When there is no such container, it was started before, or its command cannot be executed.
    pub fn start(&self, id: &ContainerId) -> Result<(), KeeperError> {
        self.done(&Request::Start { id: id.clone() })
    }

    /// Sends a signal to the first process.
    ///
    /// # Errors
    /// When there is no such container, or it ended.
    pub fn signal(&self, id: &ContainerId, signal: Signal) -> Result<(), KeeperError> {
        self.done(&Request::Signal { id: id.clone(), signal })
    }

    /// Asks the container to end with a signal (its own stop signal when none is given), and kills it after the grace
    /// period; without a period it is never killed. Returns at once: `Event::Exited` tells the rest. A container that
    /// ended already is no error.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn stop(&self, id: &ContainerId, signal: Option<Signal>, grace: Option<Duration>) -> Result<(), KeeperError> {
        let grace_ms = grace.map(|grace| u64::try_from(grace.min(GRACE_MAX).as_millis()).unwrap_or(u64::MAX));
        self.done(&Request::Stop { id: id.clone(), signal, grace_ms })
    }

    /// Forgets a container, killing it first when it runs. When this returns its processes, mounts and cgroups are
    /// gone; its log files stay.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn delete(&self, id: &ContainerId) -> Result<(), KeeperError> {
        self.done(&Request::Delete { id: id.clone() })
    }

    /// Every container the keeper knows, those that ended while nobody was connected included.
    ///
    /// # Errors
    /// When the keeper is not there.
    pub fn list(&self) -> Result<Vec<ContainerState>, KeeperError> {
        match self.call(&Request::List)?.answer {
            Answer::List { containers } => Ok(containers),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts a further process in a running container.
    ///
    /// # Errors
    /// When there is no such container, it does not run, or the command cannot be executed.
    pub fn exec(&self, id: &ContainerId, spec: &ExecSpec) -> Result<ExecHandle, KeeperError> {
        let Reply { answer, descriptors } =
            self.call(&Request::Exec { id: id.clone(), spec: Box::new(spec.clone()) })?;
        let Answer::Exec { exec, pid, streams } = answer else { return Err(unexpected(&answer)) };
        let mut descriptors = descriptors.into_iter();
        let stdio = if streams.terminal {
            Stdio::Terminal(expected(descriptors.next())?)
        } else {
            Stdio::Pipes {
                stdin: if streams.stdin { Some(expected(descriptors.next())?) } else { None },
                stdout: if streams.stdout { Some(expected(descriptors.next())?) } else { None },
                stderr: if streams.stderr { Some(expected(descriptors.next())?) } else { None },
            }
        };
        Ok(ExecHandle { exec, pid, stdio })
    }

    /// Sets the size of the terminal of an exec process.
    ///
    /// # Errors
    /// When it ended or has no terminal.
    pub fn exec_resize(&self, exec: &ExecId, rows: u16, columns: u16) -> Result<(), KeeperError> {
        self.done(&Request::ExecResize { exec: exec.clone(), rows, columns })
    }

    /// Sends a signal to an exec process.
    ///
    /// # Errors
    /// When it ended.
    pub fn exec_signal(&self, exec: &ExecId, signal: Signal) -> Result<(), KeeperError> {
        self.done(&Request::ExecSignal { exec: exec.clone(), signal })
    }

    /// Hands out the streams of a container, from now on; works before `start`, so that nothing is missed.
    ///
    /// # Errors
    /// When there is no such container, or it ended.
    pub fn attach(&self, id: &ContainerId, stdin: bool) -> Result<Attachment, KeeperError> {
        let Reply { answer, descriptors } = self.call(&Request::Attach { id: id.clone(), stdin })?;
        let Answer::Attached { streams: Streams { terminal, stdin, stderr, .. } } = answer else {
            return Err(unexpected(&answer));
        };
        let mut descriptors = descriptors.into_iter();
        Ok(Attachment {
            terminal,
            stdin: if stdin { Some(expected(descriptors.next())?) } else { None },
            stdout: expected(descriptors.next())?,
            stderr: if stderr { Some(expected(descriptors.next())?) } else { None },
        })
    }

    /// The keeper lets go of its own end of stdin: the container reads its end once every attached client has too.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn close_stdin(&self, id: &ContainerId) -> Result<(), KeeperError> {
        self.shared.inbox.holds.release(id, Held::Stdin);
        self.done(&Request::CloseStdin { id: id.clone() })
    }

    /// Sets the size of the container's terminal.
    ///
    /// # Errors
    /// When there is no such container, it ended or has no terminal.
    pub fn resize(&self, id: &ContainerId, rows: u16, columns: u16) -> Result<(), KeeperError> {
        self.done(&Request::Resize { id: id.clone(), rows, columns })
    }

    /// What the container uses now.
    ///
    /// # Errors
    /// When there is no such container, or it ended.
    pub fn stats(&self, id: &ContainerId) -> Result<Stats, KeeperError> {
        match self.call(&Request::Stats { id: id.clone() })?.answer {
            Answer::Stats(stats) => Ok(*stats),
            other => Err(unexpected(&other)),
        }
    }

    /// Events from now on. Subscribe first and `list` then: so nothing falls between.
    pub fn subscribe(&self) -> Events {
        self.shared.inbox.subscribers.add()
    }

    /// Ends the keeper, when it holds no container. The handle and its clones are of no use afterwards: they would
    /// start the next one.
    ///
    /// # Errors
    /// When it holds one.
    pub fn shutdown(&self) -> Result<(), KeeperError> {
        let connection = self.shared.connection()?;
        let close = |closed| self.shared.link.lock().unwrap_or_else(PoisonError::into_inner).closed = closed;
        // Before the keeper can end: its end must find the handle closed.
        close(true);
        let outcome = connection.call(&Request::Shutdown);
        if outcome.is_err() {
            close(false);
        }
        outcome.map(drop)
    }

    fn make(&self, spec: &ContainerSpec, start: bool) -> Result<Created, KeeperError> {
        match self.call(&Request::Create { spec: Box::new(spec.clone()), start })?.answer {
            Answer::Created { pid } => Ok(Created { pid }),
            other => Err(unexpected(&other)),
        }
    }

    fn done(&self, request: &Request) -> Result<(), KeeperError> {
        match self.call(request)?.answer {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn call(&self, request: &Request) -> Result<Reply, KeeperError> {
        self.shared.connection()?.call(request)
    }

    fn begin(target: Target) -> Result<Self, KeeperError> {
        let inbox = Arc::new(Inbox::default());
        let connection = target.open(&inbox)?;
        let shared = Arc::new(Shared {
            target,
            inbox,
            link: Mutex::new(Link { connection: Some(Arc::clone(&connection.0)), closed: false }),
            changed: Condvar::new(),
        });
        let watched = Arc::downgrade(&shared);
        thread::Builder::new()
            .name("keeper-client".to_owned())
            .spawn(move || watch(&watched, connection))
            .map_err(|source| KeeperError::Connect { socket: shared.target.socket.clone(), source })?;
        Ok(Self { shared })
    }
}

/// What all clones share. The lock guards the connection, not facts.
#[derive(Debug)]
struct Shared {
    target: Target,
    inbox: Arc<Inbox>,
    link: Mutex<Link>,
    changed: Condvar,
}

#[derive(Debug)]
struct Link {
    /// Absent while the keeper is out of reach.
    connection: Option<Arc<Connection>>,
    /// The keeper was told to end: nobody connects any more.
    closed: bool,
}

impl Shared {
    /// The connection; while the keeper is out of reach, waits a while for its return.
    fn connection(&self) -> Result<Arc<Connection>, KeeperError> {
        let deadline = Instant::now() + SPAWN_TIMEOUT;
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = &link.connection {
                return Ok(Arc::clone(connection));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if link.closed || left.is_zero() {
                return Err(KeeperError::Disconnected);
            }
            (link, _) = self.changed.wait_timeout(link, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let link = self.link.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = link.connection.take() {
            connection.close();
        }
        self.inbox.subscribers.close();
    }
}

/// Which keeper, and how to start it.
#[derive(Debug)]
struct Target {
    socket: PathBuf,
    launch: Option<KeeperOptions>,
}

/// A connection and the thread that reads it.
type Reading = (Arc<Connection>, thread::JoinHandle<()>);

impl Target {
    /// Connects and greets; starts the keeper first when it does not run and may be started.
    fn open(&self, inbox: &Arc<Inbox>) -> Result<Reading, KeeperError> {
        match (self.open_running(inbox), &self.launch) {
            (Err(KeeperError::Connect { .. }), Some(options)) => {
                options.launch()?;
                self.open_running(inbox)
            }
            (outcome, _) => outcome,
        }
    }

    fn open_running(&self, inbox: &Arc<Inbox>) -> Result<Reading, KeeperError> {
        let connection = Arc::new(Connection::open(&self.socket)?);
        let (reading, heard) = (Arc::clone(&connection), Arc::clone(inbox));
        let reader = thread::Builder::new()
            .name("keeper-events".to_owned())
            .spawn(move || reading.read(&heard))
            .map_err(|source| KeeperError::Connect { socket: self.socket.clone(), source })?;
        if let Err(error) = connection.greet() {
            connection.close();
            return Err(error);
        }
        for (id, master) in inbox.holds.terminals() {
            // Refused by a keeper that has it already, or whose container ended: neither needs it.
            if let Err(KeeperError::Refused(_)) =
                connection.call_with(&Request::Restore { id: id.clone() }, vec![master])
            {
                inbox.holds.release(&id, Held::Terminal);
            }
        }
        Ok((connection, reader))
    }
}

/// Waits for each connection's end and makes the next one, until the last handle is gone.
fn watch(shared: &Weak<Shared>, first: Reading) {
    let mut reader = first.1;
    drop(first.0);
    let mut pause = RECONNECT_PAUSE_MIN;
    loop {
        // A reader that panicked has lost its connection like one that returned.
        let _ended = reader.join();
        reader = loop {
            let Some(shared) = shared.upgrade() else { return };
            {
                let mut link = shared.link.lock().unwrap_or_else(PoisonError::into_inner);
                link.connection = None;
                if link.closed {
                    shared.changed.notify_all();
                    shared.inbox.subscribers.close();
                    return;
                }
            }
            shared.inbox.subscribers.publish(&Event::Lagged);
            if let Ok((connection, reader)) = shared.target.open(&shared.inbox) {
                shared.link.lock().unwrap_or_else(PoisonError::into_inner).connection = Some(connection);
                shared.changed.notify_all();
                shared.inbox.subscribers.publish(&Event::Lagged);
                pause = RECONNECT_PAUSE_MIN;
                break reader;
            }
            drop(shared);
            thread::sleep(pause);
            pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
        };
    }
}

fn expected(descriptor: Option<OwnedFd>) -> Result<OwnedFd, KeeperError> {
    descriptor.ok_or_else(|| KeeperError::Protocol("a descriptor is missing from an answer".to_owned()))
}

const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(10);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);
