//! What a daemon says once about its networks, and the tag that keeps several daemons in one namespace apart.
//!
//! Leaves choosing a bridge subnet to `subnet`. Invariant: every name made here fits the kernel's 15 characters.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use shoal_proto::model::{Cidr, NodeId};

/// What a daemon says once about its networks.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Name of the bridge for local egress, at most 15 characters; `None`: made from the tag.
    pub bridge_name: Option<String>,
    /// Subnet of that bridge; `None`: the first of 172.17.0.0/16 to 172.31.0.0/16 that meets no route, kept on disk.
    pub bridge_subnet: Option<Cidr>,
    /// This node. Daemons of one swarm answer a port starting at different backends because of it.
    pub node_id: NodeId,
    /// This host's address for overlay traffic.
    pub data_path_addr: IpAddr,
    /// Holds `netns/` (one bind-mounted file an endpoint) and `network.json` (what the kernel was told).
    pub exec_root: PathBuf,
    /// Whether tasks see the addresses of clients of published ports. `None`: if the kernel can (Linux 5.16); all hosts
    /// of a swarm should be alike in this. Without, tasks see the host that the client spoke to.
    pub keep_client_addresses: Option<bool>,
    /// How often the kernel's ruleset is compared with what it was told.
    pub verify_period: Duration,
    /// Namespaces made ahead of need; zero makes each when it is asked for.
    pub spare_namespaces: usize,
    /// How virtual addresses are translated.
    pub vip_translation: VipTranslation,
    /// Holds this node's private keys of the tunnel; its folder exists.
    pub tunnel_keys: PathBuf,
    /// Age at which such a key is replaced.
    pub tunnel_key_age: Duration,
}

/// How virtual addresses are translated to those of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VipTranslation {
    /// By eBPF where this kernel and host can, else by nftables.
    #[default]
    Auto,
    /// Where a socket is connected, by programs at the root of the cgroup tree (Linux 5.18 and cgroup2 mounted); the
    /// start fails where that can't be.
    Ebpf,
    /// Packet by packet, by a table in every namespace.
    Nftables,
}

/// A way to translate that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no way to translate virtual addresses: give auto, ebpf or nftables")]
pub struct UnknownTranslation(String);

impl FromStr for VipTranslation {
    type Err = UnknownTranslation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "ebpf" => Ok(Self::Ebpf),
            "nftables" => Ok(Self::Nftables),
            other => Err(UnknownTranslation(other.chars().take(64).collect())),
        }
    }
}

impl NetworkConfig {
    /// The defaults for a node, its overlay address and its exec-root.
    #[must_use]
    pub fn new(node_id: NodeId, data_path_addr: IpAddr, exec_root: PathBuf) -> Self {
        Self {
            bridge_name: None,
            bridge_subnet: None,
            node_id,
            data_path_addr,
            tunnel_keys: exec_root.join("tunnel.keys"),
            tunnel_key_age: crate::limits::TUNNEL_KEY_AGE,
            exec_root,
            keep_client_addresses: None,
            verify_period: super::limits::VERIFY_PERIOD,
            spare_namespaces: super::limits::SPARE_NAMESPACES,
            vip_translation: VipTranslation::default(),
        }
    }

    /// The tag of this daemon's kernel objects.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag::of_path(&self.exec_root)
    }
}

/// Six hexadecimal digits, made from the exec-root's path, in the name of every kernel object of one daemon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u32);

impl Tag {
    /// The tag of a daemon whose exec-root is `path`. The same path gives the same tag in every build.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        Self((stable_hash(path.as_os_str().as_encoded_bytes()) & 0xff_ffff) as u32)
    }

    /// The bridge for local egress.
    pub(super) fn local_bridge(self) -> String {
        format!("sb{self}")
    }

    /// The bridge of an overlay network.
    pub(super) fn overlay_bridge(self, vni: u32) -> String {
        format!("so{self}-{vni:x}")
    }

    /// The VXLAN device of an overlay network.
    pub(super) fn vxlan(self, vni: u32) -> String {
        format!("sx{self}-{vni:x}")
    }

    /// The device of the tunnel that encrypted networks go through.
    pub(super) fn tunnel(self) -> String {
        format!("sw{self}")
    }

    /// The host's end of a container's interface, by a number that no living endpoint of this daemon has.
    pub(super) fn endpoint_link(self, number: u32, position: usize) -> String {
        format!("sv{self}{:06x}{position:x}", number & 0xff_ffff)
    }

    /// The number in the name of a container's link.
    pub(super) fn endpoint_number(self, link: &str) -> Option<u32> {
        u32::from_str_radix(link.strip_prefix(&format!("sv{self}"))?.get(..6)?, 16).ok()
    }

    /// The group of links that are to be deleted.
    pub(super) fn retired_group(self) -> u32 {
        0x5a00_0000 | self.0
    }

    /// Whether a link carries this daemon's tag.
    pub(super) fn owns_link(self, name: &str) -> bool {
        let tag = self.to_string();
        ["sb", "so", "sx", "sv", "sw"]
            .iter()
            .any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(&tag)))
    }

    /// The private nftables table.
    pub(super) fn table(self) -> String {
        format!("shoal-{self}")
    }

    /// Metric of this daemon's routes to overlay subnets, so that two daemons' routes to one subnet can stand side by
    /// side: 1 to 65,536.
    pub(super) fn route_metric(self) -> u32 {
        (self.0 & 0xffff) + 1
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:06x}", self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// FNV-1a: kernel objects outlive the daemon, so their names may not change with the standard library's hasher.
pub(super) fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_tell_daemons_apart() {
        let (one, other) = (Tag::of_path(Path::new("/run/shoal")), Tag::of_path(Path::new("/run/shoal2")));
        assert_ne!(one, other);
        for name in [
            one.local_bridge(),
            one.overlay_bridge(0xff_ffff),
            one.vxlan(0xff_ffff),
            one.tunnel(),
            one.endpoint_link(u32::MAX, 9),
        ] {
            assert!(name.len() <= 15, "{name}");
            assert_eq!(one.endpoint_number(&name).is_some(), name.starts_with("sv"));
            assert!(one.owns_link(&name) && !other.owns_link(&name), "{name}");
        }
    }

    #[test]
    fn tag_is_the_same_in_every_build() {
        assert_eq!(Tag::of_path(Path::new("/run/shoal")).to_string(), "bbfc01");
    }
}
