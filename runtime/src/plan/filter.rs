//! Compiled seccomp programs, kept: one service starts many containers with the same profile and rights.

use crate::capability::CapabilitySet;
use crate::failure::Failure;
use crate::limits::FILTERS_KEPT_MAX;
use crate::plan::HostFacts;
use crate::seccomp::{Facts, SeccompProfile, compile};

/// The programs compiled last.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    kept: Vec<(SeccompProfile, CapabilitySet, Vec<u64>)>,
}

impl Filters {
    /// The program of a profile for a bounding set, one word an instruction; `None` when there is no filter.
    ///
    /// # Errors
    /// When the profile cannot be compiled, or not for this host.
    pub(crate) fn compile(
        &mut self,
        profile: &SeccompProfile,
        bounding: CapabilitySet,
        host: &HostFacts,
    ) -> Result<Option<Vec<u64>>, Failure> {
        if let Some(at) = self.kept.iter().position(|(known, caps, _)| known == profile && *caps == bounding) {
            let found = self.kept.remove(at);
            let program = found.2.clone();
            self.kept.push(found);
            return Ok(Some(program));
        }
        let Some(program) = program(profile, bounding, host)? else { return Ok(None) };
        if self.kept.len() >= FILTERS_KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push((profile.clone(), bounding, program.clone()));
        Ok(Some(program))
    }
}

fn program(
    profile: &SeccompProfile,
    capabilities: CapabilitySet,
    host: &HostFacts,
) -> Result<Option<Vec<u64>>, Failure> {
    let refuse =
        |value: &str, remedy: String| Failure::Invalid { field: "seccomp".to_owned(), value: value.to_owned(), remedy };
    if *profile == SeccompProfile::Unconfined {
        return Ok(None);
    }
    let Some(arch) = host.arch else {
        let remedy = "this architecture has no filter yet: use unconfined".to_owned();
        return Err(refuse(std::env::consts::ARCH, remedy));
    };
    let facts = Facts { arch, capabilities, kernel: host.kernel };
    let program = compile(profile, &facts).map_err(|error| refuse("custom", error.to_string()))?;
    Ok(program.map(|program| program.iter().map(|instruction| instruction.to_word()).collect()))
}
