//! One line of a json-file log.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use shoal_proto::model::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// A line of output, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Where it was written.
    pub stream: OutputStream,
    /// When.
    pub time: Timestamp,
    /// Labels and environment that were to be logged.
    pub details: BTreeMap<String, String>,
    /// With its newline, if it had one.
    pub line: Bytes,
}

#[derive(Deserialize)]
struct Written {
    log: String,
    stream: String,
    time: String,
    #[serde(default)]
    attrs: Option<BTreeMap<String, String>>,
}

impl LogRecord {
    /// Reads a line; `None` for one that the keeper did not write whole.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(line).ok()?;
        let stream = if written.stream == "stderr" { OutputStream::Stderr } else { OutputStream::Stdout };
        let time = OffsetDateTime::parse(&written.time, &Rfc3339).ok()?.unix_timestamp_nanos();
        Some(Self {
            stream,
            time: Timestamp(i64::try_from(time).ok()?),
            details: written.attrs.unwrap_or_default(),
            line: written.log.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_a_torn_one_is_not() {
        let text = br#"{"log":"a\u0000\"b\n","stream":"stderr","time":"2024-02-29T23:59:59.5Z","attrs":{"k":"v"}}"#;
        let record = LogRecord::parse(text).unwrap();
        assert_eq!((record.stream, &record.line[..]), (OutputStream::Stderr, &b"a\0\"b\n"[..]));
        assert_eq!(record.time, Timestamp(1_709_251_199_500_000_000));
        assert_eq!(record.details["k"], "v");
        for end in 0..text.len() {
            assert_eq!(LogRecord::parse(&text[..end]), None, "{end}");
        }
    }
}
