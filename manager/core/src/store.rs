//! The tables that the log describes: the only place where desired state lives.
//!
//! Owns the objects, their indexes, and how a command changes them. Applying the same log gives the same tables on
//! every manager. The leader's [`Draft`] runs ahead of them. What should be in the tables is decided elsewhere.

mod command;
mod draft;
mod history;
mod image;
mod index;
mod load;
mod payloads;
mod slot;
mod tables;

pub use command::{Command, TaskPatch, TaskRecord, Write};
pub use draft::{Draft, Sealed};
pub use history::History;
pub use image::Image;
pub use index::Addresses;
pub use load::{NodeLoad, is_active, occupies};
pub use slot::{Slot, SlotKey};
pub use tables::{Tables, folded};
