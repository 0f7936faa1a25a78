//! The client of the keeper, as `shoald` uses it: one cheap handle, blocking calls, a bounded stream of events.
//!
//! A handle stays good while the keeper is replaced: it connects again by itself (and starts a keeper again, when it
//! was made with `Keeper::launch`), and tells subscribers that they may have missed something (`Event::Lagged`).

mod connection;
mod error;
mod events;
mod handle;
mod holds;
mod launch;

pub use error::KeeperError;
pub use events::Events;
pub use handle::{Attachment, Created, ExecHandle, Keeper, KeeperInfo, Stdio};
pub use launch::KeeperOptions;
