//! What happened in a world: a digest of all of it, and text on demand.
//!
//! The digest is what two runs of one seed are compared by. Texts are made only when they are printed, so that a world
//! without them runs at full speed.

use shoal_proto::model::Timestamp;

/// A running digest of words and bytes: fast, and good enough to tell two runs apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// Of nothing.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// Takes in one word.
    pub(crate) fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Takes in bytes and their number.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        self.word(chunks.remainder().iter().fold(1, |word, byte| word << 8 | u64::from(*byte)));
    }

    /// The digest so far, well mixed.
    #[must_use]
    pub(crate) fn value(self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

/// The digest of one run, and whether its events are printed.
#[derive(Debug)]
pub(crate) struct Trace {
    digest: Digest,
    print: bool,
}

impl Trace {
    /// An empty trace; with `print`, events go to standard output.
    #[must_use]
    pub(crate) fn new(print: bool) -> Self {
        Self { digest: Digest::new(), print }
    }

    /// Notes that something happened: `kind` and `value` go into the digest, `text` is for people.
    pub(crate) fn note(&mut self, now: Timestamp, kind: &'static str, value: u64, text: impl FnOnce() -> String) {
        self.digest.word(u64::from_ne_bytes(now.0.to_ne_bytes()));
        self.digest.bytes(kind.as_bytes());
        self.digest.word(value);
        if self.print {
            println!("{:>12.6} {kind:<10} {}", now.0 as f64 / 1e9, text());
        }
    }

    /// Whether texts are printed.
    #[must_use]
    pub(crate) fn prints(&self) -> bool {
        self.print
    }

    /// The digest so far.
    #[must_use]
    pub(crate) fn value(&self) -> u64 {
        self.digest.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_bytes_apart() {
        let digest = |bytes: &[u8]| {
            let mut digest = Digest::new();
            digest.bytes(bytes);
            digest.value()
        };
        assert_eq!(digest(b"consensus"), digest(b"consensus"));
        for other in [&b"consensut"[..], b"Consensus", b"consensu", b"consensus\0", b""] {
            assert_ne!(digest(b"consensus"), digest(other));
        }
    }
}
