//! The consensus: one member of it, its log in memory, and its messages.
//!
//! Owns terms, votes, the log and the membership; knows nothing of what entries mean. What it wants done comes out of
//! [`Replica::drain`] in an order that must be kept.

mod effect;
mod guard;
mod log;
mod member;
mod timeout;

pub(crate) use effect::{Committed, Effect};
pub(crate) use member::{MembershipChange, Replica, Role, Start};
