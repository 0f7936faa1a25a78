//! The keeper: the process that starts containers, holds what they need to live (pidfds, output, terminals), reaps them
//! and remembers how they ended. One thread, one epoll loop, no network; its only input is its socket.
//!
//! What must outlive the keeper is in its state directory (`record`); everything else can be found again from there by
//! a successor (`adopt`). No container notices that its keeper was replaced.

mod adopt;
mod attach;
mod clients;
mod container;
mod daemon;
mod error;
mod exec;
mod fifo;
mod host;
mod lifecycle;
mod log;
mod oom;
mod options;
mod output;
mod poll;
mod record;
mod requests;
mod run;
mod spares;
mod spawn;
mod start;
mod timers;

pub use daemon::keep;
pub use error::KeepError;
pub use error::error_chain;
pub use options::{KeepOptions, OptionsError};
