//! A swarm of one manager, driven by hand: what the shell sees.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod control;
mod host;
mod networks;
mod payloads;
