//! `shoal node`: the hosts of the swarm, what they are and what they may do.

mod change;
mod command;
mod list;
mod show;

pub(crate) use command::NodeCommand;
