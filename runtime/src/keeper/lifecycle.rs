//! From running to gone: signals, stops, exits, what is noted of them, and the removal of what is left.

use std::io;
use std::time::{Duration, Instant};

use crate::cgroup;
use crate::failure::{Failure, Stage};
use crate::keeper::clients::ReplyTo;
use crate::keeper::container::{Container, Phase, Removal};
use crate::keeper::poll::{Serial, Stream};
use crate::keeper::record::unreaped_exit;
use crate::keeper::run::Keeper;
use crate::keeper::start::system;
use crate::keeper::timers::Due;
use crate::limits::CGROUP_REMOVAL_MAX;
use crate::seccomp::KernelVersion;
use crate::signal::Signal;
use crate::spec::ContainerId;
use crate::state::{Ending, Event, ExitStatus, Timestamp};
use crate::sys::{self, SignalError, WaitStatus};

impl Keeper {
    /// The container of that id.
    pub(super) fn find(&self, id: &ContainerId) -> Result<Serial, Failure> {
        self.serials.get(id).copied().ok_or_else(|| Failure::NotFound { id: id.clone() })
    }

    /// Starts a container that was made before.
    pub(super) fn start(&mut self, reply: ReplyTo, id: &ContainerId) {
        let outcome = self.find(id).map(|serial| {
            self.with(serial, |keeper, container| {
                if !matches!(container.phase, Phase::Created) {
                    return keeper.refuse(reply, container.wrong_status("started"));
                }
                if let Err(error) = keeper.go(container, reply, false) {
                    container.phase = Phase::Starting { reply, fresh: false };
                    keeper.fail(container, system("start the container")(error));
                }
            })
        });
        if let Err(failure) = outcome {
            self.refuse(reply, failure);
        }
    }

    /// Sends a signal to the first process.
    pub(super) fn signal(&mut self, id: &ContainerId, signal: Signal) -> Result<(), Failure> {
        let serial = self.find(id)?;
        let Some(container) = self.containers.get(&serial) else { return Ok(()) };
        let process = container.process.as_ref().filter(|_| container.is_running());
        let process = process.ok_or_else(|| container.wrong_status("signalled"))?;
        match sys::send_signal(&process.descriptor, signal) {
            Ok(()) => Ok(()),
            Err(SignalError::Gone) => Err(container.wrong_status("signalled")),
            Err(SignalError::Other(error)) => Err(system("send the signal")(error)),
        }
    }

    /// Asks a container to end, and sets the deadline.
    pub(super) fn stop(
        &mut self,
        id: &ContainerId,
        signal: Option<Signal>,
        grace_ms: Option<u64>,
    ) -> Result<(), Failure> {
        let serial = self.find(id)?;
        self.with(serial, |keeper, container| {
            let running = container.is_running();
            let Some(process) = &container.process else { return Ok(()) };
            if !running {
                // Its first process is still the keeper's, and takes no signal but this.
                return keeper.kill(container);
            }
            match sys::send_signal(&process.descriptor, signal.unwrap_or(container.record.stop_signal)) {
                Ok(()) | Err(SignalError::Gone) => {}
                Err(SignalError::Other(error)) => return Err(system("send the signal")(error)),
            }
            container.stops += 1;
            if let Some(grace) = grace_ms {
                keeper.timers.add(Duration::from_millis(grace), Due::Kill(serial, container.stops));
            }
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// The grace period of a stop is over.
    pub(super) fn grace_over(&mut self, serial: Serial, stop: u64) {
        self.with(serial, |keeper, container| {
            if container.stops == stop
                && let Err(failure) = keeper.kill(container)
            {
                eprintln!("kill {}: {failure}", container.record.id);
            }
        });
    }

    /// Kills everything in a container.
    pub(super) fn kill(&self, container: &Container) -> Result<(), Failure> {
        let Some(process) = &container.process else { return Ok(()) };
        let outcome = sys::send_signal(&process.descriptor, Signal::KILL);
        if container.record.host_pids {
            self.kill_members(container);
        }
        match outcome {
            Ok(()) | Err(SignalError::Gone) => Ok(()),
            Err(SignalError::Other(error)) => Err(system("kill the first process")(error)),
        }
    }

    /// Processes that share the host's process ids do not end with the first one.
    fn kill_members(&self, container: &Container) {
        let location = self.host.locate(&container.record.cgroup);
        if let Err(error) = cgroup::kill(&location) {
            eprintln!("kill the processes of {}: {error}", container.record.id);
        }
    }

    /// Removes a container, killing it first; answers once everything of it is gone.
    pub(super) fn delete(&mut self, reply: ReplyTo, id: &ContainerId) {
        match self.find(id) {
            Err(failure) => self.refuse(reply, failure),
            Ok(serial) => {
                self.with(serial, |keeper, container| {
                    container.deleting.push(reply);
                    if let Err(failure) = keeper.kill(container) {
                        container.deleting.pop();
                        keeper.refuse(reply, failure);
                    }
                });
                self.forget_if_done(serial);
            }
        }
    }

    /// A start failed: end the child; the rest follows when it is reaped.
    pub(super) fn fail(&mut self, container: &mut Container, failure: Failure) {
        let (reply, ending) = match &container.phase {
            Phase::Building { reply, .. } => {
                self.building -= 1;
                (*reply, None)
            }
            Phase::Starting { reply, fresh: true } => (*reply, None),
            Phase::Starting { reply, fresh: false } => {
                let code = match &failure {
                    Failure::Start(failure) => failure.exit_code(),
                    _ => EXIT_FAILED,
                };
                (*reply, Some(Ending::Code(code)))
            }
            _ => return,
        };
        container.phase = Phase::Failing { reply: Some((reply, failure)), ending };
        if let Err(failure) = self.kill(container) {
            eprintln!("end a failed start of {}: {failure}", container.record.id);
        }
    }

    /// A first process ended.
    pub(super) fn exit_ready(&mut self, serial: Serial) {
        self.with(serial, |keeper, container| {
            let Some(process) = &container.process else { return };
            match sys::take_exit(&process.descriptor) {
                Ok(None) => {}
                Ok(Some(status)) => keeper.reaped(serial, container, to_ending(status)),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => keeper.adopted_ended(serial, container),
                Err(error) => {
                    eprintln!("reap {}: {error}", container.record.id);
                    keeper.reaped(serial, container, Ending::Unknown);
                }
            }
        });
        self.try_removal(serial);
    }

    /// An adopted process ended. It is another's child: until that reaps it, `/proc` says how it ended; from then on the
    /// kernel remembers for holders of a pidfd.
    fn adopted_ended(&mut self, serial: Serial, container: &mut Container) {
        let Some(process) = &container.process else { return };
        let record = &container.record;
        let unreaped = record.start_ticks.and_then(|ticks| unreaped_exit(record.pid, ticks));
        match unreaped.or_else(|| sys::exit_record(&process.descriptor)) {
            Some(status) => self.reaped(serial, container, to_ending(status)),
            None if self.host.facts.kernel < REMEMBERS_EXITS => self.reaped(serial, container, Ending::Unknown),
            None => {
                // In between the two. The pidfd is readable all the time; its hang-up, which is always told, says that
                // the process was reaped.
                match self.poller.want_write(&process.descriptor, process.token, false, false) {
                    Ok(()) => self.timers.add(REAPING_MAX, Due::ExitUnknown(serial)),
                    Err(_) => self.reaped(serial, container, Ending::Unknown),
                }
            }
        }
    }

    /// Nobody reaped an adopted process: its parent does not care, and never will.
    pub(super) fn exit_unknown(&mut self, serial: Serial) {
        self.with(serial, |keeper, container| {
            let Some(process) = &container.process else { return };
            let ending = sys::exit_record(&process.descriptor).map_or(Ending::Unknown, to_ending);
            keeper.reaped(serial, container, ending);
        });
        self.try_removal(serial);
    }

    /// Takes what is left of a first process that ended.
    fn reaped(&mut self, serial: Serial, container: &mut Container, ending: Ending) {
        // What it said last, to the keeper and to its log, was said before.
        self.hear(serial, container);
        self.drain(container, Stream::Stdout);
        self.drain(container, Stream::Stderr);
        self.close_streams(container);
        if let Some(process) = container.process.take() {
            process.close(&mut self.poller);
        }
        self.ended(container, ending);
    }

    /// Notes how it ended, and tells.
    fn ended(&mut self, container: &mut Container, ending: Ending) {
        let location = self.host.locate(&container.record.cgroup);
        let oom_killed = container.record.memory_limited && cgroup::oom_kills(&location) > 0;
        if container.record.host_pids {
            self.kill_members(container);
        }
        let (mut ending, mut failed) = (ending, None);
        match std::mem::replace(&mut container.phase, Phase::Exited) {
            Phase::Failing { reply, ending: None } => {
                let reply = reply.map(|(to, failure)| (to, explain(failure, oom_killed)));
                container.phase = Phase::Forgotten { reply };
                return;
            }
            Phase::Failing { reply, ending: Some(code) } => {
                ending = code;
                container.record.started_at = None;
                failed = reply;
            }
            _ => {}
        }
        let started_at = container.record.started_at;
        let status = ExitStatus { ending, oom_killed, started_at, finished_at: Timestamp::now() };
        container.record.exit = Some(status.clone());
        if let Err(error) = self.records.ended(&container.record.id, &status) {
            eprintln!("note the end of {}: {error}", container.record.id);
        }
        let id = container.record.id.clone();
        if oom_killed && container.oom_kills == 0 {
            self.tell(&Event::OomKilled { id: id.clone() });
        }
        self.tell(&Event::Exited { id, status });
        if let Some((reply, failure)) = failed {
            self.refuse(reply, failure);
        }
    }

    /// Removes the cgroup of a container that ended. The kernel may need a moment to let go of its processes.
    pub(super) fn try_removal(&mut self, serial: Serial) {
        self.with(serial, |keeper, container| {
            if !matches!(container.phase, Phase::Exited | Phase::Forgotten { .. }) || container.cgroup == Removal::Done
            {
                return;
            }
            let location = keeper.host.locate(&container.record.cgroup);
            let Err(error) = cgroup::remove(&location) else {
                container.cgroup = Removal::Done;
                return;
            };
            let since = match container.cgroup {
                Removal::Since(since) => since,
                _ => Instant::now(),
            };
            container.cgroup = Removal::Since(since);
            if since.elapsed() < CGROUP_REMOVAL_MAX {
                if container.record.host_pids {
                    keeper.kill_members(container);
                }
                keeper.timers.add(REMOVAL_PAUSE, Due::RemoveCgroup(serial));
            } else {
                eprintln!("{}: {error}: {}; leaving it", container.record.id, error.source);
                container.cgroup = Removal::Done;
            }
        });
        self.forget_if_done(serial);
    }

    /// Forgets a container of which nothing is left, when that is wanted.
    fn forget_if_done(&mut self, serial: Serial) {
        let done = self.containers.get(&serial).is_some_and(|container| {
            container.cgroup == Removal::Done
                && match container.phase {
                    Phase::Forgotten { .. } => true,
                    Phase::Exited => !container.deleting.is_empty(),
                    _ => false,
                }
        });
        if !done {
            return;
        }
        let Some(container) = self.containers.remove(&serial) else { return };
        self.serials.remove(&container.record.id);
        self.records.remove(&container.record.id);
        if let Phase::Forgotten { reply: Some((reply, failure)) } = container.phase {
            self.refuse(reply, failure);
        }
        for reply in container.deleting {
            self.done(reply);
        }
    }
}

fn to_ending(status: WaitStatus) -> Ending {
    match status {
        WaitStatus::Exited(code) => Ending::Code(code as u8),
        WaitStatus::Killed(number) => Signal::from_number(number).map_or(Ending::Unknown, Ending::Signal),
    }
}

/// A child that vanished without a word was killed; if its memory limit did it, say so.
fn explain(failure: Failure, oom_killed: bool) -> Failure {
    match failure {
        Failure::Start(mut start) if start.stage == Stage::Protocol && oom_killed => {
            start.errno = libc::ENOMEM;
            start.detail =
                "the memory limit is too small for the container to start; raise resources.memory".to_owned();
            Failure::Start(start)
        }
        other => other,
    }
}

/// The first kernel that remembers exits for holders of a pidfd.
const REMEMBERS_EXITS: KernelVersion = KernelVersion(6, 15);
/// How long a parent may take to reap; those that orphans come to do nothing else.
const REAPING_MAX: Duration = Duration::from_secs(2);
/// How often the removal of a cgroup is tried.
const REMOVAL_PAUSE: Duration = Duration::from_millis(2);
/// Docker's code for a container that could not be started.
const EXIT_FAILED: u8 = 128;

/// Whether an error says that there is nothing now.
pub(super) fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
