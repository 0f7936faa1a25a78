//! The frame: 16 bytes of header, then the body. Decoding takes bytes in any pieces and never trusts a length.
//!
//! Header, little endian: magic `SH`, version u8, kind u8, descriptors u8, three zero bytes, length u32, sequence u32.
//! Descriptors arrive beside the bytes, in order; a frame takes as many as its header says.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_DESCRIPTORS_MAX};
use crate::wire::message::PROTOCOL_VERSION;

/// One message, not yet looked into.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Pairs an answer with its request; 0 for events.
    pub(crate) sequence: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Request = 1,
    Answer = 2,
    Event = 3,
    /// A descriptor that the client keeps for the keeper's successor.
    Hold = 4,
}

/// Bytes that are no frame of ours. The connection is closed: nothing after them can be trusted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the peer does not speak shoal's keeper protocol")]
    Magic,
    #[error("the peer speaks version {0} of the keeper protocol, this program speaks {PROTOCOL_VERSION}")]
    Version(u8),
    #[error("a message has the unknown kind {0}")]
    Kind(u8),
    #[error("a message of {0} bytes is longer than the {MESSAGE_BYTES_MAX} allowed")]
    Length(u64),
    #[error("a message says it carries {said} descriptors, and {arrived} arrived")]
    Descriptors { said: usize, arrived: usize },
}

pub(super) const HEADER_BYTES: usize = 16;
const MAGIC: [u8; 2] = *b"SH";

/// The bytes of one frame.
///
/// # Errors
/// When the body is longer than allowed.
pub(super) fn encode(kind: Kind, sequence: u32, body: &[u8], descriptors: usize) -> Result<Vec<u8>, FrameError> {
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MESSAGE_BYTES_MAX);
    let length = length.ok_or(FrameError::Length(body.len() as u64))?;
    let count = u8::try_from(descriptors).ok().filter(|_| descriptors <= MESSAGE_DESCRIPTORS_MAX);
    let count = count.ok_or(FrameError::Descriptors { said: descriptors, arrived: 0 })?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[PROTOCOL_VERSION, kind as u8, count, 0, 0, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(body);
    Ok(bytes)
}

impl Frame {
    /// The bytes to send with the descriptors of the frame.
    ///
    /// # Errors
    /// When the body is longer than allowed, or there are too many descriptors.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.encode_with(self.descriptors.len())
    }

    /// The bytes to send with so many descriptors that the frame does not own.
    ///
    /// # Errors
    /// When the body is longer than allowed, or there are too many descriptors.
    pub(crate) fn encode_with(&self, descriptors: usize) -> Result<Vec<u8>, FrameError> {
        encode(self.kind, self.sequence, &self.body, descriptors)
    }
}

/// Puts frames together from what a socket gives.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Decoder {
    /// Takes what arrived.
    ///
    /// # Errors
    /// When more descriptors are waiting than any message may carry.
    pub(crate) fn push(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), FrameError> {
        self.bytes.extend_from_slice(bytes);
        self.descriptors.extend(descriptors);
        // Several small frames may be in one read, each with its descriptors: the bound is generous but it is one.
        if self.descriptors.len() > MESSAGE_DESCRIPTORS_MAX * (1 + self.bytes.len() / HEADER_BYTES) {
            return Err(FrameError::Descriptors { said: 0, arrived: self.descriptors.len() });
        }
        Ok(())
    }

    /// The next whole frame, if it has arrived.
    ///
    /// # Errors
    /// When what arrived is no frame.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(header) = self.bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        if header[..2] != MAGIC {
            return Err(FrameError::Magic);
        }
        if header[2] != PROTOCOL_VERSION {
            return Err(FrameError::Version(header[2]));
        }
        let kind = match header[3] {
            1 => Kind::Request,
            2 => Kind::Answer,
            3 => Kind::Event,
            4 => Kind::Hold,
            other => return Err(FrameError::Kind(other)),
        };
        let said = usize::from(header[4]);
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let sequence = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        if length > MESSAGE_BYTES_MAX {
            return Err(FrameError::Length(length as u64));
        }
        if said > MESSAGE_DESCRIPTORS_MAX {
            return Err(FrameError::Descriptors { said, arrived: self.descriptors.len() });
        }
        let end = HEADER_BYTES + length;
        if self.bytes.len() < end {
            return Ok(None);
        }
        if said > self.descriptors.len() {
            return Err(FrameError::Descriptors { said, arrived: self.descriptors.len() });
        }
        let body = self.bytes[HEADER_BYTES..end].to_vec();
        self.bytes.drain(..end);
        Ok(Some(Frame { kind, sequence, body, descriptors: self.descriptors.drain(..said).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: Kind, sequence: u32, body: &[u8]) -> Vec<u8> {
        encode(kind, sequence, body, 0).unwrap()
    }

    #[test]
    fn refuses_what_it_cannot_trust() {
        let good = frame(Kind::Request, 1, b"x");
        let broken = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            let mut decoder = Decoder::default();
            decoder.push(&bytes, Vec::new()).unwrap();
            decoder.next().unwrap_err()
        };
        assert_eq!(broken(0, b'X'), FrameError::Magic);
        assert_eq!(broken(2, 99), FrameError::Version(99));
        assert_eq!(broken(3, 0), FrameError::Kind(0));
        assert_eq!(broken(4, 1), FrameError::Descriptors { said: 1, arrived: 0 });
        assert_eq!(broken(4, 200), FrameError::Descriptors { said: 200, arrived: 0 });
        assert!(matches!(broken(11, 0xff), FrameError::Length(_)));
        assert!(encode(Kind::Request, 0, &vec![0; MESSAGE_BYTES_MAX + 1], 0).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 1usize..40) {
            let mut decoder = Decoder::default();
            for piece in bytes.chunks(cut) {
                decoder.push(piece, Vec::new()).unwrap();
                while let Ok(Some(_)) = decoder.next() {}
            }
        }

        #[test]
        fn one_flipped_byte_never_panics(body in proptest::collection::vec(any::<u8>(), 0..100), at in 0usize..116, value: u8) {
            let mut bytes = frame(Kind::Answer, 7, &body);
            let at = at % bytes.len();
            bytes[at] = value;
            let mut decoder = Decoder::default();
            decoder.push(&bytes, Vec::new()).unwrap();
            while let Ok(Some(_)) = decoder.next() {}
        }

        #[test]
        fn frames_survive_any_cutting(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..8), cut in 1usize..50) {
            let stream: Vec<u8> = bodies.iter().enumerate().flat_map(|(n, body)| frame(Kind::Event, n as u32, body)).collect();
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece, Vec::new()).unwrap();
                while let Some(frame) = decoder.next().unwrap() {
                    prop_assert_eq!(frame.sequence as usize, seen.len());
                    seen.push(frame.body);
                }
            }
            prop_assert_eq!(seen, bodies);
        }
    }
}
