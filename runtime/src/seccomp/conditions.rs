//! Which rules of a profile count, for one container on one host.

use crate::capability::CapabilitySet;
use crate::seccomp::{Arch, Conditions, Rule};

/// What conditions are decided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    pub(crate) arch: Arch,
    /// The container's bounding set.
    pub(crate) capabilities: CapabilitySet,
    pub(crate) kernel: KernelVersion,
}

/// Major and minor version of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KernelVersion(pub(crate) u32, pub(crate) u32);

impl KernelVersion {
    /// Reads the beginning of a release (`6.18.44-generic`, `4.8`).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// Whether a rule counts: all its `includes` hold, none of its `excludes` does.
pub(super) fn counts(rule: &Rule, facts: &Facts) -> bool {
    includes(&rule.includes, facts) && !excludes(&rule.excludes, facts)
}

fn includes(conditions: &Conditions, facts: &Facts) -> bool {
    (conditions.arches.is_empty() || conditions.arches.iter().any(|arch| arch == facts.arch.go_name()))
        && conditions.caps.iter().all(|name| held(name, facts))
        && conditions.min_kernel.as_deref().is_none_or(|wanted| at_least(wanted, facts))
}

fn excludes(conditions: &Conditions, facts: &Facts) -> bool {
    conditions.arches.iter().any(|arch| arch == facts.arch.go_name())
        || conditions.caps.iter().any(|name| held(name, facts))
        || conditions.min_kernel.as_deref().is_some_and(|wanted| at_least(wanted, facts))
}

/// A capability that nobody knows is held by nobody.
fn held(name: &str, facts: &Facts) -> bool {
    CapabilitySet::parse(name).is_ok_and(|set| facts.capabilities.contains(set))
}

fn at_least(wanted: &str, facts: &Facts) -> bool {
    KernelVersion::parse(wanted).is_some_and(|wanted| facts.kernel >= wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_release_is_read() {
        assert_eq!(KernelVersion::parse("6.18.44-fc-v595"), Some(KernelVersion(6, 18)));
        assert_eq!(KernelVersion::parse("4.8"), Some(KernelVersion(4, 8)));
        assert_eq!(KernelVersion::parse("x"), None);
        assert!(KernelVersion(4, 10) > KernelVersion(4, 9));
    }
}
