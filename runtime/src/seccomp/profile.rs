//! Seccomp profiles as Docker writes them. Reading is strict about values and lenient about keys: an unknown action or
//! comparison is an error, an unknown system call name (newer, or of another architecture) is not.

use serde::{Deserialize, Serialize};

/// What filters a container's system calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeccompProfile {
    /// Docker's default profile, conditions on the container's capabilities applied.
    #[default]
    Default,
    /// No filter.
    Unconfined,
    /// The user's own.
    Custom(Box<Profile>),
}

impl SeccompProfile {
    /// Reads a profile in Docker's JSON format.
    ///
    /// # Errors
    /// When the text is no such profile.
    pub fn parse(json: &str) -> Result<Self, ProfileError> {
        Ok(Self::Custom(Box::new(serde_json::from_str(json)?)))
    }
}

/// A text that is no seccomp profile.
#[derive(Debug, thiserror::Error)]
#[error("the seccomp profile does not parse")]
pub struct ProfileError(#[from] serde_json::Error);

/// A profile: rules in order, and what happens to a call that no rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to a call that no rule matches.
    pub default_action: Action,
    /// The error number that `Action::Errno` gives there; EPERM when absent.
    #[serde(default)]
    pub default_errno_ret: Option<u32>,
    /// The rules.
    #[serde(default)]
    pub syscalls: Vec<Rule>,
}

/// One rule: what happens to these calls when all the conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Names of system calls.
    #[serde(default)]
    pub names: Vec<String>,
    /// One more name, in the oldest form of the format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happens.
    pub action: Action,
    /// The error number that `Action::Errno` gives; EPERM when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// All must hold of the call's arguments.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub args: Vec<ArgumentRule>,
    /// The rule counts only when all of these hold.
    #[serde(default)]
    pub includes: Conditions,
    /// The rule does not count when any of these holds.
    #[serde(default)]
    pub excludes: Conditions,
}

/// When a rule counts, decided when the program is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conditions {
    /// Capabilities in the container's bounding set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<String>,
    /// Architectures of the host, in Go's words (`amd64`, `arm64`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arches: Vec<String>,
    /// The kernel is at least this one (`4.8`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArgumentRule {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// What it is compared with; the mask for `MaskedEqual`.
    pub value: u64,
    /// What the masked argument must be, for `MaskedEqual`.
    #[serde(default)]
    pub value_two: u64,
    /// How.
    pub op: Comparison,
}

/// How an argument is compared, as an unsigned 64-bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the comparison is the name")]
pub enum Comparison {
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// It is made.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// It fails with an error number.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// The thread is killed.
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// The process is killed.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// The process gets SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// It is made and noted in the audit log.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// A tracer decides; it fails with ENOSYS when there is none.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
}

/// An architecture for which programs can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit x86; the x32 form of its calls is refused.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// The architecture this program was built for, when it is one of these.
    pub const fn host() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// Go's word for it, which profiles use.
    pub const fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ArgumentRule>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
