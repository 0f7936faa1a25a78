//! Frames of Ethernet on one link, below all filters: what probes between hosts travel by.
//!
//! A packet socket sees frames before any table of the host does, needs no address and no port, and can't be reached
//! but by whoever is on the link. Leaves what is in a frame to its user.

#![expect(unsafe_code, reason = "no library that is used here has packet sockets")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::libc;
use tokio::io::unix::AsyncFd;

use crate::network::MacAddress;

/// A socket for frames of one kind on one link. Does not block.
#[derive(Debug)]
pub struct FrameSocket {
    socket: OwnedFd,
    link: u32,
    kind: u16,
}

impl FrameSocket {
    /// Opens one in the network namespace of the calling thread, for frames of EtherType `kind` on link number `link`.
    pub(in crate::network) fn open(link: u32, kind: u16) -> io::Result<Self> {
        let flags = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // No kind of frame yet: those of other links would wait in it before it is bound.
        // SAFETY: no memory is passed.
        let socket = unsafe { libc::socket(libc::AF_PACKET, flags, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let made = Self { socket: unsafe { OwnedFd::from_raw_fd(socket) }, link, kind };
        let address = made.address(MacAddress([0; 6]));
        // SAFETY: the address is a whole sockaddr_ll that outlives the call, and its size is given.
        let bound = unsafe { libc::bind(socket, (&raw const address).cast(), size_of_address()) };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(made) }
    }

    /// Has the runtime say when frames wait.
    ///
    /// # Errors
    /// As `epoll_ctl(2)`.
    pub fn watched(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the socket owns its descriptor, which is the same and open for as long as the socket lives.
        unsafe { AsyncFd::register(self) }.map_err(Into::into)
    }

    /// Sends a frame; the kernel writes its header.
    ///
    /// # Errors
    /// As `sendto(2)`.
    pub fn send(&self, to: MacAddress, payload: &[u8]) -> io::Result<()> {
        let address = self.address(to);
        // SAFETY: payload and address are borrowed for the whole call, with their sizes.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                payload.as_ptr().cast(),
                payload.len(),
                0,
                (&raw const address).cast(),
                size_of_address(),
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The next frame that waits, cut to `buffer`, and who sent it.
    ///
    /// # Errors
    /// As `recvfrom(2)`; `WouldBlock` when none waits.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, MacAddress)> {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        let mut size = size_of_address();
        // SAFETY: buffer and address are borrowed mutably for the whole call, with their sizes.
        let read = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                0,
                (&raw mut address).cast(),
                &raw mut size,
            )
        };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        let [a, b, c, d, e, f, ..] = address.sll_addr;
        Ok((read, MacAddress([a, b, c, d, e, f])))
    }

    fn address(&self, to: MacAddress) -> libc::sockaddr_ll {
        let MacAddress([a, b, c, d, e, f]) = to;
        libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: self.kind.to_be(),
            sll_ifindex: self.link.cast_signed(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [a, b, c, d, e, f, 0, 0],
        }
    }
}

impl AsRawFd for FrameSocket {
    fn as_raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

fn size_of_address() -> libc::socklen_t {
    size_of::<libc::sockaddr_ll>() as libc::socklen_t
}
