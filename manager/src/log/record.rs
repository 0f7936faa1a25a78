//! The plain text of one record of the log: what one [`shoal_manager_core::Persist`] holds, in bytes.
//!
//! A snapshot's bytes are not in it: it names the snapshot whose file was written before.

use bytes::{Buf, BufMut, Bytes};
use shoal_manager_core::LogEntry;

/// What one record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The log begins anew after this index.
    pub(super) reset: Option<u64>,
    pub(super) hard_state: Option<Bytes>,
    pub(super) entries: Vec<LogEntry>,
}

const HAS_RESET: u8 = 1;
const HAS_HARD_STATE: u8 = 2;

impl Record {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        out.put_u8(flag(self.reset.is_some(), HAS_RESET) | flag(self.hard_state.is_some(), HAS_HARD_STATE));
        if let Some(index) = self.reset {
            out.put_u64_le(index);
        }
        if let Some(hard_state) = &self.hard_state {
            out.put_u64_le(hard_state.len() as u64);
            out.put_slice(hard_state);
        }
        for entry in &self.entries {
            out.put_u64_le(entry.index);
            out.put_u64_le(entry.term);
            out.put_u64_le(entry.bytes.len() as u64);
            out.put_slice(&entry.bytes);
        }
    }

    /// `None` when the bytes are no record, which a sealed record can only be by our own mistake.
    pub(super) fn read(mut bytes: Bytes) -> Option<Self> {
        let flags = bytes.try_get_u8().ok()?;
        let mut record = Self::default();
        if flags & HAS_RESET != 0 {
            record.reset = Some(bytes.try_get_u64_le().ok()?);
        }
        if flags & HAS_HARD_STATE != 0 {
            record.hard_state = Some(take(&mut bytes)?);
        }
        while bytes.has_remaining() {
            let index = bytes.try_get_u64_le().ok()?;
            let term = bytes.try_get_u64_le().ok()?;
            record.entries.push(LogEntry { index, term, bytes: take(&mut bytes)? });
        }
        Some(record)
    }
}

fn take(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u64_le().ok()?).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_what_it_writes(reset: Option<u64>, hard_state: Option<Vec<u8>>, entries: Vec<(u64, u64, Vec<u8>)>) {
            let entry = |(index, term, bytes): (u64, u64, Vec<u8>)| LogEntry { index, term, bytes: bytes.into() };
            let record = Record {
                reset,
                hard_state: hard_state.map(Bytes::from),
                entries: entries.into_iter().map(entry).collect(),
            };
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            prop_assert_eq!(Record::read(bytes.into()), Some(record));
        }

        #[test]
        fn survives_any_bytes(bytes: Vec<u8>) {
            let _ = Record::read(bytes.into());
        }
    }
}
