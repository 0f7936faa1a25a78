//! Containers of this host: from a task and an image to a container that the keeper runs, its record, its output, and
//! commands run in it.
//!
//! In: tasks from the executor, questions from the API. Out: exits and health to the core, events to whoever watches.
//! Leaves to others: the root filesystem's layers (image), network namespaces (network), processes (runtime).
//!
//! On disk, below `<data-root>/container/<id>/`: `record.json` (one line of what the container is, written before it is
//! made; one of how it ended) and its log; the image store keeps the root filesystem's folders beside them. Below
//! `<exec-root>/container/<id>/`: `hosts`, `hostname`, `resolv.conf`, and the mount of `payloads`, a file system in memory
//! with its secrets and configs.
//!
//! Invariants: a container's id is a function of its task, and its record is on disk before the keeper knows it, so that
//! no crash makes a second one or loses one; a folder without a record is a leftover and is removed.

mod create;
mod environment;
mod error;
mod etc_files;
mod exec;
mod files;
mod health;
mod logs;
mod mounts;
mod observer;
mod plan;
mod process;
mod record;
mod registry;
mod stats;
mod store;

pub use error::ContainerError;
pub use exec::{ExecInput, ExecOutput, ExecRequest, ExecStreams, ExecView};
pub use health::{Health, HealthResult, HealthStatus};
pub use logs::{LogQuery, LogRecord, OutputStream};
pub use record::{
    ContainerEnd, ContainerInterface, ContainerLife, ContainerRecord, ContainerView, LogSettings, MountPoint,
    NetworkSettings,
};
pub use stats::StatsSample;
pub use store::LocalContainers;
pub(crate) use store::{ContainerDefaults, LocalContainersParts};
