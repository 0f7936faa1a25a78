//! A further process in a running container.

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;

/// What `exec` starts. It joins every namespace and cgroup of the container and runs under its seccomp profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// The command; at least one. A name without `/` is looked up in `PATH`.
    pub args: Vec<String>,
    /// `NAME=value` pairs, added to the container's own; a name given here wins.
    #[serde(default)]
    pub env: Vec<String>,
    /// Working directory; the container's own when absent.
    #[serde(default)]
    pub cwd: Option<String>,
    /// `USER[:GROUP]`; the container's own when absent.
    #[serde(default)]
    pub user: Option<String>,
    /// The container's own when absent.
    #[serde(default)]
    pub capabilities: Option<Capabilities>,
    /// Give the process a terminal.
    #[serde(default)]
    pub terminal: bool,
    /// First size of the terminal: rows, columns.
    #[serde(default)]
    pub terminal_size: Option<(u16, u16)>,
    /// Hand out a writable stdin; otherwise it is `/dev/null`. With a terminal the terminal itself is handed out.
    #[serde(default)]
    pub stdin: bool,
    /// Hand out stdout; otherwise it is `/dev/null`.
    #[serde(default = "yes")]
    pub stdout: bool,
    /// Hand out stderr; otherwise it is `/dev/null`.
    #[serde(default = "yes")]
    pub stderr: bool,
}

impl ExecSpec {
    /// A process with the container's settings, stdout and stderr handed out.
    pub fn new(args: Vec<String>) -> Self {
        Self {
            args,
            env: Vec::new(),
            cwd: None,
            user: None,
            capabilities: None,
            terminal: false,
            terminal_size: None,
            stdin: false,
            stdout: true,
            stderr: true,
        }
    }
}

fn yes() -> bool {
    true
}
