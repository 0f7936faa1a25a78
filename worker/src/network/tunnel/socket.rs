//! The UDP socket between hosts: many datagrams in one system call, by the kernel's segmentation offloads.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, recvmsg,
    sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::network::limits::{TUNNEL_BUFFER, TUNNEL_STOP_WAIT};

/// Datagrams that the kernel takes in one call.
pub(super) const SEGMENTS_MAX: usize = 64;

/// Bytes that the kernel takes in one call: the longest UDP payload over IPv6, with room for extension headers.
pub(super) const BYTES_MAX: usize = 65_000;

/// A socket of the tunnel's port. Several share the port: the kernel gives all of one peer's datagrams to the same.
#[derive(Debug)]
pub(super) struct TunnelSocket {
    socket: UdpSocket,
    /// The kernel cuts what is sent; false once it refused.
    cuts: AtomicBool,
}

/// What one receive gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) bytes: usize,
    /// Bytes of each datagram but the last, which may be shorter.
    pub(super) segment: usize,
    pub(super) from: SocketAddr,
}

impl TunnelSocket {
    /// Binds one in the calling thread's network namespace.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let opened = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&opened, sockopt::ReusePort, &true)?;
        setsockopt(&opened, sockopt::RcvBufForce, &TUNNEL_BUFFER)?;
        setsockopt(&opened, sockopt::SndBufForce, &TUNNEL_BUFFER)?;
        setsockopt(&opened, sockopt::ReceiveTimeout, &TimeVal::new(0, TUNNEL_STOP_WAIT.as_micros() as i64))?;
        setsockopt(&opened, sockopt::UdpGroSegment, &true)?;
        bind(opened.as_raw_fd(), &SockaddrStorage::from(address))?;
        Ok(Self { socket: UdpSocket::from(opened), cuts: AtomicBool::new(true) })
    }

    /// Takes datagrams of one sender; waits a while for them, if so wished.
    pub(super) fn receive(&self, buffer: &mut [u8], waits: bool) -> io::Result<Received> {
        let flags = if waits { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
        let mut control = nix::cmsg_space!(i32);
        let mut parts = [IoSliceMut::new(buffer)];
        let descriptor = self.socket.as_raw_fd();
        let got = recvmsg::<SockaddrStorage>(descriptor, &mut parts, Some(&mut control), flags)?;
        let size = got.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok(),
            _ => None,
        });
        let from = got.address.as_ref().and_then(address_of).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Received { bytes: got.bytes, segment: size.filter(|size| *size > 0).unwrap_or(got.bytes), from })
    }

    /// Sends datagrams of `segment` bytes, the last of which may be shorter.
    pub(super) fn send(&self, bytes: &[u8], segment: usize, to: SocketAddr) -> io::Result<()> {
        if bytes.len() <= segment {
            return self.socket.send_to(bytes, to).map(drop);
        }
        if self.cuts.load(Ordering::Relaxed) {
            let size = segment as u16;
            let control = [ControlMessage::UdpGsoSegments(&size)];
            let address = SockaddrStorage::from(to);
            let parts = [IoSlice::new(bytes)];
            match sendmsg(self.socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&address)) {
                Ok(_) => return Ok(()),
                // The link to this peer can't have packets cut for it.
                Err(nix::errno::Errno::EIO | nix::errno::Errno::EINVAL) => self.cuts.store(false, Ordering::Relaxed),
                Err(error) => return Err(error.into()),
            }
        }
        bytes.chunks(segment).try_for_each(|datagram| self.socket.send_to(datagram, to).map(drop))
    }
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}
