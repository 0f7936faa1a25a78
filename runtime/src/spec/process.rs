//! What runs in a container, as whom, and with which rights.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;

/// The first process of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The command: entrypoint and arguments joined; at least one. A name without `/` is looked up in `PATH`.
    pub args: Vec<String>,
    /// `NAME=value` pairs, complete. `HOME` is added from the user's passwd entry when absent.
    #[serde(default)]
    pub env: Vec<String>,
    /// Working directory, absolute; made when missing.
    #[serde(default = "root_directory")]
    pub cwd: String,
    /// `USER[:GROUP]`, each a name or a number, resolved against the root file system's own passwd and group files;
    /// empty means root.
    #[serde(default)]
    pub user: String,
    /// Further groups, each a name or a number.
    #[serde(default)]
    pub additional_groups: Vec<String>,
    /// Rights of root that the process keeps.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// No program may gain rights by being executed (setuid bits have no effect).
    #[serde(default)]
    pub no_new_privileges: bool,
    /// Resource limits beside the host's own defaults.
    #[serde(default)]
    pub rlimits: Vec<Rlimit>,
    /// -1000 (never killed for memory) to 1000.
    #[serde(default)]
    pub oom_score_adj: Option<i32>,
    /// Give the process a terminal, which is then its stdin, stdout and stderr.
    #[serde(default)]
    pub terminal: bool,
    /// Keep stdin open for `attach`; otherwise it is `/dev/null`.
    #[serde(default)]
    pub open_stdin: bool,
}

impl ProcessSpec {
    /// A process with Docker's defaults everywhere else.
    pub fn new(args: Vec<String>) -> Self {
        Self {
            args,
            env: Vec::new(),
            cwd: root_directory(),
            user: String::new(),
            additional_groups: Vec::new(),
            capabilities: Capabilities::default(),
            no_new_privileges: false,
            rlimits: Vec::new(),
            oom_score_adj: None,
            terminal: false,
            open_stdin: false,
        }
    }
}

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Which one.
    pub kind: RlimitKind,
    /// What the process gets; `u64::MAX` is no limit.
    pub soft: u64,
    /// How far it may raise it itself; `u64::MAX` is no limit.
    pub hard: u64,
}

/// The resources that the kernel can limit for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the kernel's own name, RLIMIT_ in front; see getrlimit(2)")]
pub enum RlimitKind {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

impl RlimitKind {
    /// The limit of that name, in Docker's spelling (`nofile`) or the kernel's (`RLIMIT_NOFILE`).
    pub fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let bare = lower.strip_prefix("rlimit_").unwrap_or(&lower);
        Self::ALL.into_iter().find(|kind| kind.name() == bare)
    }

    /// Docker's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::As => "as",
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Locks => "locks",
            Self::Memlock => "memlock",
            Self::Msgqueue => "msgqueue",
            Self::Nice => "nice",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Rss => "rss",
            Self::Rtprio => "rtprio",
            Self::Rttime => "rttime",
            Self::Sigpending => "sigpending",
            Self::Stack => "stack",
        }
    }

    /// Every limit.
    pub const ALL: [Self; 16] = [
        Self::As,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Locks,
        Self::Memlock,
        Self::Msgqueue,
        Self::Nice,
        Self::Nofile,
        Self::Nproc,
        Self::Rss,
        Self::Rtprio,
        Self::Rttime,
        Self::Sigpending,
        Self::Stack,
    ];
}

impl fmt::Display for RlimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn root_directory() -> String {
    "/".to_owned()
}
