//! A container's log in Docker's json-file format: lines, parts of long lines, rotation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::keeper::poll::Stream;
use crate::limits::LOG_LINE_BYTES_MAX;
use crate::spec::LogSpec;
use crate::state::Timestamp;

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    spec: LogSpec,
    /// `,"attrs":{...}` or nothing.
    attributes: String,
    file: File,
    size: u64,
    /// What came without a newline yet, for each stream.
    partial: [Vec<u8>; 2],
}

impl Log {
    /// Opens the log, going on where an earlier keeper ended.
    pub(super) fn open(spec: &LogSpec) -> io::Result<Self> {
        let file = open(&spec.path)?;
        let size = file.metadata()?.len();
        let attributes = if spec.attributes.is_empty() {
            String::new()
        } else {
            format!(",\"attrs\":{}", serde_json::to_string(&spec.attributes)?)
        };
        Ok(Self { spec: spec.clone(), attributes, file, size, partial: [Vec::new(), Vec::new()] })
    }

    /// Takes what a stream said.
    ///
    /// # Errors
    /// When it cannot be written; it is lost then.
    pub(super) fn append(&mut self, stream: Stream, mut bytes: &[u8], at: Timestamp) -> io::Result<()> {
        let mut text = String::new();
        let slot = stream as usize;
        while let Some(end) =
            bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1).or_else(|| full(&self.partial[slot], bytes))
        {
            let (line, rest) = bytes.split_at(end);
            bytes = rest;
            let mut whole = std::mem::take(&mut self.partial[slot]);
            whole.extend_from_slice(line);
            for part in whole.chunks(LOG_LINE_BYTES_MAX) {
                self.line(&mut text, stream, part, at)?;
            }
        }
        self.partial[slot].extend_from_slice(bytes);
        self.flush(&mut text)
    }

    /// Writes what came without a newline at the end of the streams.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(&mut self, at: Timestamp) -> io::Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.partial[stream as usize]);
            if !rest.is_empty() {
                let mut text = String::new();
                self.line(&mut text, stream, &rest, at)?;
                self.flush(&mut text)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, text: &mut String, stream: Stream, bytes: &[u8], at: Timestamp) -> io::Result<()> {
        let full = self.spec.max_size.is_some_and(|max| max > 0 && self.size + text.len() as u64 >= max);
        if full {
            self.flush(text)?;
            self.rotate()?;
        }
        text.push_str("{\"log\":");
        text.push_str(&serde_json::to_string(&String::from_utf8_lossy(bytes))?);
        text.push_str(match stream {
            Stream::Stdout => ",\"stream\":\"stdout\"",
            Stream::Stderr => ",\"stream\":\"stderr\"",
        });
        text.push_str(&self.attributes);
        text.push_str(",\"time\":\"");
        text.push_str(&at.to_string());
        text.push_str("\"}\n");
        Ok(())
    }

    fn flush(&mut self, text: &mut String) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.size += text.len() as u64;
        let outcome = self.file.write_all(text.as_bytes());
        text.clear();
        outcome
    }

    /// The current file becomes the youngest of the old ones, and the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.spec.path;
        if self.spec.max_files <= 1 {
            self.file.set_len(0)?;
        } else {
            for n in (1..self.spec.max_files - 1).rev() {
                rename_if_there(&numbered(path, n), &numbered(path, n + 1))?;
            }
            rename_if_there(path, &numbered(path, 1))?;
            self.file = open(path)?;
        }
        self.size = 0;
        Ok(())
    }
}

/// Where a line without a newline is long enough to be written in parts.
fn full(partial: &[u8], bytes: &[u8]) -> Option<usize> {
    (partial.len() + bytes.len() >= LOG_LINE_BYTES_MAX).then(|| LOG_LINE_BYTES_MAX - partial.len())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    PathBuf::from(name)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn spec(directory: &Path, max_size: Option<u64>, max_files: u32) -> LogSpec {
        LogSpec { path: directory.join("log"), max_size, max_files, attributes: BTreeMap::new() }
    }

    fn lines(path: &Path) -> Vec<(String, String)> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                (value["stream"].as_str().unwrap().to_owned(), value["log"].as_str().unwrap().to_owned())
            })
            .collect()
    }

    #[test]
    fn a_line_reads_as_dockers() {
        let directory = tempfile::tempdir().unwrap();
        let mut with = spec(directory.path(), None, 1);
        with.attributes = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let mut log = Log::open(&with).unwrap();
        log.append(Stream::Stdout, b"say \"hi\"\nand", Timestamp(1_700_000_000_000_000_001)).unwrap();
        log.append(Stream::Stderr, b"oops\n", Timestamp(0)).unwrap();
        log.finish(Timestamp(0)).unwrap();
        assert_eq!(
            fs::read_to_string(&with.path).unwrap(),
            "{\"log\":\"say \\\"hi\\\"\\n\",\"stream\":\"stdout\",\"attrs\":{\"a\":\"b\"},\"time\":\"2023-11-14T22:13:20.000000001Z\"}\n\
             {\"log\":\"oops\\n\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"b\"},\"time\":\"1970-01-01T00:00:00Z\"}\n\
             {\"log\":\"and\",\"stream\":\"stdout\",\"attrs\":{\"a\":\"b\"},\"time\":\"1970-01-01T00:00:00Z\"}\n"
        );
    }

    #[test]
    fn long_lines_come_in_parts() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(&spec(directory.path(), None, 1)).unwrap();
        let line = vec![b'x'; LOG_LINE_BYTES_MAX + 10];
        log.append(Stream::Stdout, &line, Timestamp(0)).unwrap();
        log.append(Stream::Stdout, b"\n", Timestamp(0)).unwrap();
        let sizes: Vec<usize> = lines(&directory.path().join("log")).iter().map(|(_, text)| text.len()).collect();
        assert_eq!(sizes, [LOG_LINE_BYTES_MAX, 11]);
    }

    #[test]
    fn files_rotate_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(&spec(directory.path(), Some(100), 3)).unwrap();
        for n in 0..20 {
            log.append(Stream::Stdout, format!("line {n}\n").as_bytes(), Timestamp(0)).unwrap();
        }
        let names = ["log.2", "log.1", "log"];
        let kept: Vec<String> =
            names.iter().flat_map(|name| lines(&directory.path().join(name))).map(|(_, text)| text).collect();
        let last = kept.len();
        let expected: Vec<String> = (20 - last..20).map(|n| format!("line {n}\n")).collect();
        assert_eq!(kept, expected);
        assert!(!directory.path().join("log.3").exists());
        assert!(names.iter().all(|name| directory.path().join(name).exists()));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_comes(pieces in proptest::collection::vec("[a-c\n]{0,40}", 0..20)) {
            let directory = tempfile::tempdir().unwrap();
            let mut log = Log::open(&spec(directory.path(), None, 1)).unwrap();
            for piece in &pieces {
                log.append(Stream::Stdout, piece.as_bytes(), Timestamp(0)).unwrap();
            }
            log.finish(Timestamp(0)).unwrap();
            let said: String = lines(&directory.path().join("log")).into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(said, pieces.concat());
        }
    }
}
