//! Addresses that a node listens on, and pools that networks are cut from.

use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses in CIDR form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool(pub(crate) String);

#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("write ADDRESS/LENGTH, for example 10.20.0.0/16")]
    Pool,
    #[error("write ADDRESS or INTERFACE, and :PORT if it is not 2377")]
    Listen,
}

impl FromStr for Pool {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (address, length) = text.split_once('/').ok_or(AddressError::Pool)?;
        let address: IpAddr = address.parse().map_err(|_| AddressError::Pool)?;
        let length: u8 = length.parse().map_err(|_| AddressError::Pool)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if length > longest { Err(AddressError::Pool) } else { Ok(Self(format!("{address}/{length}"))) }
    }
}

/// Reads a listen address and adds the swarm's port when there is none.
pub(crate) fn listen_address(text: &str) -> Result<String, AddressError> {
    let bare = text.strip_prefix("tcp://").unwrap_or(text);
    match bare.rsplit_once(':') {
        _ if bare.is_empty() => Err(AddressError::Listen),
        Some((host, port)) if !port.ends_with(']') && (host.ends_with(']') || !host.contains(':')) => {
            let port: u16 = port.parse().map_err(|_| AddressError::Listen)?;
            Ok(format!("{}:{port}", if host.is_empty() { "0.0.0.0" } else { host }))
        }
        Some(_) if !bare.starts_with('[') => Ok(format!("[{bare}]:{SWARM_PORT}")),
        _ => Ok(format!("{bare}:{SWARM_PORT}")),
    }
}

/// The port of managers.
const SWARM_PORT: u16 = 2377;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_swarms_port() {
        assert_eq!(listen_address("eth0").unwrap(), "eth0:2377");
        assert_eq!(listen_address("10.0.0.1:99").unwrap(), "10.0.0.1:99");
        assert_eq!(listen_address("fe80::1").unwrap(), "[fe80::1]:2377");
        assert_eq!(listen_address("[fe80::1]:99").unwrap(), "[fe80::1]:99");
        assert!(listen_address("a:b").is_err());
        assert_eq!("10.0.0.0/8".parse::<Pool>().unwrap().0, "10.0.0.0/8");
        assert!("10.0.0.0/33".parse::<Pool>().is_err());
    }
}
