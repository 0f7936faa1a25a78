//! `shoal image`: fetching, loading, listing and removing images of one host.

mod command;
mod fetch;
mod list;

pub(crate) use command::{ImageCommand, ImageRemoveArgs};
pub(crate) use fetch::{LoadArgs, PullArgs};
pub(crate) use list::ImageListArgs;
