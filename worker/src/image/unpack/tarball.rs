//! Reading a tar stream, entry by entry: ustar, GNU long names, and pax headers with binary values.
//!
//! A reader of our own because layers need what the general one does not keep: extended attributes whose values hold
//! line feeds, sub-second times, and refusal (not silence) at forms that it does not know. Trusts nothing it reads.

use std::{
    io::{self, Read},
    ops::Range,
};

use crate::image::limits;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Folder,
    Fifo,
}

/// One entry; its data is read from the reader that gave it, before the next one is asked for.
#[derive(Debug, Clone)]
pub(in crate::image) struct Entry {
    pub(in crate::image) kind: Kind,
    pub(in crate::image) path: Vec<u8>,
    /// Target of a hard link or symbolic link.
    pub(in crate::image) link: Vec<u8>,
    /// Permissions with setuid, setgid and sticky.
    pub(in crate::image) mode: u32,
    pub(in crate::image) uid: u32,
    pub(in crate::image) gid: u32,
    pub(in crate::image) size: u64,
    /// Seconds and nanoseconds since 1970.
    pub(in crate::image) mtime: (i64, u32),
    /// Major and minor number.
    pub(in crate::image) device: (u32, u32),
    pub(in crate::image) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The path for messages.
    pub(in crate::image) fn shown(&self) -> String {
        shown(&self.path)
    }
}

/// Why a tar stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::image) enum TarError {
    #[error("the stream cannot be read")]
    Read(#[from] io::Error),
    #[error("entry {entry:?}: {reason}")]
    Malformed { entry: String, reason: String },
}

/// Reads entries from a stream; [`Read`] gives the current entry's data.
#[derive(Debug)]
pub(in crate::image) struct TarReader<R> {
    source: R,
    /// Bytes of the current entry's data that were not read yet.
    data: u64,
    /// Zero bytes between that data and the next header.
    padding: u64,
    /// Bytes of the source that were read so far.
    position: u64,
}

/// What headers before an entry's own say about it.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> TarReader<R> {
    pub(in crate::image) fn new(source: R) -> Self {
        Self { source, data: 0, padding: 0, position: 0 }
    }

    /// Where in the source the current entry's data begins, as long as none of it was read.
    pub(in crate::image) fn position(&self) -> u64 {
        self.position
    }

    /// The next entry; `None` at the end.
    pub(in crate::image) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let header = tar::Header::from_byte_slice(&block);
            if !checksum_holds(&block) {
                return Err(malformed(&header.path_bytes(), "its header's checksum is wrong"));
            }
            let size =
                field(&block, SIZE_AT).ok_or_else(|| malformed(&header.path_bytes(), "its size is not a number"))?;
            match block[TYPE_AT] {
                b'x' => extension.read_pax(&self.extension(size, header)?)?,
                // Global headers concern archives as a whole; Docker ignores them too.
                b'g' => drop(self.extension(size, header)?),
                b'L' => extension.path = Some(until_nul(self.extension(size, header)?)),
                b'K' => extension.link = Some(until_nul(self.extension(size, header)?)),
                letter => {
                    let entry = extension.complete(header, letter, size)?;
                    self.expect(entry.size)?;
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Reads whatever follows the last entry, so that the source's digest covers all of it.
    pub(in crate::image) fn drain(mut self) -> Result<R, TarError> {
        self.skip()?;
        io::copy(&mut self.source, &mut io::sink())?;
        Ok(self.source)
    }

    fn expect(&mut self, size: u64) -> Result<(), TarError> {
        let padding = size.wrapping_neg() % BLOCK as u64;
        if size > limits::LAYER_BYTES_MAX {
            return Err(malformed(b"", "its size is beyond any limit"));
        }
        (self.data, self.padding) = (size, padding);
        Ok(())
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let rest = self.data + self.padding;
        (self.data, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.source.by_ref().take(rest), &mut io::sink())?;
        self.position += skipped;
        if skipped < rest { Err(cut_off()) } else { Ok(()) }
    }

    /// The next header; `None` at the closing zeroes, or at an end without them.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.source.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut_off()),
                Ok(count) => {
                    filled += count;
                    self.position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(block.iter().any(|&byte| byte != 0).then_some(block))
    }

    fn extension(&mut self, size: u64, header: &tar::Header) -> Result<Vec<u8>, TarError> {
        if size > limits::TAR_EXTENSION_BYTES_MAX {
            return Err(malformed(&header.path_bytes(), "its extended header is too large"));
        }
        self.expect(size)?;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.data).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.source.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, CUT_OFF));
        }
        self.data -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

impl Extension {
    /// Reads pax records, `length key=value\n`; the length counts all of it, so values may hold anything.
    fn read_pax(&mut self, mut bytes: &[u8]) -> Result<(), TarError> {
        let broken = || malformed(b"", "its pax header is malformed");
        while !bytes.is_empty() {
            let space = bytes.iter().position(|&b| b == b' ').ok_or_else(broken)?;
            let length: usize = number(&bytes[..space]).and_then(|n| n.try_into().ok()).ok_or_else(broken)?;
            let record =
                bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(broken)?;
            let equals = record.iter().position(|&b| b == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            bytes = &bytes[length..];
            if key.starts_with(b"GNU.sparse.") {
                return Err(malformed(b"", "sparse files are not supported; build the layer without --sparse"));
            }
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).ok_or_else(broken)?),
                b"uid" => self.uid = Some(number(value).ok_or_else(broken)?),
                b"gid" => self.gid = Some(number(value).ok_or_else(broken)?),
                b"mtime" => self.mtime = Some(decimal_time(value).ok_or_else(broken)?),
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.xattrs.push((name.to_vec(), value.to_vec()));
                    }
                }
            }
        }
        Ok(())
    }

    fn complete(&mut self, header: &tar::Header, letter: u8, size: u64) -> Result<Entry, TarError> {
        let extension = std::mem::take(self);
        let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let number = |at: Range<usize>, name: &str| {
            field(header.as_bytes(), at).ok_or_else(|| malformed(&path, &format!("its {name} is not a number")))
        };
        let id = |given: Option<u64>, at: Range<usize>, name: &str| -> Result<u32, TarError> {
            let wide = given.map_or_else(|| number(at, name), Ok)?;
            // The highest number means "unchanged" to chown.
            u32::try_from(wide)
                .ok()
                .filter(|&id| id != u32::MAX)
                .ok_or_else(|| malformed(&path, &format!("its {name} {wide} is beyond the system's range")))
        };
        let kind = kind_of(letter, &path)?;
        // Only files carry data, whatever the size says.
        let size = if kind == Kind::File { extension.size.unwrap_or(size) } else { 0 };
        let link = extension.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
        let device = match kind {
            Kind::CharDevice | Kind::BlockDevice => {
                device_of(header).ok_or_else(|| malformed(&path, "it has no device number"))?
            }
            _ => (0, 0),
        };
        let mtime = match extension.mtime {
            Some(mtime) => mtime,
            None => (field(header.as_bytes(), MTIME_AT).and_then(|seconds| seconds.try_into().ok()).unwrap_or(0), 0),
        };
        Ok(Entry {
            kind,
            mode: (number(MODE_AT, "mode")? & 0o7777) as u32,
            uid: id(extension.uid, UID_AT, "uid")?,
            gid: id(extension.gid, GID_AT, "gid")?,
            size,
            mtime,
            device,
            xattrs: extension.xattrs,
            link: link.unwrap_or_default(),
            path,
        })
    }
}

fn kind_of(letter: u8, path: &[u8]) -> Result<Kind, TarError> {
    Ok(match letter {
        // Before POSIX, a folder was a file whose name ends with a slash.
        0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Folder,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Folder,
        b'6' => Kind::Fifo,
        b'S' => return Err(malformed(path, "sparse files are not supported; build the layer without --sparse")),
        other => return Err(malformed(path, &format!("unknown type {:?}", char::from(other)))),
    })
}

fn device_of(header: &tar::Header) -> Option<(u32, u32)> {
    Some((header.device_major().ok()??, header.device_minor().ok()??))
}

fn checksum_holds(block: &[u8; BLOCK]) -> bool {
    let Ok(stated) = tar::Header::from_byte_slice(block).cksum() else { return false };
    let blanked = |(at, &byte): (usize, &u8)| if CHECKSUM_AT.contains(&at) { b' ' } else { byte };
    let sum: u32 = block.iter().enumerate().map(blanked).map(u32::from).sum();
    sum == stated
}

/// A number in a header: octal, or binary when the first bit is set; nothing means zero.
fn field(block: &[u8; BLOCK], at: Range<usize>) -> Option<u64> {
    let bytes = &block[at];
    if bytes[0] == 0x80 {
        let wide = bytes[1..].iter().try_fold(0u64, |sum, &byte| sum.checked_mul(256)?.checked_add(byte.into()));
        return wide;
    }
    let text = std::str::from_utf8(bytes).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// `seconds[.fraction]`, seconds possibly negative.
fn decimal_time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|&b| b == 0) {
        bytes.truncate(end);
    }
    bytes
}

fn malformed(path: &[u8], reason: &str) -> TarError {
    TarError::Malformed { entry: shown(path), reason: reason.into() }
}

fn cut_off() -> TarError {
    TarError::Read(io::Error::new(io::ErrorKind::UnexpectedEof, CUT_OFF))
}

/// A path as far as a message should show it.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}

const BLOCK: usize = 512;
const TYPE_AT: usize = 156;
const MODE_AT: Range<usize> = 100..108;
const UID_AT: Range<usize> = 108..116;
const GID_AT: Range<usize> = 116..124;
const SIZE_AT: Range<usize> = 124..136;
const MTIME_AT: Range<usize> = 136..148;
const CHECKSUM_AT: Range<usize> = 148..156;
const CUT_OFF: &str = "the tar stream is cut off";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
        let mut reader = TarReader::new(bytes);
        let mut found = Vec::new();
        while let Some(entry) = reader.next()? {
            let mut data = Vec::new();
            reader.read_to_end(&mut data)?;
            found.push((entry, data));
        }
        Ok(found)
    }

    fn header(kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o4755);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(9);
        header
    }

    #[test]
    fn pax_values_may_hold_anything() {
        let mut builder = tar::Builder::new(Vec::new());
        let value: &[u8] = b"\x01\0\n=\n 12 path=evil\n\0";
        builder
            .append_pax_extensions([
                ("SCHILY.xattr.security.capability", value),
                ("mtime", b"-1.25"),
                ("uid", b"70000"),
                ("path", b"long/name"),
            ])
            .unwrap();
        builder.append_data(&mut header(tar::EntryType::Regular, 3), "x", &b"abc"[..]).unwrap();
        let found = entries(&builder.into_inner().unwrap()).unwrap();
        let (entry, data) = &found[0];
        assert_eq!((entry.path.as_slice(), data.as_slice()), (&b"long/name"[..], &b"abc"[..]));
        assert_eq!(entry.xattrs, [(b"security.capability".to_vec(), value.to_vec())]);
        assert_eq!((entry.uid, entry.gid, entry.mode, entry.mtime), (70000, 8, 0o4755, (-2, 750_000_000)));
    }

    #[test]
    fn long_gnu_names_are_whole() {
        let name = format!("{}/f", "d".repeat(300));
        let target = "t".repeat(200);
        let mut builder = tar::Builder::new(Vec::new());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, &name, &target).unwrap();
        let found = entries(&builder.into_inner().unwrap()).unwrap();
        assert_eq!((found[0].0.path.as_slice(), found[0].0.link.as_slice()), (name.as_bytes(), target.as_bytes()));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("GNU.sparse.major", &b"1"[..])]).unwrap();
        builder.append_data(&mut header(tar::EntryType::Regular, 0), "x", &b""[..]).unwrap();
        assert!(entries(&builder.into_inner().unwrap()).unwrap_err().to_string().contains("sparse"));

        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header(tar::EntryType::Regular, 600), "x", &[1; 600][..]).unwrap();
        let mut bytes = builder.into_inner().unwrap();
        assert_eq!(entries(&bytes).unwrap()[0].1.len(), 600);
        assert!(entries(&bytes[..900]).is_err(), "cut off");
        assert!(entries(&bytes[..100]).is_err(), "cut off in the header");
        bytes[0] ^= 1;
        assert!(entries(&bytes).unwrap_err().to_string().contains("checksum"));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048), mend in any::<bool>()) {
            if mend && bytes.len() >= BLOCK {
                bytes[CHECKSUM_AT].fill(b' ');
                let sum: u32 = bytes[..BLOCK].iter().map(|&b| u32::from(b)).sum();
                bytes[CHECKSUM_AT].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            let _ = entries(&bytes);
        }

        #[test]
        fn pax_records_of_any_shape_end_without_panic(text in "[0-9]{0,3} ?[a-zA-Z.]{0,12}=?[ -~]{0,20}\n?") {
            let _ = Extension::default().read_pax(text.as_bytes());
        }

        #[test]
        fn what_a_builder_wrote_is_read(files in proptest::collection::vec(("[a-z/]{1,200}[a-z]", proptest::collection::vec(any::<u8>(), 0..1500)), 0..6)) {
            let mut builder = tar::Builder::new(Vec::new());
            for (name, data) in &files {
                let name = name.trim_start_matches('/');
                builder.append_data(&mut tar::Header::new_gnu().clone_with(data.len() as u64), name, data.as_slice()).unwrap();
            }
            let found = entries(&builder.into_inner().unwrap()).unwrap();
            prop_assert_eq!(found.len(), files.len());
            for ((entry, data), (name, expected)) in found.iter().zip(&files) {
                let plain = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
                prop_assert_eq!(plain(std::str::from_utf8(&entry.path).unwrap()), plain(name));
                prop_assert_eq!(data, expected);
            }
        }
    }

    trait WithSize {
        fn clone_with(&self, size: u64) -> tar::Header;
    }

    impl WithSize for tar::Header {
        fn clone_with(&self, size: u64) -> tar::Header {
            let mut header = self.clone();
            header.set_size(size);
            header
        }
    }
}
