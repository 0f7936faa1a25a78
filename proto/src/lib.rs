//! The contract between hosts: the domain [`model`], and the gRPC services that carry it.
//!
//! The model is what the cores reason about. The generated messages of [`grpc`] are envelopes; they are taken apart at
//! the door (`transport`, `session`, `grpc` modules of the shells) and go no further. What both share is [`codec`], the
//! encoding of model types inside envelopes, in the log and on disk, and [`template`], the texts that name the task they
//! are for.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod codec;
pub mod model;
pub mod template;

/// The largest message of these services, in bytes; both ends of `Raft`, `Control` and `Dispatcher` raise tonic's limit
/// to it. A worker's whole assignment of some ten thousand tasks fits, and so does a list of all tasks.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The generated services and messages of `proto/shoal.proto`.
#[cfg(feature = "grpc")]
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub mod grpc {
    tonic::include_proto!("shoal.v1");
}
