//! Named pipes for a container's streams. A name lets a keeper's successor open the same pipe again; and the container
//! holds each of its outputs for reading too, so that it never sees its reader go.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

/// Both ends of a stream.
#[derive(Debug)]
pub(super) struct Fifo {
    pub(super) keeper: OwnedFd,
    pub(super) container: OwnedFd,
}

/// Makes the pipe of an output: the keeper reads.
pub(super) fn make_output(path: &Path) -> io::Result<Fifo> {
    make(path)?;
    let keeper = reopen_output(path)?;
    let container = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok(Fifo { keeper, container })
}

/// Makes the pipe of stdin: the keeper writes, and the container sees the end when all writers have gone.
pub(super) fn make_input(path: &Path) -> io::Result<Fifo> {
    make(path)?;
    // In this order neither waits for the other.
    let container = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let keeper = reopen_input(path)?;
    let flags = rustix::fs::fcntl_getfl(&container)?;
    rustix::fs::fcntl_setfl(&container, flags - OFlags::NONBLOCK)?;
    Ok(Fifo { keeper, container })
}

/// Opens the keeper's end of an output that exists.
pub(super) fn reopen_output(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Opens the keeper's end of a stdin that exists.
pub(super) fn reopen_input(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?)
}

fn make(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?)
}
