//! Which addresses a node listens on and tells others: what `--listen-addr`, `--advertise-addr` and
//! `--data-path-addr` mean.

use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// The managers' port unless another is named.
pub const DEFAULT_PORT: u16 = 2377;

/// An address can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is neither an address nor an interface of this host.
    #[error(
        "invalid {flag} '{value}': an IP address or the name of an interface of this host, with an optional :PORT, is expected"
    )]
    Unknown {
        /// The flag.
        flag: &'static str,
        /// What was said.
        value: String,
    },
    /// An interface has several addresses, or none.
    #[error(
        "could not use the interface '{interface}' for {flag}: it has {count} addresses of which one can be meant; name the address itself"
    )]
    Interface {
        /// The flag.
        flag: &'static str,
        /// The interface.
        interface: String,
        /// How many it has.
        count: usize,
    },
    /// The unspecified address can't be told to others.
    #[error(
        "advertise address must be a non-zero IP address or network interface (with optional port number): '{0}' is what others would have to dial"
    )]
    Unspecified(String),
    /// Nothing was named, and the host has several.
    #[error(
        "could not choose an IP address to advertise since this system has multiple addresses ({0}); specify one with --advertise-addr"
    )]
    Several(String),
    /// Nothing was named, and the host has none.
    #[error("could not find the system's IP address; specify one with --advertise-addr")]
    None,
}

/// An interface's name and one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Such as eth0.
    pub interface: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// Whether the interface is up and no loopback.
    pub usable: bool,
}

/// This host's addresses. An error of the kernel's is the same as none.
#[must_use]
pub fn host_addresses() -> Vec<InterfaceAddress> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let address = |storage: &nix::sys::socket::SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    interfaces
        .filter_map(|interface| {
            let address = interface.address.as_ref().and_then(address)?;
            let usable = interface.flags.contains(InterfaceFlags::IFF_UP)
                && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK);
            Some(InterfaceAddress { interface: interface.interface_name, address, usable })
        })
        .collect()
}

/// What `--listen-addr` means; empty: every address, default port.
///
/// # Errors
/// [`AddressError`] when it is neither an address nor an interface.
pub fn listen(value: &str, host: &[InterfaceAddress]) -> Result<SocketAddr, AddressError> {
    if value.is_empty() {
        return Ok(SocketAddr::from(([0, 0, 0, 0], DEFAULT_PORT)));
    }
    resolve("--listen-addr", value, DEFAULT_PORT, host)
}

/// What is told to the others: the flag, else the daemon's default, else the listen address, else the host's only one.
///
/// # Errors
/// [`AddressError`] when nothing can be told, or what was said can't be dialled.
pub fn advertise(
    value: &str,
    default: Option<&str>,
    listen: SocketAddr,
    host: &[InterfaceAddress],
) -> Result<SocketAddr, AddressError> {
    let said = if value.is_empty() { default.unwrap_or_default() } else { value };
    if !said.is_empty() {
        let address = resolve("--advertise-addr", said, listen.port(), host)?;
        return if address.ip().is_unspecified() {
            Err(AddressError::Unspecified(said.to_owned()))
        } else {
            Ok(address)
        };
    }
    if !listen.ip().is_unspecified() {
        return Ok(listen);
    }
    Ok(SocketAddr::new(only_address(host)?, listen.port()))
}

/// A manager's address as the one who joins gave it, with the default port when none was said.
#[must_use]
pub fn remote(value: &str) -> String {
    let bare = value.trim_matches(['[', ']']);
    match bare.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, DEFAULT_PORT).to_string(),
        Err(_) if value.contains(':') || value.is_empty() => value.to_owned(),
        Err(_) => format!("{value}:{DEFAULT_PORT}"),
    }
}

/// What `--data-path-addr` means; empty: the advertised address.
///
/// # Errors
/// [`AddressError`] when it is neither an address nor an interface.
pub fn data_path(value: &str, advertise: SocketAddr, host: &[InterfaceAddress]) -> Result<IpAddr, AddressError> {
    if value.is_empty() {
        return Ok(advertise.ip());
    }
    resolve("--data-path-addr", value, 0, host).map(|address| address.ip())
}

fn only_address(host: &[InterfaceAddress]) -> Result<IpAddr, AddressError> {
    let usable = || host.iter().filter(|one| one.usable && !is_own_bridge(&one.interface));
    let v4: Vec<&InterfaceAddress> = usable().filter(|one| one.address.is_ipv4()).collect();
    let candidates = if v4.is_empty() {
        usable().filter(|one| matches!(one.address, IpAddr::V6(v6) if !v6.is_unicast_link_local())).collect()
    } else {
        v4
    };
    match candidates.as_slice() {
        [] => Err(AddressError::None),
        [one] => Ok(one.address),
        several => {
            let list: Vec<String> = several.iter().map(|one| format!("{} on {}", one.address, one.interface)).collect();
            Err(AddressError::Several(list.join(", ")))
        }
    }
}

/// Bridges of container engines lead to no other host.
fn is_own_bridge(interface: &str) -> bool {
    ["docker", "shoal", "br-", "veth"].iter().any(|prefix| interface.starts_with(prefix))
}

fn resolve(flag: &'static str, value: &str, port: u16, host: &[InterfaceAddress]) -> Result<SocketAddr, AddressError> {
    if let Ok(address) = value.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(address) = value.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let refused = || AddressError::Unknown { flag, value: value.to_owned() };
    let (interface, port) = match value.rsplit_once(':') {
        Some((interface, port)) => (interface, port.parse().map_err(|_| refused())?),
        None => (value, port),
    };
    let of_interface = || host.iter().filter(|one| one.interface == interface);
    if of_interface().next().is_none() {
        return Err(refused());
    }
    let v4: Vec<IpAddr> = of_interface().map(|one| one.address).filter(IpAddr::is_ipv4).collect();
    match v4.as_slice() {
        [one] => Ok(SocketAddr::new(*one, port)),
        other => Err(AddressError::Interface { flag, interface: interface.to_owned(), count: other.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(addresses: &[(&str, &str)]) -> Vec<InterfaceAddress> {
        let one = |(interface, address): &(&str, &str)| InterfaceAddress {
            interface: (*interface).to_owned(),
            address: address.parse().unwrap(),
            usable: *interface != "lo",
        };
        addresses.iter().map(one).collect()
    }

    #[test]
    fn the_only_address_is_told() {
        let host = host(&[("lo", "127.0.0.1"), ("eth0", "10.1.0.1"), ("docker0", "172.17.0.1"), ("eth0", "fe80::1")]);
        let listen = listen("", &host).unwrap();
        assert_eq!(advertise("", None, listen, &host).unwrap().to_string(), "10.1.0.1:2377");
    }

    #[test]
    fn a_manager_without_a_port_has_the_default_one() {
        let cases = [
            ("10.1.0.1", "10.1.0.1:2377"),
            ("10.1.0.1:2400", "10.1.0.1:2400"),
            ("manager1", "manager1:2377"),
            ("fd00::1", "[fd00::1]:2377"),
            ("[fd00::1]", "[fd00::1]:2377"),
            ("[fd00::1]:2400", "[fd00::1]:2400"),
            ("", ""),
        ];
        for (said, meant) in cases {
            assert_eq!(remote(said), meant);
        }
    }

    #[test]
    fn several_addresses_ask_for_a_choice() {
        let host = host(&[("eth0", "10.1.0.1"), ("eth1", "10.2.0.1")]);
        let listen = listen("", &host).unwrap();
        let refusal = advertise("", None, listen, &host).unwrap_err().to_string();
        assert!(refusal.contains("10.1.0.1 on eth0") && refusal.contains("--advertise-addr"), "{refusal}");
        assert_eq!(advertise("", Some("eth1"), listen, &host).unwrap().to_string(), "10.2.0.1:2377");
        assert_eq!(advertise("eth0:4000", None, listen, &host).unwrap().to_string(), "10.1.0.1:4000");
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        let host = host(&[("eth0", "10.1.0.1")]);
        let listen = listen("0.0.0.0:2400", &host).unwrap();
        assert!(matches!(advertise("0.0.0.0", None, listen, &host), Err(AddressError::Unspecified(_))));
        assert!(matches!(advertise("wlan9", None, listen, &host), Err(AddressError::Unknown { .. })));
        assert_eq!(advertise("", None, listen, &host).unwrap().port(), 2400);
    }
}
