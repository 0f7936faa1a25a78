//! `shoal swarm`: forming a swarm, entering and leaving it, and what holds for all of it.

mod command;
mod form;
mod settings;
mod tokens;

pub(crate) use command::SwarmCommand;
