//! Refusals of what a client said, and the small words: times, durations, versions.

use std::time::Duration;

use shoal_api::types;
use shoal_proto::model::{Meta, Timestamp, Version};

/// Something a client said can't be taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value '{value}' for {field}: {remedy}")]
pub struct WordError {
    /// Docker's name of the field, with its path.
    pub field: String,
    /// What was said.
    pub value: String,
    /// What to say instead.
    pub remedy: String,
}

impl WordError {
    /// A refusal of `value`.
    pub(super) fn new(field: &str, value: impl ToString, remedy: impl Into<String>) -> Self {
        Self { field: field.to_owned(), value: value.to_string(), remedy: remedy.into() }
    }

    /// A refusal of something that Shoal does not have.
    pub(super) fn absent(field: &str, value: impl ToString) -> Self {
        Self::new(field, value, "this release of Shoal does not have it; leave it out")
    }
}

/// Nanoseconds, as Docker sends durations.
pub(super) fn duration(field: &str, nanoseconds: i64) -> Result<Duration, WordError> {
    u64::try_from(nanoseconds)
        .map(Duration::from_nanos)
        .map_err(|_| WordError::new(field, nanoseconds, "a duration of zero or more nanoseconds is expected"))
}

/// Nanoseconds, as Docker shows durations.
pub(super) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A time as Docker shows it.
#[must_use]
pub fn timestamp(time: Timestamp) -> types::Timestamp {
    types::Timestamp::from_unix_nanos(i128::from(time.0)).unwrap_or_default()
}

pub(super) fn version(version: Version) -> types::Version {
    types::Version { index: version.0 }
}

pub(super) struct ShownMeta {
    pub(super) version: types::Version,
    pub(super) created_at: types::Timestamp,
    pub(super) updated_at: types::Timestamp,
}

pub(super) fn meta(meta: Meta) -> ShownMeta {
    ShownMeta {
        version: version(meta.version),
        created_at: timestamp(meta.created_at),
        updated_at: timestamp(meta.updated_at),
    }
}

/// Text as Docker has it: empty means unsaid.
pub(super) fn said(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// A port number; Docker sends 32 bits.
pub(super) fn port(field: &str, number: u32) -> Result<u16, WordError> {
    u16::try_from(number).map_err(|_| WordError::new(field, number, "a port from 0 to 65535 is expected"))
}
