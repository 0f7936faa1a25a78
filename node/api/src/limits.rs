//! Bounds of the API server, each with its reason.

use std::time::Duration;

/// Longest body that is read into memory. A config may hold 1,000 KiB, a third more as base64, beside its labels.
pub(crate) const JSON_BODY_BYTES_MAX: usize = 4 << 20;

/// How long open requests may go on once the daemon stops. It must be gone within 20 s, and has more to stop.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// Bytes read from a process at a time: what a pipe holds is 64 KiB, and a frame is sent whole.
pub(crate) const EXEC_CHUNK_BYTES: usize = 32 << 10;

/// Connections served at a time by one listener, so that strangers on TCP cannot keep the unix socket's users out.
/// A hundred clients that follow logs are many; each costs a descriptor.
pub(crate) const CONNECTIONS_MAX: usize = 1024;

/// Pause after accept(2) failed for want of descriptors or memory, so that the loop does not spin.
pub(crate) const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Chunks of an upload that wait to be read, some 16 KiB each: enough to keep reader and sender both busy.
pub(crate) const UPLOAD_CHUNKS_MAX: usize = 16;

/// How long a client may go on sending to a process that has ended, so that it reads the end of the output.
pub(crate) const HIJACK_LINGER: Duration = Duration::from_secs(2);
