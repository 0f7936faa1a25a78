//! Volumes of the local driver: folders `<data-root>/volumes/<name>/_data` that outlive containers.
//!
//! Makes, fills from an image, lists and removes them. Leaves mounting to the runtime and what is in them to their users.
//! Invariants: a volume is filled once, while it is empty, and before any container sees it; no name leads out of the
//! folder.

mod copy;
mod error;
mod store;

pub use error::VolumeError;
pub(crate) use store::{Content, Wanted, subpath};
pub use store::{Volume, Volumes};
