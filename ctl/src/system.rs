//! What concerns the daemon as a whole: its version and state, its events, and objects of any kind.

mod command;
mod events;
mod info;
mod inspect;
mod version;

pub(crate) use command::{FormatArgs, SystemCommand};
pub(crate) use events::EventsArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use version::client_text;
