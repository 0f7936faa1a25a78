//! The loop: one event after another, each done wholly before the next.

use std::collections::HashMap;
use std::os::unix::net::UnixListener;

use crate::executor::Inherited;
use crate::keeper::clients::Client;
use crate::keeper::container::Container;
use crate::keeper::exec::Exec;
use crate::keeper::host::Host;
use crate::keeper::oom::OomWatch;
use crate::keeper::poll::{Poller, Ready, Serial, Source};
use crate::keeper::record::Records;
use crate::keeper::spares::Spares;
use crate::keeper::timers::{Due, Timers};
use crate::keeper::{KeepError, KeepOptions};
use crate::limits::OUTPUT_READ_BYTES;
use crate::plan::Filters;
use crate::spec::ContainerId;
use crate::sys::SingleThread;

/// The keeper's whole state. What of it must outlive the process is in `records` already.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) single: SingleThread,
    pub(super) host: Host,
    pub(super) inherited: Inherited,
    pub(super) poller: Poller,
    pub(super) timers: Timers,
    pub(super) records: Records,
    pub(super) listener: Option<UnixListener>,
    pub(super) clients: HashMap<u64, Client>,
    pub(super) next_client: u64,
    pub(super) containers: HashMap<Serial, Box<Container>>,
    pub(super) serials: HashMap<ContainerId, Serial>,
    pub(super) next_serial: Serial,
    pub(super) execs: HashMap<u64, Exec>,
    pub(super) next_exec: u64,
    pub(super) spares: Spares,
    pub(super) filters: Filters,
    pub(super) oom: OomWatch,
    /// Containers being built: their starts come before the making of spares.
    pub(super) building: usize,
    pub(super) buffer: Vec<u8>,
    pub(super) ending: bool,
}

impl Keeper {
    /// A keeper that has adopted what an earlier one left, and listens to nobody yet.
    pub(super) fn new(
        single: SingleThread,
        options: &KeepOptions,
        host: Host,
        inherited: Inherited,
    ) -> Result<Self, KeepError> {
        let mut poller = Poller::new().map_err(KeepError::Poll)?;
        let oom = OomWatch::new(&mut poller, &host).map_err(KeepError::host("watch for kills for memory"))?;
        let mut keeper = Self {
            single,
            inherited,
            poller,
            timers: Timers::default(),
            records: Records::new(&options.state_directory),
            listener: None,
            clients: HashMap::new(),
            next_client: 0,
            containers: HashMap::new(),
            serials: HashMap::new(),
            next_serial: 0,
            execs: HashMap::new(),
            next_exec: 0,
            spares: Spares::new(&host, options.spares),
            filters: Filters::default(),
            oom,
            building: 0,
            buffer: vec![0; OUTPUT_READ_BYTES],
            ending: false,
            host,
        };
        keeper.adopt().map_err(|source| KeepError::StateDirectory { path: options.state_directory.clone(), source })?;
        Ok(keeper)
    }

    /// Begins to listen.
    pub(super) fn listen(mut self, listener: UnixListener) -> Result<Self, KeepError> {
        self.poller.watch(&listener, Source::Listener).map_err(KeepError::Poll)?;
        self.listener = Some(listener);
        Ok(self)
    }

    /// Serves until told to end.
    pub(super) fn run(mut self) -> Result<(), KeepError> {
        while !self.ending {
            self.refill_spares();
            let ready = self.poller.wait(self.timers.next()).map_err(KeepError::Poll)?;
            for event in ready {
                self.handle(event);
            }
            while let Some(due) = self.timers.pop() {
                self.due(due);
            }
        }
        self.close();
        Ok(())
    }

    fn handle(&mut self, event: Ready) {
        match event.source {
            Source::Listener => self.accept(),
            Source::Client(key) => self.client_ready(key, event.writable),
            Source::Control(serial) => self.control_ready(serial),
            Source::Exit(serial) => self.exit_ready(serial),
            Source::Output(serial, stream) => self.output_ready(serial, stream),
            Source::Attached(serial, key) => self.attached_ready(serial, key, event.hung_up),
            Source::ExecControl(key) => self.exec_control_ready(key),
            Source::ExecExit(key) => self.exec_exit_ready(key),
            Source::Spare(key) => self.spare_ready(key),
            Source::Oom => self.oom_ready(),
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Kill(serial, stop) => self.grace_over(serial, stop),
            Due::ExitUnknown(serial) => self.exit_unknown(serial),
            Due::RemoveCgroup(serial) => self.try_removal(serial),
            Due::OomScan => self.oom_scan(),
            Due::RemoveStale => self.remove_stale(),
        }
    }

    /// Works on a container while everything else is at hand.
    pub(super) fn with<T>(&mut self, serial: Serial, work: impl FnOnce(&mut Self, &mut Container) -> T) -> Option<T> {
        let mut container = self.containers.remove(&serial)?;
        let outcome = work(self, &mut container);
        self.containers.insert(serial, container);
        Some(outcome)
    }
}
