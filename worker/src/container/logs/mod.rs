//! A container's output, read back from its log files: the last lines, since and until a time, and what comes.
//!
//! The keeper writes the files; nothing here changes them. Following waits for the kernel to tell of a change and for the
//! container's end, and never polls. Invariant: a reader sees every line once and in order, also over rotations.

mod files;
mod line;
mod reader;
mod source;

pub use line::{LogRecord, OutputStream};
pub use reader::LogQuery;
