//! The small init that may be pid 1: it starts the command as its child, hands signals on to it, reaps whatever is left
//! behind, and ends as the command ended.

use rustix::process::{Pid, getpid, setpgid};

use crate::executor::failure::AtStage;
use crate::failure::{Stage, StartFailure};
use crate::signal::Signal;
use crate::sys::{self, Cloned, SingleThread, WaitStatus};

/// Makes this process the init. Returns only in the child, which goes on to be the command.
pub(super) fn supervise(single: &SingleThread, terminal: bool) -> Result<(), StartFailure> {
    sys::block_signals().at(Stage::Execute, || "blocking signals".to_owned())?;
    match sys::clone_process(single, 0, None).at(Stage::Clone, || "the command below the init".to_owned())? {
        Cloned::Child => {
            // A group of its own, in front: signals from the keyboard are for the command.
            setpgid(None, None).at(Stage::Execute, || "making a process group".to_owned())?;
            if terminal {
                rustix::termios::tcsetpgrp(std::io::stdin(), getpid())
                    .at(Stage::Terminal, || "taking the foreground".to_owned())?;
            }
            sys::reset_signals().at(Stage::Execute, || "unblocking signals".to_owned())
        }
        Cloned::Parent { pid, pidfd } => {
            // Its number is closed with all others below.
            std::mem::forget(pidfd);
            sys::exit_now(match reap_until(pid) {
                Some(WaitStatus::Exited(code)) => code,
                Some(WaitStatus::Killed(signal)) => 128 + signal,
                None => EXIT_BROKEN,
            })
        }
    }
}

fn reap_until(command: u32) -> Option<WaitStatus> {
    // The keeper's socket is among them: its end tells the keeper that the command was executed.
    sys::close_descriptors_from(3).ok()?;
    let child = Pid::from_raw(i32::try_from(command).ok()?)?;
    loop {
        let number = sys::wait_for_signal().ok()?;
        if number == libc::SIGCHLD {
            while let Some((pid, ended)) = sys::reap_any() {
                if pid == command {
                    return Some(ended);
                }
            }
        } else {
            forward(child, number);
        }
    }
}

fn forward(child: Pid, number: i32) {
    if let Ok(signal) = Signal::from_number(number) {
        // It may have ended just now, and then its SIGCHLD is on the way.
        let _gone = sys::send_signal_to(child.as_raw_nonzero().get(), signal);
    }
}

/// The init could not do its work (EX_OSERR).
const EXIT_BROKEN: i32 = 71;
