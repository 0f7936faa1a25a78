//! The private nftables tables, as data: what they should hold and which changes lead there.
//!
//! `statement` is the small language of rules (printed as `nft` prints them), `host` the table of the host, `container`
//! the tables of a container's namespace. Leaves the kernel's encoding to `netlink`. Invariant: a difference applied to
//! the tables of the old wish gives the tables of the new one.

mod container;
mod host;
mod statement;

#[cfg(test)]
mod tests;

pub(super) use container::container_rules;
pub(super) use host::{HostRules, PortKey, SourceRange, Target};
pub(super) use statement::{
    Action, ChainHook, Change, Element, ElementValue, Family, Hook, Match, Rule, SetKind, Transaction,
};
