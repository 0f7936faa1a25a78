//! `shoal service`. `create` and `update` turn flags (`flags`, `merge`, `spec`) into specs and look names up
//! (`references`); `watch` waits for convergence by what `progress` decides; `list`, `tasks`,
//! `inspect` and `logs` show what there is.

mod command;
mod create;
mod flags;
mod inspect;
mod list;
mod logs;
mod merge;
mod progress;
mod references;
mod scale;
mod spec;
mod tasks;
mod update;
mod watch;

pub(crate) use command::ServiceCommand;
pub(crate) use references::with_tag;
pub(crate) use tasks::{TaskListFlags, listed as listed_tasks};
