//! Stub.

pub mod network;
