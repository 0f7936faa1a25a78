//! The server over a real socket in front of a backend in memory: every route as recorded, connections that live,
//! specs that survive, and the stock docker client.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at the first surprise")]

mod docker_cli;
mod fake;
mod fidelity;
mod routes;
mod streams;
mod wire;
