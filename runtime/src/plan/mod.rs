//! From a description to a plan: every check that needs no system call, every default filled in, every order settled.
//! Pure; the executor chooses nothing.

mod filter;
mod mounts;
mod process;
mod start;
mod sysctl;

pub(crate) use filter::Filters;
pub(crate) use mounts::{PlannedBind, PlannedKind, PlannedMount, Target};
pub(crate) use process::{ExecPlan, ProcessPlan};
pub(crate) use start::{HostFacts, StartPlan};
