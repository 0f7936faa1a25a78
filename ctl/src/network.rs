//! `shoal network`: the networks that a host knows.

mod command;

pub(crate) use command::NetworkCommand;
