//! `shoal network`: networks that a host knows, and those of the swarm.

mod change;
mod command;

pub(crate) use command::NetworkCommand;
