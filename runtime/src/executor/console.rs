//! A process's terminal: the master goes to the keeper, the other side becomes stdin, stdout and stderr.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstat, major, openat};
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::executor::failure::{AtStage, refuse};
use crate::executor::mounts::{Devices, attach, has_magic};
use crate::executor::root::Root;
use crate::failure::{Stage, StartFailure};
use crate::plan::ProcessPlan;
use crate::sys;

/// Both sides.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    peer: OwnedFd,
}

impl Terminal {
    /// Makes a terminal in the container's own instance of devpts. The peer is opened through the master, so that no
    /// path can be swapped.
    pub(super) fn open(root: &Root, process: &ProcessPlan) -> Result<Self, StartFailure> {
        let detail = || "/dev/pts/ptmx".to_owned();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let master = root.open_strictly(Path::new("/dev/pts/ptmx"), flags).at(Stage::Terminal, detail)?;
        if !has_magic(&master, DEVPTS_SUPER_MAGIC).at(Stage::Terminal, detail)? {
            return Err(refuse(Stage::Terminal, "/dev/pts of the container is no devpts"));
        }
        sys::unlock_peer(&master).at(Stage::Terminal, detail)?;
        let peer = sys::open_peer(&master).at(Stage::Terminal, detail)?;
        let device = fstat(&peer).at(Stage::Terminal, detail)?.st_rdev;
        if !PTS_MAJORS.contains(&major(device)) {
            return Err(refuse(Stage::Terminal, "the terminal's other side is no pseudo-terminal"));
        }
        if let Some((rows, columns)) = process.terminal_size {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            tcsetwinsize(&master, size).at(Stage::Terminal, detail)?;
        }
        Ok(Self { master, peer })
    }

    /// The side that the keeper holds.
    pub(super) fn master(&self) -> &OwnedFd {
        &self.master
    }

    /// The side of the process.
    pub(super) fn into_peer(self) -> OwnedFd {
        self.peer
    }

    /// Shows the terminal as `/dev/console`.
    pub(super) fn bind_console(&self, devices: &Devices) -> Result<(), StartFailure> {
        let detail = || "/dev/console".to_owned();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&devices.0, "console", flags, Mode::from_raw_mode(0o600)).at(Stage::Terminal, detail)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = openat(&devices.0, "console", flags, Mode::empty()).at(Stage::Terminal, detail)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let mount = open_tree(self.peer.as_fd(), "", flags).at(Stage::Terminal, detail)?;
        attach(&mount, &target).at(Stage::Terminal, detail)
    }
}

const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
/// UNIX98_PTY_SLAVE_MAJOR and its seven successors.
const PTS_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;
