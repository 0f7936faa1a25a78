//! A backend in memory: one manager, services whose tasks run at once, a container whose execs are real processes.
//! It notes every call, so that a test can see what the server made of a request.

mod containers;
mod images;
mod secrets;
mod services;
mod swarm;
mod system;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use shoal_api::types::{Config, EventMessage, ExecInspect, Secret, Service, Task, Timestamp};
use shoal_api::{ApiError, ListenAddress, LogRecord, serve};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

pub(crate) const NODE_ID: &str = "nodeaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const CONTAINER_ID: &str = "c0ffee0000000000000000000000000000000000000000000000000000000000";

/// The backend.
pub(crate) struct Fake {
    myself: Weak<Self>,
    state: Mutex<State>,
    pub(crate) events: broadcast::Sender<EventMessage>,
    pub(crate) log_lines: broadcast::Sender<LogRecord>,
    /// Calls of `leave_swarm` without force end only as permits are added.
    pub(crate) leaving: Semaphore,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    services: Vec<Service>,
    secrets: Vec<Secret>,
    configs: Vec<Config>,
    past_events: Vec<EventMessage>,
    execs: BTreeMap<String, containers::Exec>,
    loaded: Vec<u8>,
    next: u64,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            myself: myself.clone(),
            state: Mutex::default(),
            events: broadcast::channel(64).0,
            log_lines: broadcast::channel(64).0,
            leaving: Semaphore::new(0),
        })
    }

    /// The calls since the last time that this was asked.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().calls)
    }

    /// Waits until the backend is asked something.
    pub(crate) async fn next_calls(&self) -> Vec<String> {
        loop {
            match self.take_calls() {
                calls if calls.is_empty() => tokio::task::yield_now().await,
                calls => return calls,
            }
        }
    }

    /// What `images/load` was given.
    pub(crate) fn loaded(&self) -> Vec<u8> {
        self.lock().loaded.clone()
    }

    /// Makes something happen.
    pub(crate) fn happen(&self, event: EventMessage) {
        self.lock().past_events.push(event.clone());
        drop(self.events.send(event));
    }

    pub(crate) fn exec(&self, id: &str) -> Option<ExecInspect> {
        self.lock().execs.get(id).map(|exec| exec.inspect.clone())
    }

    fn weak(&self) -> Weak<Self> {
        self.myself.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn note(&self, call: String) {
        drop(self.noted(call));
    }

    /// Notes a call and goes on with the state.
    fn noted(&self, call: String) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.calls.push(call);
        state
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// A running server in front of a fake.
pub(crate) struct Running {
    pub(crate) fake: Arc<Fake>,
    pub(crate) socket: PathBuf,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: tokio::task::JoinHandle<()>,
    pub(crate) folder: tempfile::TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("api.sock");
        let fake = Fake::new();
        let shutdown = CancellationToken::new();
        let listener = ListenAddress::Unix(socket.clone()).bind().await.unwrap();
        let ended = tokio::spawn(serve(vec![listener], fake.clone(), shutdown.clone()));
        Self { fake, socket, shutdown, ended, folder }
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_nanos(i128::from(seconds) * 1_000_000_000).unwrap()
}

fn no_such(kind: &str, name: &str) -> ApiError {
    ApiError::not_found(format!("{kind} {name} not found"))
}

fn find<'a, T>(objects: &'a [T], key: &str, names: impl Fn(&T) -> [&str; 2]) -> Option<&'a T> {
    objects.iter().find(|object| names(object).contains(&key))
}

fn task_name(task: &Task) -> [&str; 2] {
    [&task.id, &task.name]
}
