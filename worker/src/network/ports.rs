//! Ports of the host that are one container's: chosen, held against other processes, and named when taken.
//!
//! A held port is a bound socket that never listens: the kernel's rules answer the port, the socket keeps others off.
//! Leaves the rules to `firewall`. Invariant: a port is held as long as its [`HeldPort`] lives.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockname, setsockopt, socket, sockopt,
};
use shoal_proto::model::PortProtocol;

use super::{HostPort, NetworkError};

/// A port held.
#[derive(Debug)]
pub(super) struct HeldPort {
    _socket: OwnedFd,
}

/// Holds a port; a port of zero becomes one that the kernel chooses.
pub(super) fn hold(port: &mut HostPort) -> Result<HeldPort, NetworkError> {
    let address = port.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    match try_hold(port.protocol, SocketAddr::new(address, port.published)) {
        Ok((held, chosen)) => {
            port.published = chosen;
            Ok(held)
        }
        Err(Errno::EADDRINUSE) => Err(NetworkError::PortTaken {
            port: port.published,
            protocol: port.protocol,
            holder: process_with(port.protocol, port.published),
        }),
        Err(Errno::EADDRNOTAVAIL) => Err(NetworkError::Invalid {
            field: "host ip of a published port",
            value: address.to_string(),
            remedy: "give an address that this host has, or none",
        }),
        Err(error) => {
            Err(NetworkError::Kernel { step: format!("bind {address}:{}", port.published), source: error.into() })
        }
    }
}

fn try_hold(protocol: PortProtocol, address: SocketAddr) -> Result<(HeldPort, u16), Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = match protocol {
        PortProtocol::Tcp | PortProtocol::Sctp => SockType::Stream,
        PortProtocol::Udp => SockType::Datagram,
    };
    let held = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if kind == SockType::Stream {
        // Connections that linger after a former listener are no reason to refuse; a listener is one all the same.
        setsockopt(&held, sockopt::ReuseAddr, &true)?;
    }
    bind(std::os::fd::AsRawFd::as_raw_fd(&held), &SockaddrStorage::from(address))?;
    if kind == SockType::Stream {
        setsockopt(&held, sockopt::ReuseAddr, &false)?;
    }
    let bound: SockaddrStorage = getsockname(std::os::fd::AsRawFd::as_raw_fd(&held))?;
    let chosen = bound
        .as_sockaddr_in()
        .map(nix::sys::socket::SockaddrIn::port)
        .or_else(|| bound.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::port));
    Ok((HeldPort { _socket: held }, chosen.unwrap_or(address.port())))
}

/// The process of this host that has a port, as well as it can be told.
fn process_with(protocol: PortProtocol, port: u16) -> String {
    let unknown = || "another process of this host".to_owned();
    let Some(inode) = socket_with(protocol, port) else { return unknown() };
    let wanted = format!("socket:[{inode}]");
    let Ok(processes) = fs::read_dir("/proc") else { return unknown() };
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) else { continue };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let has =
            |path: std::path::PathBuf| fs::read_link(path).is_ok_and(|target| target.as_os_str() == wanted.as_str());
        if files.flatten().any(|file| has(file.path())) {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return format!("process {pid} ({})", command.trim());
        }
    }
    unknown()
}

/// The inode of a socket that listens on, or is bound to, a port.
fn socket_with(protocol: PortProtocol, port: u16) -> Option<String> {
    const LISTENING: &str = "0A";
    let tables = match protocol {
        PortProtocol::Udp => ["udp", "udp6"],
        PortProtocol::Tcp | PortProtocol::Sctp => ["tcp", "tcp6"],
    };
    let suffix = format!(":{port:04X}");
    tables.iter().find_map(|table| {
        let listing: io::Result<String> = fs::read_to_string(format!("/proc/thread-self/net/{table}"));
        listing.ok()?.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let bound = fields.get(1)?.ends_with(&suffix);
            let holds = protocol == PortProtocol::Udp || fields.get(3) == Some(&LISTENING);
            (bound && holds).then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
        })
    })
}
