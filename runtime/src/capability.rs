//! Linux capabilities by name, and the five sets that a process has.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::defaults;

/// A set of capabilities. Written as a list of names (`CAP_CHOWN`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapabilitySet(u64);

/// A name that is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a capability: give a name such as NET_ADMIN or CAP_NET_ADMIN, or ALL")]
pub struct CapabilityError {
    /// What was given, shortened to 64 characters.
    pub value: String,
}

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: Self = Self(0);
    /// Every capability that this build knows.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The set that holds one capability, by its kernel number. Unknown numbers give the empty set.
    pub const fn of(number: u32) -> Self {
        Self((1u64 << (number & 63)) & Self::ALL.0)
    }

    /// The capability of that name (`NET_ADMIN`, `CAP_NET_ADMIN`, either case), or `ALL`.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, CapabilityError> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if bare == "ALL" {
            return Ok(Self::ALL);
        }
        match NAMES.iter().position(|known| *known == bare) {
            Some(number) => Ok(Self(1 << number)),
            None => Err(CapabilityError { value: name.chars().take(64).collect() }),
        }
    }

    /// The capabilities of a bit mask, those unknown to this build dropped.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// As a bit mask, one bit for each kernel number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every capability of the other is in this one.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Names with `CAP_` in front, in the kernel's order.
    pub fn names(self) -> impl Iterator<Item = String> {
        NAMES.iter().enumerate().filter(move |(n, _)| self.0 & (1 << n) != 0).map(|(_, name)| format!("CAP_{name}"))
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for CapabilitySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for CapabilitySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .try_fold(Self::EMPTY, |set, name| Ok(set.union(Self::parse(name).map_err(D::Error::custom)?)))
    }
}

/// The five sets of a process. A user other than root loses `effective` and `permitted` when the command is executed,
/// as the kernel has it, unless `ambient` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What no descendant can ever have more than.
    pub bounding: CapabilitySet,
    /// What counts now.
    pub effective: CapabilitySet,
    /// What may be made effective.
    pub permitted: CapabilitySet,
    /// Kept across execution of a file that has them too. Empty unless asked for.
    #[serde(default)]
    pub inheritable: CapabilitySet,
    /// Kept across execution of any file. Empty unless asked for.
    #[serde(default)]
    pub ambient: CapabilitySet,
}

impl Capabilities {
    /// The same set as bounding, effective and permitted; nothing inheritable or ambient. This is what Docker gives.
    pub const fn same(set: CapabilitySet) -> Self {
        Self {
            bounding: set,
            effective: set,
            permitted: set,
            inheritable: CapabilitySet::EMPTY,
            ambient: CapabilitySet::EMPTY,
        }
    }

    /// Docker's default set changed by `--cap-add` and `--cap-drop`, `ALL` understood in both as Docker does: a name
    /// that is added wins over `ALL` dropped, a name that is dropped wins over `ALL` added.
    ///
    /// # Errors
    /// When a name is no capability.
    pub fn adjusted(add: &[String], drop: &[String]) -> Result<Self, CapabilityError> {
        let collect = |names: &[String]| {
            names
                .iter()
                .filter(|name| !is_all(name))
                .try_fold(CapabilitySet::EMPTY, |set, name| Ok(set.union(CapabilitySet::parse(name)?)))
        };
        let (add_all, drop_all) = (add.iter().any(|n| is_all(n)), drop.iter().any(|n| is_all(n)));
        let (added, dropped) = (collect(add)?, collect(drop)?);
        Ok(Self::same(match (add_all, drop_all) {
            (true, _) => CapabilitySet::ALL.without(dropped),
            (false, true) => added,
            (false, false) => defaults::CAPABILITIES.union(added).without(dropped),
        }))
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::same(defaults::CAPABILITIES)
    }
}

fn is_all(name: &str) -> bool {
    name.eq_ignore_ascii_case("all") || name.eq_ignore_ascii_case("cap_all")
}

/// In the order of the kernel's numbers (linux/capability.h).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> CapabilitySet {
        names.iter().fold(CapabilitySet::EMPTY, |set, name| set.union(CapabilitySet::parse(name).unwrap()))
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn docker_default_is_the_well_known_mask() {
        assert_eq!(defaults::CAPABILITIES.bits(), 0xa80425fb);
    }

    #[test]
    fn add_and_drop_follow_docker() {
        let adjusted =
            |add: &[&str], drop: &[&str]| Capabilities::adjusted(&owned(add), &owned(drop)).unwrap().bounding;
        assert_eq!(adjusted(&[], &[]), defaults::CAPABILITIES);
        assert_eq!(
            adjusted(&["net_admin"], &["CAP_CHOWN"]),
            defaults::CAPABILITIES.union(set(&["NET_ADMIN"])).without(set(&["CHOWN"]))
        );
        assert_eq!(adjusted(&["CHOWN"], &["ALL"]), set(&["CHOWN"]));
        assert_eq!(adjusted(&["ALL"], &["SYS_ADMIN"]), CapabilitySet::ALL.without(set(&["SYS_ADMIN"])));
        assert!(Capabilities::adjusted(&owned(&["NOPE"]), &[]).is_err());
    }

    #[test]
    fn a_set_survives_its_text() {
        let json = serde_json::to_string(&defaults::CAPABILITIES).unwrap();
        assert!(json.starts_with("[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\""), "{json}");
        assert_eq!(serde_json::from_str::<CapabilitySet>(&json).unwrap(), defaults::CAPABILITIES);
        assert!(serde_json::from_str::<CapabilitySet>("[\"CAP_X\"]").is_err());
    }
}
