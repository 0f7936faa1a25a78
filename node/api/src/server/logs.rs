//! Log lines on the wire: times and details before the line, frames around it.

use std::fmt::Write as _;

use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use time::macros::format_description;
use tokio_util::sync::CancellationToken;

use super::answer;
use super::params::Params;
use super::stdcopy::{FrameStream, MULTIPLEXED, RAW, frame};
use super::version::ApiVersion;
use crate::backend::{LogFeed, LogRecord};
use crate::error::ApiError;
use crate::query::{LogStreams, LogsQuery};
use crate::types::{StringMap, Timestamp};

/// What is written before each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineForm {
    timestamps: bool,
    details: bool,
}

/// Reads the parameters that all three log routes share.
pub(super) fn read(params: &Params) -> Result<(LogsQuery, LineForm), ApiError> {
    let streams = LogStreams { stdout: params.flag("stdout"), stderr: params.flag("stderr") };
    if !streams.stdout && !streams.stderr {
        return Err(ApiError::invalid_parameter(
            "Bad parameters: you must choose at least one stream (stdout=1, stderr=1)",
        ));
    }
    let form = LineForm { timestamps: params.flag("timestamps"), details: params.flag("details") };
    let query = LogsQuery {
        follow: params.flag("follow"),
        streams,
        since: params.time("since")?.filter(|since| since.unix_nanos() != 0),
        until: params.time("until")?.filter(|until| until.unix_nanos() != 0),
        tail: params.text("tail").parse().ok(),
        details: form.details,
    };
    Ok((query, form))
}

/// Sends lines as they come; an error on the way is told inside the stream.
pub(super) fn stream(feed: LogFeed, form: LineForm, version: ApiVersion, shutdown: &CancellationToken) -> Response {
    let tty = feed.tty;
    let chunks = feed.records.map(move |record| {
        let (stream, text) = match record {
            Ok(record) => (record.stream.into(), line(&record, form)),
            Err(error) => (FrameStream::SystemError, Bytes::from(format!("Error grabbing logs: {error}\n"))),
        };
        Ok(if tty { text } else { frame(stream, &text) })
    });
    let content_type = if tty || version.before(42) { RAW } else { MULTIPLEXED };
    answer::streaming(content_type, chunks, shutdown)
}

fn line(record: &LogRecord, form: LineForm) -> Bytes {
    if form == (LineForm { timestamps: false, details: false }) {
        return record.line.clone();
    }
    let mut text = BytesMut::new();
    if form.timestamps {
        text.put_slice(fixed_width(record.time).as_bytes());
        text.put_u8(b' ');
    }
    if form.details {
        text.put_slice(details(&record.details).as_bytes());
        text.put_u8(b' ');
    }
    text.put_slice(&record.line);
    text.freeze()
}

/// RFC 3339 with always nine digits, so that lines sort as text.
fn fixed_width(time: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z");
    time.0.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_else(|_| time.to_string())
}

/// `KEY=VALUE,KEY=VALUE`, sorted, escaped as in a form.
fn details(details: &StringMap) -> String {
    let mut text = String::new();
    for (key, value) in details {
        if !text.is_empty() {
            text.push(',');
        }
        escape(&mut text, key);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

/// Go's `url.QueryEscape`.
fn escape(text: &mut String, part: &str) {
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            b' ' => text.push('+'),
            // Writing to a String cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::OutputStream;

    #[test]
    fn lines_carry_time_then_details() {
        let record = LogRecord {
            stream: OutputStream::Stdout,
            time: Timestamp::from_unix_nanos(1_500_000_000).unwrap(),
            details: StringMap::from([("b".into(), "x y".into()), ("a.b".into(), "1,2=3".into())]),
            line: Bytes::from_static(b"hello\n"),
        };
        let form = |timestamps, details| LineForm { timestamps, details };
        assert_eq!(line(&record, form(false, false)), "hello\n");
        assert_eq!(line(&record, form(true, false)), "1970-01-01T00:00:01.500000000Z hello\n");
        assert_eq!(line(&record, form(false, true)), "a.b=1%2C2%3D3,b=x+y hello\n");
        assert_eq!(line(&record, form(true, true)), "1970-01-01T00:00:01.500000000Z a.b=1%2C2%3D3,b=x+y hello\n");
    }
}
