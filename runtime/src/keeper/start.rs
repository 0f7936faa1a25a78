//! The making of a container, step by step as its child reports.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::cgroup;
use crate::executor::{CgroupEntry, FromChild, Task, ToChild, Work};
use crate::failure::{Failure, Stage, StartFailure};
use crate::keeper::clients::ReplyTo;
use crate::keeper::container::{Container, Phase, Watched};
use crate::keeper::fifo::{self, Fifo};
use crate::keeper::log::Log;
use crate::keeper::poll::{Serial, Source, Stream};
use crate::keeper::record::{Record, start_ticks};
use crate::keeper::run::Keeper;
use crate::keeper::spawn::{Birth, Child, abandon, spawn};
use crate::limits::CONTAINERS_MAX;
use crate::plan::StartPlan;
use crate::spec::{ContainerSpec, Namespace};
use crate::state::{Event, Timestamp};
use crate::wire::Answer;

/// The pipes of a container without a terminal.
#[derive(Debug, Default)]
struct Pipes {
    stdin: Option<Fifo>,
    stdout: Option<Fifo>,
    stderr: Option<Fifo>,
}

impl Keeper {
    /// Makes a container; answers when it is made (and started, when asked to), or could not be.
    pub(super) fn create(&mut self, reply: ReplyTo, spec: &ContainerSpec, start: bool) {
        if let Err(failure) = self.begin(reply, spec, start) {
            self.refuse(reply, failure);
        }
    }

    fn begin(&mut self, reply: ReplyTo, spec: &ContainerSpec, start: bool) -> Result<(), Failure> {
        let id = &spec.id;
        if self.serials.contains_key(id) {
            return Err(Failure::AlreadyExists { id: id.clone() });
        }
        if self.containers.len() >= CONTAINERS_MAX {
            return Err(Failure::Full { what: "containers".to_owned(), held: self.containers.len() });
        }
        let filter = self.filters.compile(&spec.seccomp, spec.process.capabilities.bounding, &self.host.facts)?;
        let mut plan = StartPlan::new(spec, &self.host.facts, filter)?;
        if spec.cgroup_parent.as_ref().is_none_or(|parent| *parent == self.host.facts.cgroup_parent) {
            // The keeper's own cgroup is there, and so are those above.
            plan.cgroup.ancestors.clear();
        }
        let log = spec.log.as_ref().map(Log::open).transpose().map_err(system("open the log"))?;
        let made = self.make_files(spec).and_then(|pipes| {
            let (child, entry) = self.child_for(&plan)?;
            let record = self.first_record(spec, &plan, child.pid);
            match self.records.begin(&record, spec) {
                Ok(()) => Ok((pipes, child, entry, record)),
                Err(error) => {
                    abandon(child);
                    Err(system("write the container's record")(error))
                }
            }
        });
        let (pipes, child, entry, record) = match made {
            Ok(made) => made,
            Err(failure) => {
                self.records.remove(id);
                return Err(failure);
            }
        };
        let mut container = Box::new(Container::new(record, Phase::Building { reply, start }, None));
        container.streams.log = log;
        self.next_serial += 1;
        let serial = self.next_serial;
        let outcome = self.hand_over(serial, &mut container, child, (pipes, plan, entry));
        self.serials.insert(id.clone(), serial);
        self.containers.insert(serial, container);
        self.building += 1;
        if let Err(error) = outcome {
            let failure = system("hand the task to the new process")(error);
            self.with(serial, |keeper, container| keeper.fail(container, failure));
        }
        Ok(())
    }

    fn make_files(&self, spec: &ContainerSpec) -> Result<Pipes, Failure> {
        if spec.process.terminal {
            return Ok(Pipes::default());
        }
        let output = |kind| fifo::make_output(&self.records.path(&spec.id, kind)).map_err(system("make a pipe"));
        let stdin = if spec.process.open_stdin {
            Some(fifo::make_input(&self.records.path(&spec.id, "stdin")).map_err(system("make a pipe"))?)
        } else {
            None
        };
        Ok(Pipes { stdin, stdout: Some(output("stdout")?), stderr: Some(output("stderr")?) })
    }

    /// A parked child, or a new one.
    fn child_for(&mut self, plan: &StartPlan) -> Result<(Child, CgroupEntry), Failure> {
        if let Some((child, location)) = self.take_spare(plan) {
            return Ok((child, CgroupEntry::Rename(location)));
        }
        let mut flags = 0;
        for (new, flag) in
            [(plan.new_pid, libc::CLONE_NEWPID), (plan.new_ipc, libc::CLONE_NEWIPC), (plan.new_uts, libc::CLONE_NEWUTS)]
        {
            flags |= if new { flag } else { 0 };
        }
        let clone_failure = |error: io::Error| {
            Failure::Start(StartFailure {
                stage: Stage::Clone,
                errno: error.raw_os_error().unwrap_or(0),
                detail: "clone3".to_owned(),
            })
        };
        let location = &plan.cgroup.location;
        if !location.v2 {
            let child = spawn(&self.single, &Birth { flags, ..Birth::default() }).map_err(clone_failure)?;
            return Ok((child, CgroupEntry::Move));
        }
        let made = cgroup::apply(plan.cgroup.steps()).map_err(|error| {
            Failure::Start(StartFailure {
                stage: Stage::Cgroup,
                errno: error.source.raw_os_error().unwrap_or(0),
                detail: error.what,
            })
        });
        let born = made.and_then(|()| {
            let directory = location.directories.first().map(|(path, _)| File::open(path)).transpose();
            let directory = directory.map_err(system("open the cgroup"))?;
            let cgroup = directory.as_ref().map(AsFd::as_fd);
            spawn(&self.single, &Birth { flags, cgroup, parking: None }).map_err(clone_failure)
        });
        if born.is_err() {
            cgroup::remove_empty(location);
        }
        Ok((born?, CgroupEntry::Inside))
    }

    fn first_record(&self, spec: &ContainerSpec, plan: &StartPlan, pid: u32) -> Record {
        Record {
            id: spec.id.clone(),
            boot_id: self.host.boot_id.clone(),
            pid,
            start_ticks: None,
            created_at: Timestamp::now(),
            started_at: None,
            exit: None,
            terminal: spec.process.terminal,
            host_pids: spec.namespaces.pid == Namespace::Host,
            memory_limited: spec.resources.memory.is_some(),
            cgroup: plan.cgroup.location.path.clone(),
            stop_signal: spec.stop_signal,
            log: spec.log.clone(),
        }
    }

    fn hand_over(
        &mut self,
        serial: Serial,
        container: &mut Container,
        child: Child,
        (pipes, plan, entry): (Pipes, StartPlan, CgroupEntry),
    ) -> io::Result<()> {
        let token = self.poller.watch(&child.pidfd, Source::Exit(serial))?;
        container.process = Some(Watched { descriptor: child.pidfd, token });
        let token = self.poller.watch(&child.control, Source::Control(serial))?;
        let (control, _) = container.control.insert((child.control, token));
        let ends = [&pipes.stdin, &pipes.stdout, &pipes.stderr];
        let task = Task {
            work: Work::Start { plan: Box::new(plan), entry },
            inherited: self.inherited,
            stdio: ends.map(Option::is_some),
        };
        let descriptors: Vec<BorrowedFd<'_>> = ends.into_iter().flatten().map(|pipe| pipe.container.as_fd()).collect();
        control.send(&ToChild::Task(Box::new(task)), &descriptors)?;
        container.streams.stdin = pipes.stdin.map(|pipe| pipe.keeper);
        for (pipe, stream) in [(pipes.stdout, Stream::Stdout), (pipes.stderr, Stream::Stderr)] {
            if let Some(pipe) = pipe {
                self.watch_output(serial, container, stream, pipe.keeper)?;
            }
        }
        Ok(())
    }

    /// Begins to read one of a container's outputs.
    pub(super) fn watch_output(
        &mut self,
        serial: Serial,
        container: &mut Container,
        stream: Stream,
        descriptor: OwnedFd,
    ) -> io::Result<()> {
        let token = self.poller.watch(&descriptor, Source::Output(serial, stream))?;
        let watched = Some(Watched { descriptor, token });
        match stream {
            Stream::Stdout => container.streams.stdout = watched,
            Stream::Stderr => container.streams.stderr = watched,
        }
        Ok(())
    }

    /// The child said something, or closed its socket.
    pub(super) fn control_ready(&mut self, serial: Serial) {
        self.with(serial, |keeper, container| keeper.hear(serial, container));
    }

    /// Takes everything that the child has said.
    pub(super) fn hear(&mut self, serial: Serial, container: &mut Container) {
        let Some((control, _)) = &mut container.control else { return };
        let (messages, open) = control.read();
        for (message, descriptor) in messages {
            match message {
                FromChild::Built => {
                    if let Err(error) = self.built(serial, container, descriptor) {
                        self.fail(container, system("note that the container is made")(error));
                    }
                }
                FromChild::Executing => container.executing = true,
                FromChild::Failed(failure) => self.fail(container, Failure::Start(failure)),
                FromChild::Parked => {}
            }
        }
        if !open {
            container.close_control(&mut self.poller);
            self.control_closed(container);
        }
    }

    fn built(&mut self, serial: Serial, container: &mut Container, master: Option<OwnedFd>) -> io::Result<()> {
        let Phase::Building { reply, start } = container.phase else { return Ok(()) };
        if let Some(master) = master {
            rustix::io::ioctl_fionbio(&master, true)?;
            self.watch_output(serial, container, Stream::Stdout, master)?;
        }
        self.hold(container);
        if container.record.memory_limited {
            self.oom.watch(&self.host.locate(&container.record.cgroup))?;
        }
        let record = &mut container.record;
        let ticks = start_ticks(record.pid).ok_or(io::ErrorKind::NotFound)?;
        record.start_ticks = Some(ticks);
        self.records.made(&record.id, ticks)?;
        if start {
            self.go(container, reply, true)
        } else {
            let pid = record.pid;
            container.phase = Phase::Created;
            self.building -= 1;
            self.answer(reply, &Answer::Created { pid }, Vec::new());
            Ok(())
        }
    }

    /// Lets the child execute its command. The record says so before it can: a successor that finds the process alive
    /// knows that it was started.
    pub(super) fn go(&mut self, container: &mut Container, reply: ReplyTo, fresh: bool) -> io::Result<()> {
        let now = Timestamp::now();
        self.records.started(&container.record.id, now)?;
        container.record.started_at = Some(now);
        let (control, _) = container.control.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        control.send(&ToChild::Go, &[])?;
        if fresh {
            self.building -= 1;
        }
        container.phase = Phase::Starting { reply, fresh };
        Ok(())
    }

    fn control_closed(&mut self, container: &mut Container) {
        match container.phase {
            Phase::Starting { reply, fresh } if container.executing => {
                container.phase = Phase::Running;
                let (id, pid) = (container.record.id.clone(), container.record.pid);
                let at = container.record.started_at.unwrap_or(container.record.created_at);
                self.tell(&Event::Started { id, pid, at });
                if fresh {
                    self.answer(reply, &Answer::Created { pid }, Vec::new());
                } else {
                    self.done(reply);
                }
            }
            Phase::Building { .. } | Phase::Starting { .. } => {
                let detail = "the process ended before its command was executed (out of memory, or killed)".to_owned();
                self.fail(container, Failure::Start(StartFailure { stage: Stage::Protocol, errno: 0, detail }));
            }
            _ => {}
        }
    }
}

/// A failure of the host's outside the child.
pub(super) fn system(operation: &str) -> impl FnOnce(io::Error) -> Failure {
    let operation = operation.to_owned();
    move |error| match error.raw_os_error() {
        Some(errno) => Failure::System { operation, errno },
        None => Failure::System { operation: format!("{operation}: {error}"), errno: libc::EIO },
    }
}
