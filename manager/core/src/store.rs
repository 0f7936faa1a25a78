//! The tables that the log describes: the only place where desired state lives.
//!
//! Owns the objects, their indexes, and how a command changes them. Applying the same log gives the same tables on
//! every manager. What should be in the tables is decided elsewhere.

mod tables;

pub use tables::Tables;
