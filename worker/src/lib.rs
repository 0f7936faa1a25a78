//! Stub.

pub mod image;
pub mod network;
