//! Pseudo-terminals: the peer of a master without a path, which nobody can swap.
#![expect(unsafe_code, reason = "raw ioctls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Allows the peer to be opened.
///
/// # Errors
/// As ioctl(2).
pub(crate) fn unlock_peer(master: impl AsFd) -> io::Result<()> {
    let locked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, which outlives the call.
    let outcome = unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCSPTLCK, &raw const locked) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens the peer of a master, close-on-exec, without making it anybody's controlling terminal.
///
/// # Errors
/// As ioctl(2).
pub(crate) fn open_peer(master: impl AsFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value.
    let peer = unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if peer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(peer) })
}
