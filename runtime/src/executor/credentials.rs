//! What a process may do: limits, user, capabilities, filter, in the order in which rights are lost.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet as Bits, CapabilitySets, clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::capability::CapabilitySet;
use crate::executor::accounts::Identity;
use crate::executor::channel::Inherited;
use crate::executor::failure::AtStage;
use crate::failure::{Stage, StartFailure};
use crate::plan::ProcessPlan;
use crate::spec::{Rlimit, RlimitKind};
use crate::sys::{self, Instruction};

/// Sets the process's place in the queue of the out-of-memory killer. Runs while `/proc` is the host's.
pub(super) fn oom_score(process: &ProcessPlan) -> Result<(), StartFailure> {
    let score = process.oom_score_adj;
    match std::fs::write("/proc/self/oom_score_adj", score.to_string()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(error).at(Stage::Rlimit, || format!("oom_score_adj {score}: lowering it needs CAP_SYS_RESOURCE"))
        }
        outcome => outcome.at(Stage::Rlimit, || format!("oom_score_adj {score}")),
    }
}

/// Sets resource limits: first back to what the keeper itself was given, then what the plan says.
pub(super) fn limit(process: &ProcessPlan, inherited: &Inherited) -> Result<(), StartFailure> {
    let (soft, hard) = inherited.open_files;
    let before = Rlimit { kind: RlimitKind::Nofile, soft, hard };
    for limit in [before].iter().chain(&process.rlimits) {
        let finite = |value: u64| (value != u64::MAX).then_some(value);
        let wanted = rustix::process::Rlimit { current: finite(limit.soft), maximum: finite(limit.hard) };
        match setrlimit(resource(limit.kind), wanted) {
            Err(rustix::io::Errno::PERM) => {
                let now = getrlimit(resource(limit.kind)).maximum;
                let now = now.map_or_else(|| "unlimited".to_owned(), |now| now.to_string());
                return Err(rustix::io::Errno::PERM).at(Stage::Rlimit, || {
                    format!(
                        "{}={}:{}: raising the hard limit above {now} needs CAP_SYS_RESOURCE, which root lacks on this host",
                        limit.kind, limit.soft, limit.hard
                    )
                });
            }
            outcome => outcome.at(Stage::Rlimit, || format!("{}={}:{}", limit.kind, limit.soft, limit.hard))?,
        }
    }
    Ok(())
}

/// Becomes the user with the plan's rights, filtered.
pub(super) fn assume(process: &ProcessPlan, identity: &Identity) -> Result<(), StartFailure> {
    let sets = &process.capabilities;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::of(number);
        if !capability.is_empty() && !sets.bounding.contains(capability) {
            match remove_capability_from_bounding_set(Bits::from_bits_retain(capability.bits())) {
                // Newer than the kernel, which has no such right to lose.
                Err(rustix::io::Errno::INVAL) => {}
                outcome => outcome.at(Stage::Capability, || format!("bounding set, capability {number}"))?,
            }
        }
    }
    let detail = || format!("uid {} gid {}", identity.uid, identity.gid);
    let groups: Vec<Gid> = identity.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    // Rights survive the change of user until they are set below.
    set_keep_capabilities(true).at(Stage::Capability, detail)?;
    set_thread_groups(&groups).at(Stage::User, detail)?;
    set_thread_res_gid(gid, gid, gid).at(Stage::User, detail)?;
    set_thread_res_uid(uid, uid, uid).at(Stage::User, detail)?;
    if process.no_new_privileges {
        set_no_new_privs(true).at(Stage::Capability, || "no_new_privileges".to_owned())?;
    } else if process.seccomp.is_some() {
        // Without no-new-privileges a filter needs CAP_SYS_ADMIN: it goes in while that right can still be had, and
        // the profile must allow what little follows.
        raise_admin()?;
    }
    if !process.no_new_privileges {
        install_filter(process)?;
    }
    set_sets(process)?;
    if process.no_new_privileges {
        install_filter(process)?;
    }
    Ok(())
}

/// Makes CAP_SYS_ADMIN effective again, which the change of user took away.
fn raise_admin() -> Result<(), StartFailure> {
    let mut now = rustix::thread::capabilities(None).at(Stage::Capability, || "reading".to_owned())?;
    now.effective |= now.permitted;
    set_capabilities(None, now).at(Stage::Capability, || "raising CAP_SYS_ADMIN for the seccomp filter".to_owned())
}

fn set_sets(process: &ProcessPlan) -> Result<(), StartFailure> {
    let sets = &process.capabilities;
    let bits = |set: CapabilitySet| Bits::from_bits_retain(set.bits());
    let had = rustix::thread::capabilities(None).at(Stage::Capability, || "reading".to_owned())?;
    let missing = CapabilitySet::from_bits(sets.permitted.bits() & !had.permitted.bits());
    if !missing.is_empty() {
        let names: Vec<String> = missing.names().collect();
        return Err(rustix::io::Errno::PERM)
            .at(Stage::Capability, || format!("root lacks {} on this host", names.join(", ")));
    }
    let wanted = CapabilitySets {
        effective: bits(sets.effective),
        permitted: bits(sets.permitted),
        inheritable: bits(sets.inheritable),
    };
    set_capabilities(None, wanted).at(Stage::Capability, || format!("{sets:?}"))?;
    clear_ambient_capability_set().at(Stage::Capability, || "clearing the ambient set".to_owned())?;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::of(number);
        if !capability.is_empty() && sets.ambient.contains(capability) {
            configure_capability_in_ambient_set(bits(capability), true)
                .at(Stage::Capability, || format!("ambient set, capability {number}"))?;
        }
    }
    Ok(())
}

fn install_filter(process: &ProcessPlan) -> Result<(), StartFailure> {
    let Some(words) = &process.seccomp else { return Ok(()) };
    let program: Vec<Instruction> = words.iter().map(|word| Instruction::from_word(*word)).collect();
    sys::install_filter(&program).at(Stage::Seccomp, || format!("{} instructions", program.len()))
}

fn resource(kind: RlimitKind) -> Resource {
    match kind {
        RlimitKind::As => Resource::As,
        RlimitKind::Core => Resource::Core,
        RlimitKind::Cpu => Resource::Cpu,
        RlimitKind::Data => Resource::Data,
        RlimitKind::Fsize => Resource::Fsize,
        RlimitKind::Locks => Resource::Locks,
        RlimitKind::Memlock => Resource::Memlock,
        RlimitKind::Msgqueue => Resource::Msgqueue,
        RlimitKind::Nice => Resource::Nice,
        RlimitKind::Nofile => Resource::Nofile,
        RlimitKind::Nproc => Resource::Nproc,
        RlimitKind::Rss => Resource::Rss,
        RlimitKind::Rtprio => Resource::Rtprio,
        RlimitKind::Rttime => Resource::Rttime,
        RlimitKind::Sigpending => Resource::Sigpending,
        RlimitKind::Stack => Resource::Stack,
    }
}
