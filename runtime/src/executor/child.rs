//! The child's whole life: wait for a task, carry it out, report, execute.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, set_dumpable_behavior, setsid, umask};

use crate::cgroup::{self, Location, Step};
use crate::executor::accounts::Identity;
use crate::executor::channel::{Channel, FromChild, Inherited, Task, ToChild, Work};
use crate::executor::console::Terminal;
use crate::executor::failure::{AtStage, cgroup_failure, refuse};
use crate::executor::stdio::Streams;
use crate::executor::{command, credentials, init, join, start};
use crate::failure::{Stage, StartFailure};
use crate::plan::ProcessPlan;
use crate::sys::{self, SingleThread};

/// How a child waits for work that is not there yet: in a cgroup that becomes the container's.
#[derive(Debug, Clone)]
pub(crate) struct Parking {
    pub(crate) steps: Vec<Step>,
    pub(crate) location: Location,
}

/// A process that stands in the container, ready to become the command.
pub(super) struct Standing {
    pub(super) process: ProcessPlan,
    pub(super) identity: Identity,
    pub(super) terminal: Option<Terminal>,
    /// It becomes pid 1, and the command its child.
    pub(super) init: bool,
}

/// A type without values: success is the command itself.
pub(super) enum Never {}

/// Runs a child. Never returns into the caller's code: whatever happens, the process ends or becomes the command.
pub(crate) fn child_main(single: &SingleThread, control: OwnedFd, parking: Option<&Parking>) -> ! {
    let outcome = catch_unwind(AssertUnwindSafe(|| -> io::Result<()> {
        let mut channel = settle(&control)?;
        let Err(failure) = run(single, &mut channel, parking);
        channel.report(&FromChild::Failed(failure), None)
    }));
    // When the report failed the keeper is gone, and there is nobody to tell. The destructors of what was copied from
    // the keeper must not run.
    sys::exit_now(if matches!(outcome, Ok(Ok(()))) { 1 } else { EXIT_UNREPORTED })
}

/// Lets go of everything that is the keeper's but its socket.
fn settle(control: &OwnedFd) -> io::Result<Channel> {
    // Nobody in a container may look into this process, which holds the keeper's memory, until it is the command.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    sys::reset_signals()?;
    umask(Mode::empty());
    // Descriptors of the keeper's are closed by number: the values that own them are never dropped here.
    let control = rustix::io::fcntl_dupfd_cloexec(control, FIRST_DESCRIPTOR.cast_signed())?;
    let number = control.as_raw_fd().cast_unsigned();
    sys::close_descriptors_between(FIRST_DESCRIPTOR, number)?;
    sys::close_descriptors_from(number + 1)?;
    Ok(Channel::new(control))
}

fn run(single: &SingleThread, channel: &mut Channel, parking: Option<&Parking>) -> Result<Never, StartFailure> {
    if let Some(parking) = parking {
        cgroup::apply(&parking.steps)
            .and_then(|()| cgroup::enter(&parking.location))
            .map_err(|error| cgroup_failure(&error))?;
        report(channel, &FromChild::Parked)?;
    }
    let (message, descriptors) = channel.wait().at(Stage::Protocol, || "waiting for a task".to_owned())?;
    let ToChild::Task(task) = message else { return Err(refuse(Stage::Protocol, "the keeper sent no task")) };
    let Task { work, inherited, stdio } = *task;
    let mut descriptors = descriptors.into_iter();
    let streams = Streams::take(stdio, &mut descriptors)?;
    // A session of its own: no terminal of the keeper's, no signal meant for the keeper's group.
    setsid().at(Stage::Terminal, || "making a session".to_owned())?;
    match sys::new_session_keyring() {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => {
            return Err(error).at(Stage::Namespace, || "making a session keyring".to_owned());
        }
        _ => {}
    }
    let standing = match work {
        Work::Start { plan, entry } => start::start(single, *plan, entry)?,
        Work::Join(plan) => {
            let pidfd = descriptors.next().ok_or_else(|| refuse(Stage::Protocol, "no pidfd came with the task"))?;
            join::join(single, *plan, &pidfd)?
        }
    };
    let master = standing.terminal.as_ref().map(|terminal| terminal.master().as_fd());
    channel.report(&FromChild::Built, master).at(Stage::Protocol, || "reporting".to_owned())?;
    let (ToChild::Go, _) = channel.wait().at(Stage::Protocol, || "waiting for the start".to_owned())? else {
        return Err(refuse(Stage::Protocol, "the keeper sent no start"));
    };
    become_command(single, channel, standing, &(streams, inherited))
}

/// From here on the process gives up what it can do, step by step; the order is that of losing rights.
fn become_command(
    single: &SingleThread,
    channel: &Channel,
    standing: Standing,
    (streams, inherited): &(Streams, Inherited),
) -> Result<Never, StartFailure> {
    let Standing { process, identity, terminal, init } = standing;
    streams.install(terminal, &identity)?;
    umask(Mode::from_raw_mode(UMASK));
    credentials::limit(&process, inherited)?;
    credentials::assume(&process, &identity)?;
    report(channel, &FromChild::Executing)?;
    sys::close_on_exec_from(FIRST_DESCRIPTOR).at(Stage::Execute, || "closing descriptors".to_owned())?;
    if init {
        init::supervise(single, process.terminal)?;
    }
    command::execute(&process, &identity)
}

fn report(channel: &Channel, message: &FromChild) -> Result<(), StartFailure> {
    channel.report(message, None).at(Stage::Protocol, || "reporting".to_owned())
}

/// The first descriptor after stdin, stdout and stderr.
const FIRST_DESCRIPTOR: u32 = 3;
/// What programs expect to start with.
const UMASK: u32 = 0o022;
/// The child ended without being able to say why (EX_SOFTWARE).
const EXIT_UNREPORTED: i32 = 70;
