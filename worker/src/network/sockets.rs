//! The sockets of a container's resolver: opened in its namespace, served from outside.

use std::fs::File;
use std::io;
use std::net::{SocketAddrV4, TcpListener, UdpSocket};
use std::path::Path;

use nix::sched::{CloneFlags, setns};

use super::firewall::ResolverPorts;
use super::netlink::{cookie_of, in_throw_away_thread};

/// Sockets on 127.0.0.11 in a container's namespace, at ports that nobody else had. Queries to port 53 come here.
#[derive(Debug)]
pub struct ResolverSockets {
    /// For datagrams; does not block.
    pub udp: UdpSocket,
    /// For connections; does not block.
    pub tcp: TcpListener,
    pub(super) ports: ResolverPorts,
    /// Of their namespace; none before Linux 5.14.
    pub(super) cookie: Option<u64>,
}

impl ResolverSockets {
    /// Opens them in the namespace that is kept on a file.
    pub(super) fn open(namespace: &Path) -> io::Result<Self> {
        in_throw_away_thread(|| {
            setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
            // A port of its own, so that a container may have a name server on every address.
            let any = SocketAddrV4::new(ResolverPorts::ADDRESS, 0);
            let (udp, tcp) = (UdpSocket::bind(any)?, TcpListener::bind(any)?);
            udp.set_nonblocking(true)?;
            tcp.set_nonblocking(true)?;
            let ports = ResolverPorts { udp: udp.local_addr()?.port(), tcp: tcp.local_addr()?.port() };
            let cookie = cookie_of(&udp).ok();
            Ok(Self { udp, tcp, ports, cookie })
        })
    }
}
