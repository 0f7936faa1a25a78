//! Bodies that arrive bit by bit: JSON lines of pull, load and events, and the multiplexed frames of logs and exec.

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::limits::{FRAME_BYTES_MAX, STREAM_LINE_BYTES_MAX};

/// Reads a body one JSON value at a time; blanks, line ends and record separators may stand between the values.
#[derive(Debug)]
pub(crate) struct JsonStream {
    body: Incoming,
    buffer: BytesMut,
    action: &'static str,
}

impl JsonStream {
    pub(crate) fn new(body: Incoming, action: &'static str) -> Self {
        Self { body, buffer: BytesMut::new(), action }
    }

    /// The next value, or nothing at the end.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(value) = self.take()? {
                return Ok(Some(value));
            }
            match next_chunk(&mut self.body, self.action).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    return Err(Error::Answer { action: self.action, source: "the last message is cut off".into() });
                }
            }
        }
    }

    /// Takes one complete value off the front of the buffer.
    fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        let blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0x1e;
        let blanks = self.buffer.iter().take_while(blank).count();
        self.buffer.advance(blanks);
        let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter();
        match values.next() {
            None => Ok(None),
            Some(Ok(value)) => {
                let end = values.byte_offset();
                self.buffer.advance(end);
                Ok(Some(value))
            }
            Some(Err(source)) if source.is_eof() && self.buffer.len() < STREAM_LINE_BYTES_MAX => Ok(None),
            Some(Err(source)) => Err(Error::Answer { action: self.action, source: source.into() }),
        }
    }
}

/// The next bytes of a body, or nothing at its end.
pub(crate) async fn next_chunk(body: &mut Incoming, action: &'static str) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| Error::Transport { action, source })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Where a frame's bytes belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
    /// A message of the server about the stream itself, which ends it.
    System,
}

/// Cuts multiplexed bytes into frames: one byte channel, three zero, four length (big endian), then the bytes.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: BytesMut,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("unknown channel {0} in a multiplexed stream")]
    Channel(u8),
    #[error("a frame of {0} bytes, more than the {FRAME_BYTES_MAX} that one may have")]
    TooLong(usize),
}

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame, if it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<(Channel, Bytes)>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let channel = match header[0] {
            0 | 1 => Channel::Stdout,
            2 => Channel::Stderr,
            3 => Channel::System,
            other => return Err(FrameError::Channel(other)),
        };
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Ok(Some((channel, self.buffer.split_to(length).freeze())))
    }
}

/// Bytes before each frame's own.
const HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_wherever_the_bytes_break() {
        let bytes = [b"\x01\0\0\0\0\0\0\x02hi".as_slice(), b"\x02\0\0\0\0\0\0\x00", b"\x03\0\0\0\0\0\0\x01x"].concat();
        for split in 0..bytes.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for part in [&bytes[..split], &bytes[split..]] {
                frames.push(part);
                while let Some(frame) = frames.next().unwrap() {
                    seen.push(frame);
                }
            }
            let expected: [(Channel, &[u8]); 3] =
                [(Channel::Stdout, b"hi"), (Channel::Stderr, b""), (Channel::System, b"x")];
            assert_eq!(seen, expected.map(|(channel, bytes)| (channel, Bytes::from_static(bytes))));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut frames = Frames::default();
        frames.push(b"HTTP/1.1");
        assert_eq!(frames.next().unwrap_err().to_string(), "unknown channel 72 in a multiplexed stream");
        let mut frames = Frames::default();
        frames.push(b"\x01\0\0\0\xff\xff\xff\xff");
        assert!(matches!(frames.next(), Err(FrameError::TooLong(0xffff_ffff))));
    }
}
