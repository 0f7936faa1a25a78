//! `shoal`, the whole program, against a daemon that the tests play themselves.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail the test")]

mod beside_docker;
mod convergence;
mod exec;
mod fake;
mod objects;
mod output;
mod recorded;
