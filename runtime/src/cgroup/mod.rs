//! Control groups, v1 and v2 behind one plan: what the host has (`hierarchy`), what a container's limits become (`plan`,
//! pure and printable), carrying it out (`apply`), and reading back (`usage`).

mod apply;
mod devices;
mod hierarchy;
mod plan;
mod usage;

pub(crate) use apply::{CgroupError, apply, enter, kill, remove, remove_empty, rename};
pub(crate) use hierarchy::{Controllers, Hierarchy};
pub(crate) use plan::{CgroupPlan, Location, Step};
pub(crate) use usage::{oom_kills, stats};
