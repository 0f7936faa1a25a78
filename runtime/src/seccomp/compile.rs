//! From a profile to the kernel's program.
//!
//! Calls are looked up by a binary search over runs of numbers with the same verdict, so that a call costs some eight
//! comparisons however long the profile is. Whatever the profile says: another architecture kills the process, and
//! numbers newer than this build's tables (x32's numbers are among them) fail with ENOSYS unless everything is allowed.

use std::collections::BTreeMap;

use crate::defaults;
use crate::limits::SECCOMP_INSTRUCTIONS_MAX;
use crate::seccomp::conditions::{Facts, counts};
use crate::seccomp::program::{
    ARCH, NUMBER, RET_ERRNO, RET_KILL_PROCESS, conditions, give, jump, jump_if_at_least, jump_if_equal, load, verdict,
};
use crate::seccomp::{Action, Arch, ArgumentRule, Profile, SeccompProfile, calls_aarch64, calls_x86_64};
use crate::sys::Instruction;

/// A profile that cannot be made into a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompileError {
    #[error("an argument rule of {call} has the index {index}: a system call has arguments 0 to 5")]
    Argument { call: String, index: u32 },
    #[error("the program has {0} instructions, and the kernel takes {SECCOMP_INSTRUCTIONS_MAX}: shorten the profile")]
    TooLong(usize),
}

/// The program of a profile for one container, or `None` when there is no filter.
///
/// # Errors
/// When a rule cannot be, or the program is too long for the kernel.
pub(crate) fn compile(profile: &SeccompProfile, facts: &Facts) -> Result<Option<Vec<Instruction>>, CompileError> {
    match profile {
        SeccompProfile::Unconfined => Ok(None),
        SeccompProfile::Default => compile_profile(&defaults::seccomp_profile(), facts).map(Some),
        SeccompProfile::Custom(profile) => compile_profile(profile, facts).map(Some),
    }
}

fn compile_profile(profile: &Profile, facts: &Facts) -> Result<Vec<Instruction>, CompileError> {
    let default = verdict(profile.default_action, profile.default_errno_ret);
    let runs = runs(&leaves(profile, facts)?, default, facts.arch);
    let mut program =
        vec![load(ARCH), jump_if_equal(audit_arch(facts.arch), 1, 0), give(RET_KILL_PROCESS), load(NUMBER)];
    search(&runs, &mut program);
    if program.len() > SECCOMP_INSTRUCTIONS_MAX {
        return Err(CompileError::TooLong(program.len()));
    }
    Ok(program)
}

/// What happens to one call: the first alternative whose conditions all hold, otherwise the last verdict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Leaf {
    alternatives: Vec<(Vec<ArgumentRule>, u32)>,
    otherwise: Option<u32>,
}

/// The rules that count, by call number.
fn leaves(profile: &Profile, facts: &Facts) -> Result<BTreeMap<u32, Leaf>, CompileError> {
    let numbers: BTreeMap<&str, u32> = calls(facts.arch).iter().copied().collect();
    let mut leaves: BTreeMap<u32, Leaf> = BTreeMap::new();
    for rule in profile.syscalls.iter().filter(|rule| counts(rule, facts)) {
        for name in rule.names.iter().chain(&rule.name) {
            if let Some(argument) = rule.args.iter().find(|argument| argument.index > 5) {
                return Err(CompileError::Argument { call: name.clone(), index: argument.index });
            }
            let Some(number) = numbers.get(name.as_str()) else { continue };
            let leaf = leaves.entry(*number).or_default();
            let verdict = verdict(rule.action, rule.errno_ret.or(profile.default_errno_ret));
            if leaf.otherwise.is_some() {
                continue;
            }
            if rule.args.is_empty() {
                leaf.otherwise = Some(verdict);
            } else {
                leaf.alternatives.push((rule.args.clone(), verdict));
            }
        }
    }
    Ok(leaves)
}

/// Numbers from `first` up to the next run's have this code.
struct Run {
    first: u32,
    code: Vec<Instruction>,
}

/// Covers all numbers with as few runs as possible.
fn runs(leaves: &BTreeMap<u32, Leaf>, default: u32, arch: Arch) -> Vec<Run> {
    let newest = calls(arch).iter().map(|(_, number)| *number).max().unwrap_or_default();
    let allow = verdict(Action::Allow, None);
    let newer = if default == allow { allow } else { RET_ERRNO | libc::ENOSYS.unsigned_abs() };
    let mut runs: Vec<Run> = Vec::new();
    let mut add = |first: u32, code: Vec<Instruction>| {
        if runs.last().is_none_or(|last| last.code != code) {
            runs.push(Run { first, code });
        }
    };
    for number in 0..=newest {
        add(number, leaves.get(&number).map_or_else(|| vec![give(default)], |leaf| code(leaf, default)));
    }
    add(newest + 1, vec![give(newer)]);
    // An allow-by-default profile names calls that must not be made: their x32 twins are refused with all of x32.
    if arch == Arch::X86_64 && newer == allow {
        add(X32_FIRST, vec![give(RET_ERRNO | libc::ENOSYS.unsigned_abs())]);
    }
    runs
}

fn code(leaf: &Leaf, default: u32) -> Vec<Instruction> {
    let mut code = Vec::new();
    for (rules, verdict) in &leaf.alternatives {
        code.extend(conditions(rules, 1));
        code.push(give(*verdict));
    }
    code.push(give(leaf.otherwise.unwrap_or(default)));
    code
}

/// Appends code that finds the run of the loaded number: the lower half follows, the upper half after it.
fn search(runs: &[Run], program: &mut Vec<Instruction>) {
    match runs {
        [] => {}
        [run] => program.extend_from_slice(&run.code),
        _ => {
            let (lower, upper) = runs.split_at(runs.len() / 2);
            let at = program.len();
            // Room for the longer form; the shorter leaves a no-op jump away.
            program.push(jump_if_at_least(upper[0].first, 0, 1));
            program.push(jump(0));
            search(lower, program);
            let distance = program.len() - at - 2;
            if let Ok(short) = u8::try_from(distance) {
                program.remove(at + 1);
                program[at] = jump_if_at_least(upper[0].first, short, 0);
            } else {
                program[at + 1] = jump(distance as u32);
            }
            search(upper, program);
        }
    }
}

fn calls(arch: Arch) -> &'static [(&'static str, u32)] {
    match arch {
        Arch::X86_64 => calls_x86_64::CALLS,
        Arch::Aarch64 => calls_aarch64::CALLS,
    }
}

/// The kernel's number of an architecture (AUDIT_ARCH_*).
const fn audit_arch(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 0xc000_003e,
        Arch::Aarch64 => 0xc000_00b7,
    }
}

const X32_FIRST: u32 = 0x4000_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::CapabilitySet;
    use crate::seccomp::interpreter::{Call, evaluate};
    use crate::seccomp::{Comparison, KernelVersion};
    use proptest::prelude::*;

    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = RET_ERRNO | 1;
    const ENOSYS: u32 = RET_ERRNO | 38;

    fn facts(arch: Arch, capabilities: CapabilitySet) -> Facts {
        Facts { arch, capabilities, kernel: KernelVersion(6, 1) }
    }

    fn number(arch: Arch, name: &str) -> u32 {
        calls(arch).iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn default_verdict(capabilities: CapabilitySet, name: &str, arguments: [u64; 6]) -> u32 {
        let program = compile(&SeccompProfile::Default, &facts(Arch::X86_64, capabilities)).unwrap().unwrap();
        let call = Call { arch: audit_arch(Arch::X86_64), number: number(Arch::X86_64, name), arguments };
        evaluate(&program, &call)
    }

    fn with(name: &str) -> CapabilitySet {
        defaults::CAPABILITIES.union(CapabilitySet::parse(name).unwrap())
    }

    #[test]
    fn the_default_profile_answers_as_dockers_does() {
        let docker = defaults::CAPABILITIES;
        let admin = with("SYS_ADMIN");
        let verdict = |caps, name, first| default_verdict(caps, name, [first, 0, 0, 0, 0, 0]);
        for name in ["read", "execve", "ptrace", "io_setup", "chroot", "mknod", "openat2", "seccomp", "setxattrat"] {
            assert_eq!(verdict(docker, name, 0), ALLOW, "{name}");
        }
        for name in [
            "mount",
            "unshare",
            "setns",
            "bpf",
            "keyctl",
            "add_key",
            "io_uring_setup",
            "reboot",
            "swapon",
            "userfaultfd",
            "kexec_load",
            "open_tree",
        ] {
            assert_eq!(verdict(docker, name, 0), EPERM, "{name}");
        }
        assert_eq!(verdict(admin, "mount", 0), ALLOW);
        assert_eq!(verdict(admin, "keyctl", 0), EPERM);
        assert_eq!(verdict(with("SYS_TIME"), "settimeofday", 0), ALLOW);
        assert_eq!(verdict(with("SYSLOG"), "syslog", 0), ALLOW);
        assert_eq!(verdict(CapabilitySet::EMPTY, "chroot", 0), EPERM);
        assert_eq!(verdict(docker, "clone3", 0), ENOSYS);
        assert_eq!(verdict(admin, "clone3", 0), ALLOW);
        assert_eq!(verdict(docker, "clone", 0x3d0f00), ALLOW);
        assert_eq!(verdict(docker, "clone", 0x1000_0000), EPERM);
        assert_eq!(verdict(admin, "clone", 0x1000_0000), ALLOW);
        for (persona, expected) in
            [(0, ALLOW), (8, ALLOW), (0x2_0008, ALLOW), (0xffff_ffff, ALLOW), (4, EPERM), (0x40000, EPERM)]
        {
            assert_eq!(verdict(docker, "personality", persona), expected, "personality {persona:#x}");
        }
        for (family, expected) in [
            (1, ALLOW),
            (2, ALLOW),
            (10, ALLOW),
            (16, ALLOW),
            (17, ALLOW),
            (38, EPERM),
            (40, EPERM),
            (12, EPERM),
            (46, EPERM),
        ] {
            assert_eq!(verdict(docker, "socket", family), expected, "socket family {family}");
        }
    }

    #[test]
    fn other_architectures_and_newer_calls_are_refused() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let program = compile(&SeccompProfile::Default, &facts(arch, defaults::CAPABILITIES)).unwrap().unwrap();
            let answer = |arch, number| evaluate(&program, &Call { arch, number, arguments: [0; 6] });
            assert_eq!(answer(0x4000_0003, 0), RET_KILL_PROCESS, "i386");
            assert_eq!(answer(audit_arch(arch), number(arch, "read")), ALLOW);
            assert_eq!(answer(audit_arch(arch), 470), ENOSYS);
            assert_eq!(answer(audit_arch(arch), X32_FIRST), ENOSYS);
            assert_eq!(answer(audit_arch(arch), u32::MAX), ENOSYS);
            assert!(program.len() < 320, "{} instructions", program.len());
        }
    }

    #[test]
    fn a_deny_list_allows_the_rest_but_not_x32() {
        let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
            {"names":["mkdir","no_such_call"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"args":null},
            {"name":"kill","action":"SCMP_ACT_KILL_PROCESS","args":[{"index":1,"value":9,"op":"SCMP_CMP_EQ"}]}]}"#;
        let profile = SeccompProfile::parse(json).unwrap();
        let program = compile(&profile, &facts(Arch::X86_64, CapabilitySet::EMPTY)).unwrap().unwrap();
        let answer =
            |number, arguments| evaluate(&program, &Call { arch: audit_arch(Arch::X86_64), number, arguments });
        assert_eq!(answer(number(Arch::X86_64, "mkdir"), [0; 6]), RET_ERRNO | 13);
        assert_eq!(answer(number(Arch::X86_64, "kill"), [0, 9, 0, 0, 0, 0]), RET_KILL_PROCESS);
        assert_eq!(answer(number(Arch::X86_64, "kill"), [0, 15, 0, 0, 0, 0]), ALLOW);
        assert_eq!(answer(1000, [0; 6]), ALLOW);
        assert_eq!(answer(X32_FIRST + 83, [0; 6]), ENOSYS);
    }

    #[test]
    fn bad_profiles_are_refused() {
        assert!(SeccompProfile::parse("{}").is_err());
        assert!(SeccompProfile::parse(r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#).is_err());
        let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
            {"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":9,"op":"SCMP_CMP_EQ"}]}]}"#;
        let error = compile(&SeccompProfile::parse(json).unwrap(), &facts(Arch::X86_64, CapabilitySet::EMPTY));
        assert_eq!(error, Err(CompileError::Argument { call: "kill".into(), index: 6 }));
    }

    #[test]
    fn a_long_profile_still_jumps_right() {
        // Every call has a rule of its own, so that no two runs merge and the distances exceed eight bits.
        let rules = (0..300).map(|n| {
            let argument = ArgumentRule { index: 0, value: u64::from(n), value_two: 0, op: Comparison::Equal };
            let name = calls(Arch::X86_64).iter().find(|(_, number)| *number == n).unwrap().0;
            crate::seccomp::Rule {
                names: vec![name.to_owned()],
                name: None,
                action: Action::Allow,
                errno_ret: None,
                args: vec![argument],
                includes: Default::default(),
                excludes: Default::default(),
            }
        });
        let profile = Profile { default_action: Action::Errno, default_errno_ret: None, syscalls: rules.collect() };
        let program = compile_profile(&profile, &facts(Arch::X86_64, CapabilitySet::EMPTY)).unwrap();
        for n in 0..300u32 {
            let answer = |first: u64| {
                evaluate(
                    &program,
                    &Call { arch: audit_arch(Arch::X86_64), number: n, arguments: [first, 0, 0, 0, 0, 0] },
                )
            };
            assert_eq!(answer(u64::from(n)), ALLOW, "call {n}");
            assert_eq!(answer(u64::from(n) + 1), EPERM, "call {n}");
        }
    }

    fn holds(op: Comparison, argument: u64, value: u64, two: u64) -> bool {
        match op {
            Comparison::NotEqual => argument != value,
            Comparison::Less => argument < value,
            Comparison::LessOrEqual => argument <= value,
            Comparison::Equal => argument == value,
            Comparison::GreaterOrEqual => argument >= value,
            Comparison::Greater => argument > value,
            Comparison::MaskedEqual => argument & value == two,
        }
    }

    /// Numbers whose halves often agree.
    fn number_strategy() -> impl Strategy<Value = u64> {
        (0u64..3, 0u64..3).prop_map(|(high, low)| high << 32 | low)
    }

    proptest! {
        #[test]
        fn comparisons_are_those_of_64_bit_numbers(
            op in prop::sample::select(vec![Comparison::NotEqual, Comparison::Less, Comparison::LessOrEqual, Comparison::Equal, Comparison::GreaterOrEqual, Comparison::Greater, Comparison::MaskedEqual]),
            value in number_strategy(), two in number_strategy(), argument in number_strategy(), second in 0u64..2,
        ) {
            let rules = [
                ArgumentRule { index: 2, value, value_two: two, op },
                ArgumentRule { index: 5, value: 1, value_two: 0, op: Comparison::Equal },
            ];
            let mut program = conditions(&rules, 1);
            program.push(give(ALLOW));
            program.push(give(EPERM));
            let answer = evaluate(&program, &Call { arch: 0, number: 0, arguments: [0, 0, argument, 0, 0, second] });
            let expected = holds(op, argument, value, two) && second == 1;
            prop_assert_eq!(answer == ALLOW, expected);
        }
    }
}
