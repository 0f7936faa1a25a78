//! Why the keeper refused or failed, in a form that crosses the socket without losing its cause.

use serde::{Deserialize, Serialize};

use crate::spec::ContainerId;

/// The keeper's answer when it did not do what was asked. Nothing is left half-done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// There is no such container.
    #[error("there is no container {id}")]
    NotFound {
        /// Which one was asked for.
        id: ContainerId,
    },
    /// The id is taken.
    #[error("a container {id} exists already; delete it first")]
    AlreadyExists {
        /// The id.
        id: ContainerId,
    },
    /// The container is not in the state that the request needs.
    #[error("container {id} is {status}: it cannot be {request}")]
    WrongStatus {
        /// Which container.
        id: ContainerId,
        /// Its status: created, running, exited.
        status: String,
        /// What was asked for, as a participle: started, attached to, ...
        request: String,
    },
    /// There is no such exec process, or it has ended.
    #[error("there is no running exec {exec}")]
    ExecNotFound {
        /// Which one was asked for.
        exec: String,
    },
    /// A field holds something that cannot be.
    #[error("{field} {value:?} is not acceptable: {remedy}")]
    Invalid {
        /// The field, as a path: `resources.memory`.
        field: String,
        /// What it holds.
        value: String,
        /// What it may hold, or what to change.
        remedy: String,
    },
    /// The container or the exec process could not be started.
    #[error(transparent)]
    Start(#[from] StartFailure),
    /// A limit of the keeper itself is reached.
    #[error("the keeper holds {held} {what} already")]
    Full {
        /// Of what.
        what: String,
        /// How many.
        held: usize,
    },
    /// The keeper still looks after containers.
    #[error("the keeper looks after {held} containers: delete them first")]
    InUse {
        /// How many.
        held: usize,
    },
    /// The host refused a system call outside a start.
    #[error("{operation}: {}", errno_text(*.errno))]
    System {
        /// What was being done, with the path.
        operation: String,
        /// The kernel's error number.
        errno: i32,
    },
}

/// A start that failed: at which step, with which error, on what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}", self.text())]
pub struct StartFailure {
    /// The step.
    pub stage: Stage,
    /// The kernel's error number; 0 when no system call failed.
    pub errno: i32,
    /// What the step was working on, with the remedy when there is one.
    pub detail: String,
}

impl StartFailure {
    /// Docker's exit code for a container that could not be started: 127 when the command does not exist, 126 when
    /// it cannot be executed, 128 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self.stage {
            Stage::CommandLookup => 127,
            Stage::Execute => 126,
            _ => 128,
        }
    }

    fn text(&self) -> String {
        match (self.stage, self.errno) {
            (Stage::CommandLookup, _) | (_, 0) => self.detail.clone(),
            (Stage::Execute, errno) => format!("exec: {:?}: {}", self.detail, errno_text(errno)),
            (stage, errno) => format!("{}: {}: {}", stage.name(), self.detail, errno_text(errno)),
        }
    }
}

/// The steps of a start, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is described by `Stage::name`")]
pub enum Stage {
    Clone,
    Cgroup,
    Namespace,
    Rootfs,
    Mount,
    Device,
    Terminal,
    Mask,
    Sysctl,
    Hostname,
    User,
    Rlimit,
    Capability,
    Seccomp,
    WorkingDirectory,
    CommandLookup,
    Execute,
    Protocol,
}

impl Stage {
    /// What the step does, as a gerund.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clone => "making the process",
            Self::Cgroup => "entering the cgroup",
            Self::Namespace => "entering the namespaces",
            Self::Rootfs => "mounting the root file system",
            Self::Mount => "mounting",
            Self::Device => "making the devices",
            Self::Terminal => "making the terminal",
            Self::Mask => "hiding a path",
            Self::Sysctl => "setting a sysctl",
            Self::Hostname => "setting the host name",
            Self::User => "becoming the user",
            Self::Rlimit => "setting a resource limit",
            Self::Capability => "setting the capabilities",
            Self::Seccomp => "installing the seccomp filter",
            Self::WorkingDirectory => "entering the working directory",
            Self::CommandLookup => "looking up the command",
            Self::Execute => "executing the command",
            Self::Protocol => "talking to the keeper",
        }
    }
}

/// The kernel's words for an error number, as strerror(3) has them.
fn errno_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let bare = text.split(" (os error").next().unwrap_or(&text);
    bare.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_step_object_and_reason() {
        let failure =
            StartFailure { stage: Stage::Mount, errno: libc::ENOENT, detail: "bind of /nope on /data".into() };
        assert_eq!(failure.to_string(), "mounting: bind of /nope on /data: no such file or directory");
        let failure = StartFailure { stage: Stage::Execute, errno: libc::EACCES, detail: "/etc/passwd".into() };
        assert_eq!(failure.to_string(), "exec: \"/etc/passwd\": permission denied");
        assert_eq!(failure.exit_code(), 126);
        let invalid = Failure::Invalid {
            field: "resources.memory".into(),
            value: "5".into(),
            remedy: "give at least 6 MiB".into(),
        };
        assert_eq!(invalid.to_string(), "resources.memory \"5\" is not acceptable: give at least 6 MiB");
    }
}
