//! Taking over from a keeper that is gone: the records say what there was, the kernel what there still is.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::failure::Failure;
use crate::keeper::container::{Container, Phase, Watched};
use crate::keeper::fifo;
use crate::keeper::log::Log;
use crate::keeper::poll::{Serial, Source, Stream};
use crate::keeper::record::{Record, start_ticks};
use crate::keeper::run::Keeper;
use crate::keeper::start::system;
use crate::signal::Signal;
use crate::spec::ContainerId;
use crate::state::{Ending, ExitStatus, Timestamp};
use crate::{cgroup, sys};

impl Keeper {
    /// Adopts every container that is on record.
    pub(super) fn adopt(&mut self) -> io::Result<()> {
        self.records.remove_strays()?;
        let (records, broken) = self.records.read_all()?;
        for why in broken {
            eprintln!("a record cannot be read and is left as it is: {why}");
        }
        for record in records {
            self.next_serial += 1;
            let serial = self.next_serial;
            self.serials.insert(record.id.clone(), serial);
            let container = self.adopt_one(serial, record);
            self.containers.insert(serial, Box::new(container));
            self.try_removal(serial);
        }
        Ok(())
    }

    fn adopt_one(&mut self, serial: Serial, record: Record) -> Container {
        if record.exit.is_some() {
            return Container::new(record, Phase::Exited, None);
        }
        if record.start_ticks.is_none() {
            // Its making was cut short: whoever asked for it was never told that it is there. The child ends by itself.
            return Container::new(record, Phase::Forgotten { reply: None }, None);
        }
        match self.find_alive(serial, &record) {
            Some(process) if record.started_at.is_some() => {
                let mut container = Container::new(record, Phase::Running, Some(process));
                self.reopen(serial, &mut container);
                container
            }
            Some(process) => {
                // It waits for a start that its keeper can no longer give.
                let _ended = sys::send_signal(&process.descriptor, Signal::KILL);
                process.close(&mut self.poller);
                self.lost(record)
            }
            None => self.lost(record),
        }
    }

    /// The process of a record, if it is still that one.
    fn find_alive(&mut self, serial: Serial, record: &Record) -> Option<Watched> {
        if record.boot_id != self.host.boot_id {
            return None;
        }
        let pid = Pid::from_raw(i32::try_from(record.pid).ok()?)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Looked at after the pidfd is there: the number cannot have become another's since.
        if start_ticks(record.pid) != record.start_ticks {
            return None;
        }
        let token = self.poller.watch(&descriptor, Source::Exit(serial)).ok()?;
        Some(Watched { descriptor, token })
    }

    /// Takes up the streams again. The master of a terminal comes from the client that holds it.
    fn reopen(&mut self, serial: Serial, container: &mut Container) {
        let id = container.record.id.clone();
        match container.record.log.as_ref().map(Log::open).transpose() {
            Ok(log) => container.streams.log = log,
            Err(error) => eprintln!("log of {id}: {error}"),
        }
        let location = self.host.locate(&container.record.cgroup);
        container.oom_kills = cgroup::oom_kills(&location);
        if container.record.memory_limited
            && let Err(error) = self.oom.watch(&location)
        {
            eprintln!("watch the memory of {id}: {error}");
        }
        if container.record.terminal {
            return;
        }
        for (kind, stream) in [("stdout", Stream::Stdout), ("stderr", Stream::Stderr)] {
            let opened = fifo::reopen_output(&self.records.path(&id, kind));
            if let Err(error) = opened.and_then(|pipe| self.watch_output(serial, container, stream, pipe)) {
                eprintln!("{kind} of {id}: {error}");
            }
        }
        // Most containers have none.
        container.streams.stdin = fifo::reopen_input(&self.records.path(&id, "stdin")).ok();
    }

    /// Takes back the master of a terminal that a client held.
    pub(super) fn restore(&mut self, id: &ContainerId, master: Option<OwnedFd>) -> Result<(), Failure> {
        let serial = self.find(id)?;
        let restored = self.with(serial, |keeper, container| {
            let wanted = container.record.terminal && container.process.is_some() && container.terminal().is_none();
            let Some(master) = master.filter(|_| wanted) else {
                return Err(container.wrong_status("given its terminal back"));
            };
            keeper.watch_output(serial, container, Stream::Stdout, master).map_err(system("watch the terminal"))
        });
        restored.unwrap_or_else(|| Err(Failure::NotFound { id: id.clone() }))
    }

    /// A container that ended while no keeper was there.
    fn lost(&mut self, mut record: Record) -> Container {
        let location = self.host.locate(&record.cgroup);
        let status = ExitStatus {
            ending: Ending::Unknown,
            oom_killed: record.memory_limited && cgroup::oom_kills(&location) > 0,
            started_at: record.started_at,
            finished_at: Timestamp::now(),
        };
        if let Err(error) = self.records.ended(&record.id, &status) {
            eprintln!("note the end of {}: {error}", record.id);
        }
        record.exit = Some(status);
        Container::new(record, Phase::Exited, None)
    }
}
