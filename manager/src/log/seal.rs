//! Encryption at rest: AES-256-GCM under keys derived for one file each.
//!
//! A nonce must never serve twice under one key. Every file therefore has its own key: HKDF-SHA256 of the data key with 32
//! random bytes from the file's header as salt and the file's kind as context. Within a file, records are numbered from
//! zero and the number is the nonce. A file is written by one [`FileKey`] from its birth to its end and never appended
//! to after a restart (opening starts a new file), and a write that failed closes the store, so a number is never given
//! out again. The number also binds a record to its place: one that is moved, repeated or left out fails to open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::DataKey;

pub(super) const SALT_BYTES: usize = 32;
/// What sealing adds.
pub(super) const TAG_BYTES: usize = 16;

/// Seals or opens the records of one file.
pub(super) struct FileKey(LessSafeKey);

/// A record does not open: another key, another place, or other bytes.
#[derive(Debug)]
pub(super) struct Unsealed;

/// A salt for a new file.
pub(super) fn new_salt() -> Result<[u8; SALT_BYTES], std::io::Error> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| std::io::Error::other("the system has no randomness"))?;
    Ok(salt)
}

impl FileKey {
    pub(super) fn new(key: &DataKey, salt: &[u8; SALT_BYTES], kind: &'static [u8]) -> Result<Self, Unsealed> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&key.0);
        let context = [kind];
        let derived = extracted.expand(&context, &AES_256_GCM).map_err(|_| Unsealed)?;
        Ok(Self(LessSafeKey::new(UnboundKey::from(derived))))
    }

    /// Encrypts `record[from..]` in place and appends the tag.
    pub(super) fn seal(&self, number: u64, record: &mut Vec<u8>, from: usize) -> Result<(), Unsealed> {
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::empty(), &mut record[from..])
            .map_err(|_| Unsealed)?;
        record.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Decrypts a record with its tag.
    pub(super) fn open(&self, number: u64, sealed: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let mut record = sealed.to_vec();
        let length = self.0.open_in_place(nonce(number), Aad::empty(), &mut record).map_err(|_| Unsealed)?.len();
        record.truncate(length);
        Ok(record)
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
