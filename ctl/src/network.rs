//! `shoal network`: networks that a host knows, and those of the swarm.

mod change;
mod command;
mod verify;

pub(crate) use command::NetworkCommand;
