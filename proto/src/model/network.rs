//! A network of the swarm, and addresses with their prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Labels, Meta, NetworkId};

/// A network in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Identity.
    pub id: NetworkId,
    /// Version and times.
    pub meta: Meta,
    /// The wish.
    pub spec: NetworkSpec,
    /// The subnet in use, once allocated: network address and prefix.
    pub subnet: Option<Cidr>,
    /// The VXLAN network identifier, once allocated: 1 to 16,777,215.
    pub vni: Option<u32>,
}

impl Network {
    /// The address that is kept for a gateway: the user's, else the lowest after the subnet's own.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        let wished = self.spec.ipam.iter().find_map(|config| config.gateway);
        wished.or_else(|| self.subnet?.ipv4_bounds().map(|(lowest, _)| IpAddr::V4(Ipv4Addr::from(lowest + 1))))
    }

    /// The part of the subnet that services and tasks get addresses from, where the user named one.
    #[must_use]
    pub fn range(&self) -> Option<Cidr> {
        self.spec.ipam.iter().find_map(|config| config.range)
    }
}

/// A network as the user wishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// Unique in the swarm, letter case aside.
    pub name: String,
    /// The network's labels.
    pub labels: Labels,
    /// What carries it.
    pub driver: NetworkDriver,
    /// Options for the driver.
    pub driver_options: Labels,
    /// The routing mesh's network; one a swarm.
    pub ingress: bool,
    /// Containers outside services may join.
    pub attachable: bool,
    /// No way out.
    pub internal: bool,
    /// Addresses wished for; empty: from the pools.
    pub ipam: Vec<IpamConfig>,
}

/// What carries a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkDriver {
    /// VXLAN between hosts.
    #[default]
    Overlay,
    /// The host's own network, under a name that services can use.
    Host,
    /// The host's bridge, under a name that services can use.
    Bridge,
}

/// What a task has of its host's own networks, beside those of the swarm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LocalNetwork {
    /// A way out by the host's bridge.
    #[default]
    Bridge,
    /// The host's own network: no namespace of its own.
    Host,
    /// Nothing.
    None,
}

/// Addresses wished for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamConfig {
    /// The whole.
    pub subnet: Cidr,
    /// The part that tasks get addresses from.
    pub range: Option<Cidr>,
    /// Kept for the gateway.
    pub gateway: Option<IpAddr>,
}

/// An address and the length of its network prefix: `10.0.0.5/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The address; for a subnet, its lowest.
    pub address: IpAddr,
    /// Bits of the network part: 0 to 32, or 128.
    pub prefix: u8,
}

/// The text is no address with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an address with a prefix length, such as 10.0.0.0/24")]
pub struct CidrError(
    /// The text that was refused.
    pub String,
);

impl Cidr {
    /// The whole IPv4 range of addresses of this subnet as numbers, lowest and highest; `None` for IPv6.
    #[must_use]
    pub fn ipv4_bounds(&self) -> Option<(u32, u32)> {
        let IpAddr::V4(address) = self.address else { return None };
        let host_bits = 32u32.saturating_sub(u32::from(self.prefix));
        let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
        let lowest = u32::from(address) & mask;
        Some((lowest, lowest | !mask))
    }

    /// Whether the address lies in this subnet; addresses of the other family never do.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(address)) => {
                self.ipv4_bounds().is_some_and(|(lowest, highest)| (lowest..=highest).contains(&u32::from(address)))
            }
            (IpAddr::V6(own), IpAddr::V6(address)) => {
                let shift = 128u32.saturating_sub(u32::from(self.prefix));
                u128::from(own).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            _ => false,
        }
    }

    /// Whether the two subnets share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Cidr) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The same prefix with the host part cleared (IPv4; IPv6 is returned as it is).
    #[must_use]
    pub fn network(&self) -> Cidr {
        match self.ipv4_bounds() {
            Some((lowest, _)) => Cidr { address: IpAddr::V4(Ipv4Addr::from(lowest)), prefix: self.prefix },
            None => *self,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let refused = || CidrError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(refused)?;
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let prefix: u8 = prefix.parse().map_err(|_| refused())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if prefix > longest { Err(refused()) } else { Ok(Self { address, prefix }) }
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn knows_what_lies_inside() {
        assert!(cidr("10.0.1.0/24").contains("10.0.1.255".parse().unwrap()));
        assert!(!cidr("10.0.1.0/24").contains("10.0.2.0".parse().unwrap()));
        assert!(cidr("0.0.0.0/0").contains("255.1.2.3".parse().unwrap()));
        assert!(cidr("fd00::/8").contains("fd12::1".parse().unwrap()));
        assert!(cidr("10.0.0.0/8").overlaps(&cidr("10.3.0.0/16")));
        assert!(!cidr("10.4.0.0/16").overlaps(&cidr("10.3.0.0/16")));
        assert_eq!(cidr("10.1.2.3/16").network(), cidr("10.1.0.0/16"));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError(text.to_owned())));
        }
    }
}
