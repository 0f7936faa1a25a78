//! What the kernel calls a network namespace: a number that no other namespace has until the next boot.
#![expect(unsafe_code, reason = "no crate has this socket option")]

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::libc;
use nix::sched::{CloneFlags, setns};

use super::namespace::in_throw_away_thread;

/// The cookie of the namespace that a socket belongs to.
pub(in crate::network) fn cookie_of(socket: impl AsFd) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: both pointers are to live variables, and the length given is the size of the first.
    let outcome = unsafe {
        libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, (&raw mut cookie).cast(), &raw mut length)
    };
    if outcome == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// The cookie of the namespace that is kept on a file.
pub(in crate::network) fn namespace_cookie(namespace: &Path) -> io::Result<u64> {
    in_throw_away_thread(|| {
        setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
        cookie_of(UdpSocket::bind("127.0.0.1:0")?)
    })
}
