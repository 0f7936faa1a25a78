//! Further processes in running containers. Their streams go to the client; the keeper starts and reaps them, and holds
//! the master of a terminal only to resize it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::executor::{FromChild, Task, ToChild, Work};
use crate::failure::{Failure, Stage, StartFailure};
use crate::keeper::attach::set_size;
use crate::keeper::clients::ReplyTo;
use crate::keeper::container::Watched;
use crate::keeper::poll::{Serial, Source, Token};
use crate::keeper::run::Keeper;
use crate::keeper::spawn::{Birth, Child, Control, abandon, spawn};
use crate::keeper::start::system;
use crate::limits::EXECS_MAX;
use crate::plan::{ExecPlan, StartPlan};
use crate::signal::Signal;
use crate::spec::{ContainerId, ExecSpec};
use crate::state::{Ending, Event, ExecId};
use crate::sys::{self, SignalError, WaitStatus};
use crate::wire::{Answer, Streams};

/// One process.
#[derive(Debug)]
pub(super) struct Exec {
    id: ExecId,
    container: ContainerId,
    serial: Serial,
    pid: u32,
    process: Watched,
    control: Option<(Control, Token)>,
    /// Who waits for it to be started, until it is or fails.
    reply: Option<ReplyTo>,
    executing: bool,
    streams: Streams,
    /// The client's ends, until the answer takes them along.
    ends: Vec<OwnedFd>,
    master: Option<OwnedFd>,
}

/// Pipes: the child's ends, and the client's.
#[derive(Debug, Default)]
struct Pipes {
    child: [Option<OwnedFd>; 3],
    client: Vec<OwnedFd>,
}

impl Pipes {
    fn make(spec: &ExecSpec) -> io::Result<Self> {
        let mut pipes = Self::default();
        if spec.terminal {
            return Ok(pipes);
        }
        for (slot, wanted) in [spec.stdin, spec.stdout, spec.stderr].into_iter().enumerate() {
            if wanted {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
                let (child, client) = if slot == 0 { (reader, writer) } else { (writer, reader) };
                pipes.child[slot] = Some(child);
                pipes.client.push(client);
            }
        }
        Ok(pipes)
    }
}

impl Keeper {
    /// Starts a process in a container; answers once its command is executed, or could not be.
    pub(super) fn exec(&mut self, reply: ReplyTo, id: &ContainerId, spec: &ExecSpec) {
        if let Err(failure) = self.begin_exec(reply, id, spec) {
            self.refuse(reply, failure);
        }
    }

    fn begin_exec(&mut self, reply: ReplyTo, id: &ContainerId, spec: &ExecSpec) -> Result<(), Failure> {
        let serial = self.find(id)?;
        let held = self.execs.values().filter(|exec| exec.serial == serial).count();
        if held >= EXECS_MAX {
            return Err(Failure::Full { what: format!("exec processes of {id}"), held });
        }
        let container = self.containers.get(&serial).ok_or_else(|| Failure::NotFound { id: id.clone() })?;
        if !container.is_running() {
            return Err(container.wrong_status("joined"));
        }
        let cgroup = self.host.locate(&container.record.cgroup);
        let described = self.records.read_spec(id).map_err(system("read the container's description"))?;
        let capabilities = spec.capabilities.unwrap_or(described.process.capabilities);
        let filter = self.filters.compile(&described.seccomp, capabilities.bounding, &self.host.facts)?;
        let process = StartPlan::new(&described, &self.host.facts, filter)?.process.joined_by(spec)?;
        let plan = ExecPlan { cgroup, process };
        let pipes = Pipes::make(spec).map_err(system("make a pipe"))?;
        let (child, pidfd) = self.spawn_inside(serial).map_err(|error| {
            let detail = "clone3 in the container's process namespace".to_owned();
            Failure::Start(StartFailure { stage: Stage::Clone, errno: error.raw_os_error().unwrap_or(0), detail })
        })?;
        let task = Task {
            work: Work::Join(Box::new(plan)),
            inherited: self.inherited,
            stdio: pipes.child.each_ref().map(Option::is_some),
        };
        let mut descriptors: Vec<BorrowedFd<'_>> = pipes.child.iter().flatten().map(AsFd::as_fd).collect();
        descriptors.push(pidfd.as_fd());
        let sent = child.control.send(&ToChild::Task(Box::new(task)), &descriptors);
        drop(descriptors);
        let streams = Streams { terminal: spec.terminal, stdin: spec.stdin, stdout: spec.stdout, stderr: spec.stderr };
        self.next_exec += 1;
        let key = self.next_exec;
        let exec_id = ExecId(format!("{id}:{}-{key}", std::process::id()));
        let (exit_token, control_token) = match self.watch_exec(key, &child) {
            Ok(tokens) => tokens,
            Err(error) => {
                abandon(child);
                return Err(system("watch the new process")(error));
            }
        };
        let Child { pid, pidfd, control } = child;
        self.execs.insert(
            key,
            Exec {
                id: exec_id,
                container: id.clone(),
                serial,
                pid,
                process: Watched { descriptor: pidfd, token: exit_token },
                control: Some((control, control_token)),
                reply: Some(reply),
                executing: false,
                streams,
                ends: pipes.client,
                master: None,
            },
        );
        if let Err(error) = sent {
            self.fail_exec(key, system("hand the task to the new process")(error));
        }
        Ok(())
    }

    fn watch_exec(&mut self, key: u64, child: &Child) -> io::Result<(Token, Token)> {
        let exit = self.poller.watch(&child.pidfd, Source::ExecExit(key))?;
        let control = self.poller.watch(&child.control, Source::ExecControl(key))?;
        Ok((exit, control))
    }

    /// A child that is born in the container's process namespace: the keeper's children are, while it has joined that
    /// for its children. Also gives a second descriptor of the container's first process.
    fn spawn_inside(&mut self, serial: Serial) -> io::Result<(Child, OwnedFd)> {
        let container = self.containers.get(&serial).ok_or(io::ErrorKind::NotFound)?;
        let process = container.process.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let pidfd = process.descriptor.try_clone()?;
        if container.record.host_pids {
            return Ok((spawn(&self.single, &Birth::default())?, pidfd));
        }
        let own = File::open("/proc/self/ns/pid")?;
        sys::join_namespaces(&self.single, &pidfd, libc::CLONE_NEWPID)?;
        let child = spawn(&self.single, &Birth::default());
        sys::join_namespaces(&self.single, &own, libc::CLONE_NEWPID)?;
        Ok((child?, pidfd))
    }

    /// The child said something, or closed its socket.
    pub(super) fn exec_control_ready(&mut self, key: u64) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        let Some((control, _)) = &mut exec.control else { return };
        let (messages, open) = control.read();
        for (message, descriptor) in messages {
            match message {
                FromChild::Built => self.exec_built(key, descriptor),
                FromChild::Executing => {
                    if let Some(exec) = self.execs.get_mut(&key) {
                        exec.executing = true;
                    }
                }
                FromChild::Failed(failure) => self.fail_exec(key, Failure::Start(failure)),
                FromChild::Parked => {}
            }
        }
        if !open {
            self.exec_control_closed(key);
        }
    }

    fn exec_built(&mut self, key: u64, master: Option<OwnedFd>) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        let prepare = || -> io::Result<()> {
            if let Some(master) = master {
                exec.ends = vec![master.try_clone()?];
                exec.master = Some(master);
            }
            let (control, _) = exec.control.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            control.send(&ToChild::Go, &[])
        };
        if let Err(error) = prepare() {
            self.fail_exec(key, system("start the process")(error));
        }
    }

    fn exec_control_closed(&mut self, key: u64) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        if let Some((control, token)) = exec.control.take() {
            self.poller.forget(control.as_fd(), token);
        }
        let Some(reply) = exec.reply else { return };
        if exec.executing {
            exec.reply = None;
            let answer = Answer::Exec { exec: exec.id.clone(), pid: exec.pid, streams: exec.streams };
            let ends = std::mem::take(&mut exec.ends);
            self.answer(reply, &answer, ends);
        } else {
            let detail = "the process ended before its command was executed".to_owned();
            self.fail_exec(key, Failure::Start(StartFailure { stage: Stage::Protocol, errno: 0, detail }));
        }
    }

    fn fail_exec(&mut self, key: u64, failure: Failure) {
        let Some(exec) = self.execs.get_mut(&key) else { return };
        // It may have ended already; it is reaped in either case.
        let _gone = sys::send_signal(&exec.process.descriptor, Signal::KILL);
        if let Some(reply) = exec.reply.take() {
            self.refuse(reply, failure);
        }
    }

    /// An exec process ended.
    pub(super) fn exec_exit_ready(&mut self, key: u64) {
        self.exec_control_ready(key);
        let Some(exec) = self.execs.get_mut(&key) else { return };
        let ending = match sys::take_exit(&exec.process.descriptor) {
            Ok(None) => return,
            Ok(Some(WaitStatus::Exited(code))) => Ending::Code(code as u8),
            Ok(Some(WaitStatus::Killed(number))) => Signal::from_number(number).map_or(Ending::Unknown, Ending::Signal),
            Err(_) => Ending::Unknown,
        };
        let Some(exec) = self.execs.remove(&key) else { return };
        let started = exec.executing;
        exec.process.close(&mut self.poller);
        if let Some((control, token)) = exec.control {
            self.poller.forget(control.as_fd(), token);
        }
        if started {
            self.tell(&Event::ExecExited { id: exec.container, exec: exec.id, ending });
        }
    }

    fn find_exec(&self, id: &ExecId) -> Result<&Exec, Failure> {
        self.execs
            .values()
            .find(|exec| exec.id == *id && exec.reply.is_none())
            .ok_or_else(|| Failure::ExecNotFound { exec: id.0.clone() })
    }

    /// Sets the size of an exec process's terminal.
    pub(super) fn exec_resize(&self, id: &ExecId, rows: u16, columns: u16) -> Result<(), Failure> {
        let exec = self.find_exec(id)?;
        let master = exec.master.as_ref().ok_or_else(|| Failure::Invalid {
            field: "exec".to_owned(),
            value: id.0.clone(),
            remedy: "it has no terminal to resize".to_owned(),
        })?;
        set_size(master, rows, columns).map_err(system("resize the terminal"))
    }

    /// Sends a signal to an exec process.
    pub(super) fn exec_signal(&self, id: &ExecId, signal: Signal) -> Result<(), Failure> {
        let exec = self.find_exec(id)?;
        match sys::send_signal(&exec.process.descriptor, signal) {
            Ok(()) => Ok(()),
            Err(SignalError::Gone) => Err(Failure::ExecNotFound { exec: id.0.clone() }),
            Err(SignalError::Other(error)) => Err(system("send the signal")(error)),
        }
    }
}
