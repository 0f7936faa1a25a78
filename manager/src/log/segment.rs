//! One segment of the log: a header, then framed, sealed records, then zeros up to where the file was grown.
//!
//! A frame is a magic number, a length, a checksum of length and body, and the body. The checksum tells a torn or damaged
//! frame from one of another key. One call writes one frame and syncs it, so at most the last frame of the last segment
//! can be torn; a broken frame with a sound one behind it is damage, and refused.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::LogError;
use super::record::Record;
use super::seal::{FileKey, SALT_BYTES, TAG_BYTES, new_salt};
use crate::config::DataKey;
use crate::limits::SEGMENT_GROWTH_BYTES;

const HEADER_MAGIC: &[u8; 8] = b"SHOALLG1";
const HEADER_BYTES: usize = 8 + SALT_BYTES + 4;
const FRAME_MAGIC: &[u8; 4] = b"\xf5LOG";
const FRAME_HEADER_BYTES: usize = 4 + 4 + 4;
const KIND: &[u8] = b"shoal raft log segment";
static ZEROS: [u8; SEGMENT_GROWTH_BYTES] = [0; SEGMENT_GROWTH_BYTES];

/// A segment being written.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    file: File,
    path: PathBuf,
    key: KeyInUse,
    records: u64,
    end: u64,
    grown: u64,
}

/// A segment that was read.
#[derive(Debug)]
pub(super) struct SegmentContents {
    pub(super) records: Vec<Record>,
    /// The end of the last sound frame.
    pub(super) end: u64,
    pub(super) tail: Tail,
}

/// What follows the last sound frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// The end of the file.
    None,
    /// Room that was never written.
    Zeros,
    /// A frame that was being written when the machine stopped.
    Torn,
}

struct KeyInUse(FileKey);

impl std::fmt::Debug for KeyInUse {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KeyInUse(<hidden>)")
    }
}

impl SegmentWriter {
    /// Makes a segment whose first record is `first`. It appears under its name whole and durable, or not at all; the
    /// caller syncs the directory.
    pub(super) fn create(path: &Path, key: &DataKey, first: &Record) -> Result<Self, LogError> {
        let building = path.with_extension("tmp");
        let failed = |action| LogError::io(action, &building);
        let salt = new_salt().map_err(failed("draw a salt for"))?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(HEADER_MAGIC);
        header.extend_from_slice(&salt);
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&building)
            .map_err(failed("create"))?;
        file.write_all_at(&header, 0).map_err(failed("write"))?;
        let key = file_key(key, &salt, path)?;
        let mut segment = Self {
            file,
            path: path.to_owned(),
            key: KeyInUse(key),
            records: 0,
            end: HEADER_BYTES as u64,
            grown: HEADER_BYTES as u64,
        };
        segment.append(first)?;
        segment.file.sync_all().map_err(failed("sync"))?;
        std::fs::rename(&building, path).map_err(failed("rename"))?;
        Ok(segment)
    }

    /// Adds a record and syncs it.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), LogError> {
        let mut frame = vec![0; FRAME_HEADER_BYTES];
        record.write(&mut frame);
        self.key.0.seal(self.records, &mut frame, FRAME_HEADER_BYTES).map_err(|_| self.key_error())?;
        let body = u32::try_from(frame.len() - FRAME_HEADER_BYTES)
            .map_err(|_| std::io::Error::new(std::io::ErrorKind::FileTooLarge, "a record holds at most 4 GiB"))
            .map_err(LogError::io("write", &self.path))?;
        frame[..4].copy_from_slice(FRAME_MAGIC);
        frame[4..8].copy_from_slice(&body.to_le_bytes());
        let checksum = frame_checksum(body, &frame[FRAME_HEADER_BYTES..]);
        frame[8..FRAME_HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.grow_for(frame.len() as u64)?;
        self.file.write_all_at(&frame, self.end).map_err(LogError::io("write", &self.path))?;
        self.file.sync_data().map_err(LogError::io("sync", &self.path))?;
        self.records += 1;
        self.end += frame.len() as u64;
        Ok(())
    }

    /// Ends the segment: the room that was not used goes.
    pub(super) fn finish(self) -> Result<(), LogError> {
        cut(&self.file, &self.path, self.end)
    }

    pub(super) fn len(&self) -> u64 {
        self.end
    }

    /// Writes zeros ahead, so that a sync finds nothing changed but data: no new blocks, no new length. A full disk shows
    /// here, before anything that counts was written.
    fn grow_for(&mut self, bytes: u64) -> Result<(), LogError> {
        while self.end + bytes > self.grown {
            self.file.write_all_at(&ZEROS, self.grown).map_err(LogError::io("grow", &self.path))?;
            self.grown += ZEROS.len() as u64;
        }
        Ok(())
    }

    fn key_error(&self) -> LogError {
        LogError::Key { path: self.path.clone() }
    }
}

impl SegmentContents {
    /// Reads a segment. What is broken in its midst is an error; what is broken at its end is told in `tail`.
    pub(super) fn read(path: &Path, key: &DataKey) -> Result<Self, LogError> {
        let mut bytes = Vec::new();
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(LogError::io("read", path))?;
        let corrupt = |offset: usize| LogError::Corrupt { path: path.to_owned(), offset: offset as u64 };
        let salt = header_salt(&bytes).ok_or_else(|| corrupt(0))?;
        let key = file_key(key, &salt, path)?;
        let mut contents = Self { records: Vec::new(), end: HEADER_BYTES as u64, tail: Tail::None };
        let mut offset = HEADER_BYTES;
        while let Some(sealed) = frame_at(&bytes, offset) {
            let number = contents.records.len() as u64;
            let plain = key.open(number, sealed).map_err(|_| LogError::Key { path: path.to_owned() })?;
            contents.records.push(Record::read(plain.into()).ok_or_else(|| corrupt(offset))?);
            offset += FRAME_HEADER_BYTES + sealed.len();
        }
        contents.end = offset as u64;
        contents.tail = match &bytes[offset..] {
            [] => Tail::None,
            rest if rest.iter().all(|byte| *byte == 0) => Tail::Zeros,
            rest if (1..rest.len()).any(|at| frame_at(rest, at).is_some()) => return Err(corrupt(offset)),
            _ => Tail::Torn,
        };
        Ok(contents)
    }

    /// Takes away what follows the last sound frame.
    pub(super) fn cut_tail(&self, path: &Path) -> Result<(), LogError> {
        let file = OpenOptions::new().write(true).open(path).map_err(LogError::io("open", path))?;
        cut(&file, path, self.end)
    }
}

fn cut(file: &File, path: &Path, end: u64) -> Result<(), LogError> {
    file.set_len(end).and_then(|()| file.sync_all()).map_err(LogError::io("cut", path))
}

fn file_key(key: &DataKey, salt: &[u8; SALT_BYTES], path: &Path) -> Result<FileKey, LogError> {
    FileKey::new(key, salt, KIND).map_err(|_| LogError::Key { path: path.to_owned() })
}

fn header_salt(bytes: &[u8]) -> Option<[u8; SALT_BYTES]> {
    let header = bytes.get(..HEADER_BYTES)?;
    let (signed, checksum) = header.split_at(HEADER_BYTES - 4);
    let sound = signed.starts_with(HEADER_MAGIC) && crc32fast::hash(signed).to_le_bytes() == checksum;
    if sound { signed[HEADER_MAGIC.len()..].try_into().ok() } else { None }
}

/// The body of the sound frame at `offset`, if there is one.
fn frame_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    if !rest.starts_with(FRAME_MAGIC) {
        return None;
    }
    let length = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?);
    let checksum = u32::from_le_bytes(rest.get(8..FRAME_HEADER_BYTES)?.try_into().ok()?);
    let body = rest.get(FRAME_HEADER_BYTES..)?.get(..length as usize)?;
    (body.len() >= TAG_BYTES && frame_checksum(length, body) == checksum).then_some(body)
}

fn frame_checksum(length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}
