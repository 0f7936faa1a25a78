//! Telling how a stream is compressed by its first bytes, and undoing it.
//!
//! Media types are not believed: builders mislabel layers, and archives carry no label at all.

use std::io::{self, BufReader, Read};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Compression {
    Plain,
    Gzip,
    Zstd,
    /// Known, but not by us; the name for the message.
    Unsupported(&'static str),
}

impl Compression {
    /// Judges by the first bytes.
    pub(in crate::image) fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Unsupported("xz"),
            [b'B', b'Z', b'h', ..] => Self::Unsupported("bzip2"),
            _ => Self::Plain,
        }
    }
}

/// The stream without its compression.
pub(in crate::image) fn decoder<'a>(source: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    // A first read may be short; five bytes are needed to judge.
    let mut head = Vec::with_capacity(HEAD);
    source.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let compression = Compression::detect(&head);
    let whole = io::Cursor::new(head).chain(source);
    Ok(match compression {
        Compression::Plain => Box::new(whole),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        Compression::Unsupported(name) => {
            let text = format!("{name} compression is not supported; use gzip or zstd");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
    })
}

const HEAD: usize = 6;
const BUFFER: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn undo(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decoder(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn each_compression_is_undone() {
        let text = b"layer ".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        // Parallel compressors write several members.
        assert_eq!(undo(&[gzip.clone(), gzip.clone()].concat()).unwrap(), text.repeat(2));
        assert_eq!(undo(&zstd::encode_all(&text[..], 1).unwrap()).unwrap(), text);
        assert_eq!(undo(&text).unwrap(), text);
        assert_eq!(undo(b"").unwrap(), b"");
        assert!(undo(&gzip[..gzip.len() - 9]).is_err());
        assert!(undo(b"\xfd7zXZ\0...").unwrap_err().to_string().contains("xz"));
    }
}
