//! Performs what the core decides, and feeds back what came of it.
//!
//! [`Driver`] owns the core: it takes inputs in turns, writes what must be on disk first, then has [`Hands`] perform the
//! other actions side by side. What the hands work with are the traits of `contract`, which the image store, the networks
//! and the containers implement in `adapters`.
//!
//! Invariants: nothing is performed or told before what precedes it is on disk; every operation that the core waits for
//! is answered.

mod adapters;
mod clock;
mod contract;
mod driver;
mod failure;
mod hands;

pub(crate) use adapters::{StoreImages, SwarmEndpoints};
pub(crate) use contract::{Containers, Creation, Found, StandingEndpoint, Started};
pub(crate) use driver::{Driver, DriverHandle, DriverParts};
pub(crate) use failure::chain;
pub(crate) use hands::Hands;

#[cfg(test)]
mod tests;
