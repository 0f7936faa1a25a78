//! stdin, stdout and stderr of the command.

use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchown, openat};

use crate::executor::accounts::Identity;
use crate::executor::console::Terminal;
use crate::executor::failure::{AtStage, refuse};
use crate::failure::{Stage, StartFailure};

/// The streams that the keeper gave, in order; where it gave none, the host's `/dev/null`.
#[derive(Debug)]
pub(super) struct Streams {
    given: [Option<OwnedFd>; 3],
    null: OwnedFd,
}

impl Streams {
    /// Takes those that came. Runs while the host's root is this process's root.
    pub(super) fn take(
        present: [bool; 3],
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Result<Self, StartFailure> {
        let mut given = [None, None, None];
        for (slot, present) in given.iter_mut().zip(present) {
            if present {
                *slot = Some(
                    descriptors.next().ok_or_else(|| refuse(Stage::Protocol, "a stream did not come with the task"))?,
                );
            }
        }
        let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .at(Stage::Terminal, || "the host's /dev/null".to_owned())?;
        Ok(Self { given, null })
    }

    /// Puts them in place; a terminal takes the place of all three, and becomes the controlling one.
    pub(super) fn install(&self, terminal: Option<Terminal>, identity: &Identity) -> Result<(), StartFailure> {
        let detail = || "installing stdin, stdout and stderr".to_owned();
        if let Some(terminal) = terminal {
            let peer = terminal.into_peer();
            own(&peer, identity)?;
            rustix::process::ioctl_tiocsctty(&peer).at(Stage::Terminal, || "taking the terminal".to_owned())?;
            return place(&peer, &peer, &peer).at(Stage::Terminal, detail);
        }
        for stream in self.given.iter().flatten() {
            own(stream, identity)?;
        }
        let [stdin, stdout, stderr] = self.given.each_ref().map(|stream| stream.as_ref().unwrap_or(&self.null));
        place(stdin, stdout, stderr).at(Stage::Terminal, detail)
    }
}

/// The user may open its own streams again (`/dev/stdout`).
fn own(stream: &OwnedFd, identity: &Identity) -> Result<(), StartFailure> {
    match fchown(stream.as_fd(), Some(Uid::from_raw(identity.uid)), None::<Gid>) {
        // A stream on a file system that keeps no owners, or keeps them to itself.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::ROFS | rustix::io::Errno::PERM) => Ok(()),
        outcome => outcome.at(Stage::Terminal, || "giving the streams to the user".to_owned()),
    }
}

fn place(stdin: &OwnedFd, stdout: &OwnedFd, stderr: &OwnedFd) -> std::io::Result<()> {
    dup2_stdin(stdin)?;
    dup2_stdout(stdout)?;
    dup2_stderr(stderr)?;
    Ok(())
}
