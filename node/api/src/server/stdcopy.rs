//! Docker's frames: two output streams in one connection. Eight bytes of header (stream, three zeros, length in
//! network order), then the payload.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::backend::OutputStream;

/// Ids of the frames' streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameStream {
    Stdout = 1,
    Stderr = 2,
    /// An error of the daemon's, which ends the client.
    SystemError = 3,
}

impl From<OutputStream> for FrameStream {
    fn from(stream: OutputStream) -> Self {
        match stream {
            OutputStream::Stdout => Self::Stdout,
            OutputStream::Stderr => Self::Stderr,
        }
    }
}

/// One frame. A payload is a line or a read, far below the 4 GiB that the header can say.
pub(super) fn frame(stream: FrameStream, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    frame.put_u8(stream as u8);
    frame.put_bytes(0, 3);
    frame.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    frame.put_slice(payload);
    frame.freeze()
}

/// Content type of a stream in frames.
pub(super) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// Content type of a stream without frames, and of one in frames for clients before 1.42.
pub(super) const RAW: &str = "application/vnd.docker.raw-stream";

const HEADER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_exact() {
        assert_eq!(&frame(FrameStream::Stderr, b"abc")[..], b"\x02\0\0\0\0\0\0\x03abc");
        assert_eq!(&frame(FrameStream::Stdout, &[7; 258])[..8], b"\x01\0\0\0\0\0\x01\x02");
    }
}
