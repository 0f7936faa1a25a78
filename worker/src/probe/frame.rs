//! The form of a probe: 24 bytes behind the Ethernet header.
//!
//! Four bytes of mark and version, one of kind, three of zero, then token and sequence, both big-endian. The token is
//! the asker's: whoever does not see the question can't answer it.

/// Bytes of a frame.
pub(super) const SIZE: usize = 24;

const MARK: [u8; 4] = *b"shp1";

/// A probe, or the answer to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// Drawn by the asker.
    pub(super) token: u64,
    /// Counts the asker's beats.
    pub(super) sequence: u64,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    Ask,
    Answer,
}

impl Frame {
    pub(super) fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let kind = match self.kind {
            FrameKind::Ask => 1,
            FrameKind::Answer => 2,
        };
        bytes[..4].copy_from_slice(&MARK);
        bytes[4] = kind;
        bytes[8..16].copy_from_slice(&self.token.to_be_bytes());
        bytes[16..].copy_from_slice(&self.sequence.to_be_bytes());
        bytes
    }

    /// `None` when it is none. Ethernet pads short frames: what follows does not count.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (mark, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (token, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, _) = rest.split_first_chunk::<8>()?;
        let kind = match (*mark == MARK, kind) {
            (true, [1, 0, 0, 0]) => FrameKind::Ask,
            (true, [2, 0, 0, 0]) => FrameKind::Answer,
            _ => return None,
        };
        Some(Self { kind, token: u64::from_be_bytes(*token), sequence: u64::from_be_bytes(*sequence) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(token: u64, sequence: u64, padding in 0..30_usize) {
            for kind in [FrameKind::Ask, FrameKind::Answer] {
                let frame = Frame { kind, token, sequence };
                let mut bytes = frame.encode().to_vec();
                bytes.resize(SIZE + padding, 0);
                prop_assert_eq!(Frame::decode(&bytes), Some(frame));
            }
        }

        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>) {
            let decoded = Frame::decode(&bytes);
            prop_assert!(decoded.is_none() || bytes.starts_with(&MARK));
        }
    }
}
