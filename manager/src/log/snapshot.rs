//! Snapshot files: one sealed snapshot each, written beside, synced, renamed.
//!
//! A file is whole under its name or not there, so one that does not read is damage and never passed over.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use shoal_manager_core::SnapshotRecord;

use super::LogError;
use super::seal::{FileKey, SALT_BYTES, new_salt};
use crate::config::DataKey;

const MAGIC: &[u8; 8] = b"SHOALSN1";
const KIND: &[u8] = b"shoal raft snapshot";
/// Magic, salt, index, term, checksum of the body, checksum of all before.
const HEADER_BYTES: usize = 8 + SALT_BYTES + 8 + 8 + 4 + 4;

/// Writes `snapshot` under `path`; the caller syncs the directory.
pub(super) fn write(path: &Path, key: &DataKey, snapshot: &SnapshotRecord) -> Result<(), LogError> {
    let building = path.with_extension("tmp");
    let failed = |action| LogError::io(action, &building);
    let key_error = |_| LogError::Key { path: path.to_owned() };
    let salt = new_salt().map_err(failed("draw a salt for"))?;
    let mut body = snapshot.bytes.to_vec();
    FileKey::new(key, &salt, KIND).and_then(|key| key.seal(0, &mut body, 0)).map_err(key_error)?;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&salt);
    header.extend_from_slice(&snapshot.index.to_le_bytes());
    header.extend_from_slice(&snapshot.term.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    let mut file = File::create(&building).map_err(failed("create"))?;
    file.write_all(&header).and_then(|()| file.write_all(&body)).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    fs::rename(&building, path).map_err(failed("rename"))
}

/// Reads the snapshot at `path`.
pub(super) fn read(path: &Path, key: &DataKey) -> Result<SnapshotRecord, LogError> {
    let bytes = fs::read(path).map_err(LogError::io("read", path))?;
    let corrupt = |offset: usize| LogError::Corrupt { path: path.to_owned(), offset: offset as u64 };
    let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| corrupt(0))?;
    let (signed, checksum) = header.split_at(HEADER_BYTES - 4);
    if !signed.starts_with(MAGIC) || crc32fast::hash(signed).to_le_bytes() != checksum {
        return Err(corrupt(0));
    }
    let (salt, numbers) = signed[MAGIC.len()..].split_first_chunk::<SALT_BYTES>().ok_or_else(|| corrupt(0))?;
    let (index, numbers) = numbers.split_first_chunk::<8>().ok_or_else(|| corrupt(0))?;
    let (term, checksum) = numbers.split_first_chunk::<8>().ok_or_else(|| corrupt(0))?;
    if crc32fast::hash(body).to_le_bytes() != checksum {
        return Err(corrupt(HEADER_BYTES));
    }
    let plain = FileKey::new(key, salt, KIND)
        .and_then(|key| key.open(0, body))
        .map_err(|_| LogError::Key { path: path.to_owned() })?;
    Ok(SnapshotRecord { index: u64::from_le_bytes(*index), term: u64::from_le_bytes(*term), bytes: Bytes::from(plain) })
}
