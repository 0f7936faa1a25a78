//! `shoal secret` and `shoal config`: the two kinds of content that tasks see as files. Their commands are the same but
//! for a word.

mod change;
mod command;
mod show;

pub(crate) use command::{ConfigCommand, SecretCommand};
