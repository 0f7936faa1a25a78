//! The keeper with real containers: needs root. Each test has a keeper, a cgroup parent and directories of its own, and
//! checks at its end that nothing is left of them.

#![expect(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod adoption;
mod exec;
mod hierarchy;
mod house;
mod isolation;
mod lifecycle;
mod logs;
