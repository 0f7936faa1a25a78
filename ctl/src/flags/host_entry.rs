//! Names and addresses of the network: `--host name:address`, `--dns`, `--dns-search`.

use std::net::IpAddr;
use std::str::FromStr;

/// A line for the container's hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostEntry {
    pub(crate) name: String,
    pub(crate) address: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum HostEntryError {
    #[error("write name:address, for example db:10.0.0.5")]
    Form,
    #[error("{0:?} is not an IP address")]
    Address(String),
    #[error("{0:?} is not a domain name")]
    Domain(String),
}

impl HostEntry {
    /// The line of the hosts file.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.address, self.name)
    }
}

impl FromStr for HostEntry {
    type Err = HostEntryError;

    fn from_str(text: &str) -> Result<Self, HostEntryError> {
        let (name, address) = text.split_once(['=', ':']).ok_or(HostEntryError::Form)?;
        if name.is_empty() {
            return Err(HostEntryError::Form);
        }
        // Docker replaces this word on the node by an address of the node.
        let address = if address == "host-gateway" { address.to_owned() } else { ip_address(address)? };
        Ok(Self { name: name.to_owned(), address })
    }
}

/// Reads an IP address, with or without the brackets of IPv6.
pub(crate) fn ip_address(text: &str) -> Result<String, HostEntryError> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(HostEntryError::Address(text.to_owned())),
    }
}

/// Reads a search domain; a single dot means none.
pub(crate) fn search_domain(text: &str) -> Result<String, HostEntryError> {
    let text = text.trim();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let domain = text.trim_end_matches('.');
    let sound = text == "." || (domain.len() < 255 && domain.split('.').all(label));
    if sound {
        Ok(if text == "." { text } else { domain }.to_owned())
    } else {
        Err(HostEntryError::Domain(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        assert_eq!("db:10.0.0.5".parse::<HostEntry>().unwrap().address, "10.0.0.5");
        assert_eq!("db:fe80::1".parse::<HostEntry>().unwrap().address, "fe80::1");
        assert_eq!("db".parse::<HostEntry>().unwrap_err().to_string(), "write name:address, for example db:10.0.0.5");
        assert_eq!("db:x".parse::<HostEntry>().unwrap_err().to_string(), "\"x\" is not an IP address");
        assert_eq!(search_domain("example.com.").unwrap(), "example.com");
        assert_eq!(search_domain("a b").unwrap_err().to_string(), "\"a b\" is not a domain name");
    }
}
