//! The private nftables tables, as data: what they should hold and which changes lead there.
//!
//! `statement` is the small language of rules (printed as `nft` prints them), `host` the table of the host, `container`
//! the tables by which a container's answers find their way, `names` the table of virtual addresses in its namespace. Leaves the kernel's encoding to `netlink`. Invariant: a difference applied to
//! the tables of the old wish gives the tables of the new one.

mod batch;
mod container;
mod host;
mod names;
mod statement;

#[cfg(test)]
mod tests;

use batch::ElementBatch;
pub(super) use container::container_rules;
pub(super) use host::{HostRules, PortKey, REFUSED_PORTS, SERVICES, SourceRange, Target, TunnelGuard};
pub(super) use names::{NAMES_TABLE, NameRules, REFUSED, ResolverPorts, VIPS};
pub(super) use statement::{
    Action, ChainHook, Change, Element, ElementValue, Family, Hook, Key, Match, Rule, SetKind, Transaction,
};
