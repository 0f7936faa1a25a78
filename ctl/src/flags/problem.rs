//! Flags that are well written and make no sense together, or with the object that they meet.

/// Why a command cannot begin. Nothing has been sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("the input device is not a TTY")]
    InputNoTerminal,
    #[error("--replicas can only be used with replicated or replicated-job mode")]
    Replicas,
    #[error("--replicas-max-per-node can only be used with replicated or replicated-job mode")]
    MaxPerNode,
    #[error("--max-concurrent can only be used with replicated-job mode")]
    MaxConcurrent,
    #[error("update and rollback configuration is not supported for jobs")]
    JobUpdate,
    #[error("--no-healthcheck conflicts with --health-* options")]
    Healthcheck,
    #[error("two --mount-add have the target {0}")]
    MountTarget(String),
    #[error("the service is already attached to network {0}")]
    Attached(String),
    #[error("the service reserves no generic resource {0}, so it cannot be removed")]
    NoGenericResource(String),
    #[error("other flags may not be combined with --rollback")]
    RollbackAlone,
    #[error("the label {label} is not on node {node}, so it cannot be removed")]
    NoLabel { node: String, label: String },
    #[error("{0} is a {1} service, and only replicated and replicated-job services can be scaled")]
    NotScalable(String, &'static str),
    #[error("nothing to change: give at least one flag")]
    NothingToChange,
    #[error("{0:?} is not SERVICE=REPLICAS with a whole number of replicas")]
    Scale(String),
    #[error(
        "{value:?} is not a time for --{flag}: write 2006-01-02T15:04:05Z, seconds since 1970, or an age such as 10m"
    )]
    Time { flag: &'static str, value: String },
    #[error("tty service logs only supported with --raw")]
    TtyLogs,
    #[error("{0:?} is not a kind of object: use container, image, network, service, task, node, secret or config")]
    Kind(String),
    #[error("no archive to load: standard input is a terminal")]
    NoArchive,
}

impl FlagError {
    /// The next thing to try.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::InputNoTerminal => "leave out -t when the input is no terminal".into(),
            Self::Replicas | Self::MaxPerNode => "leave the flag out, or choose --mode replicated".into(),
            Self::MaxConcurrent => "leave the flag out, or choose --mode replicated-job".into(),
            Self::JobUpdate => {
                "leave out --update-* and --rollback-*: a job is run anew, not updated task by task".into()
            }
            Self::RollbackAlone => "`shoal service rollback SERVICE` does only that".into(),
            Self::NoLabel { node, .. } => format!("`shoal node inspect {node}` shows its labels"),
            Self::NothingToChange => "--help lists the flags".into(),
            Self::TtyLogs => "add --raw".into(),
            Self::NoArchive => "name it with --input FILE, or redirect it: shoal load < FILE".into(),
            _ => return None,
        })
    }
}
