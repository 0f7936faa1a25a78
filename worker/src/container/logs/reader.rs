//! Reads a log by a query, as a stream.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use futures_util::stream::{BoxStream, StreamExt, unfold};
use shoal_proto::model::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use super::files::{Changes, LogFile, open_all, opened_after, seek_to_tail};
use super::{LogRecord, OutputStream};
use crate::container::{ContainerError, ContainerLife, LocalContainers};
use crate::limits::{LOG_CHUNK_BYTES, LOG_LINE_BYTES_MAX};

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Stay and send what comes, until the container ends.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// The last lines only; `None` is all.
    pub tail: Option<u64>,
}

impl LocalContainers {
    /// The lines of a container's log; whether it has a terminal.
    ///
    /// # Errors
    /// When there is no such container, or its output is not kept.
    pub async fn logs(
        &self,
        name: &str,
        query: LogQuery,
    ) -> Result<(bool, BoxStream<'static, Result<LogRecord, ContainerError>>), ContainerError> {
        let view = self.inner.registry.find(name)?;
        let path = view.record.log.path.clone().ok_or(ContainerError::NoLog)?;
        let life = self.inner.registry.watch(&view.record.id);
        let life = life.ok_or_else(|| ContainerError::NotFound(name.to_owned()))?;
        let reader = LogReader::open(path.clone(), query, life).await;
        let reader = reader.map_err(|error| ContainerError::file("read", &path, error))?;
        Ok((view.record.tty, reader.stream()))
    }
}

/// Reads a log, line by line.
#[derive(Debug)]
pub(super) struct LogReader {
    path: PathBuf,
    query: LogQuery,
    life: watch::Receiver<ContainerLife>,
    changes: Option<Changes>,
    /// Still to be read, oldest first. The first is the one being read.
    files: VecDeque<LogFile>,
    /// Read and not yet given out; begins with a whole line or the part of one.
    buffer: Vec<u8>,
    /// Bytes of it that were given out.
    taken: usize,
    over: bool,
}

impl LogReader {
    pub(super) async fn open(path: PathBuf, query: LogQuery, life: watch::Receiver<ContainerLife>) -> io::Result<Self> {
        // Before the files: what changes while they are opened is heard of.
        let changes = if query.follow { Some(Changes::of(&path)?) } else { None };
        let mut files = open_all(&path).await?;
        if let Some(lines) = query.tail {
            seek_to_tail(&mut files, lines).await?;
        }
        Ok(Self { path, query, life, changes, files: files.into(), buffer: Vec::new(), taken: 0, over: false })
    }

    pub(super) fn stream(self) -> BoxStream<'static, Result<LogRecord, ContainerError>> {
        unfold(self, |mut reader| async move {
            if reader.over {
                return None;
            }
            let item = match reader.next().await {
                Ok(None) => return None,
                Ok(Some(record)) => Ok(record),
                Err(error) => {
                    reader.over = true;
                    Err(ContainerError::file("read", &reader.path, error))
                }
            };
            Some((item, reader))
        })
        .boxed()
    }

    /// The next line that the query wants; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<LogRecord>> {
        loop {
            while let Some(record) = self.take_line() {
                if self.query.until.is_some_and(|until| record.time > until) {
                    return Ok(None);
                }
                if self.wants(&record) {
                    return Ok(Some(record));
                }
            }
            // Looked at before the read: what was written before the end is then read.
            let ended = self.life.borrow().is_over();
            if self.read_some().await? {
                continue;
            }
            if !self.go_on_to_next_file().await? {
                if !self.query.follow || ended {
                    return Ok(None);
                }
                self.wait().await?;
            }
        }
    }

    fn wants(&self, record: &LogRecord) -> bool {
        let stream = match record.stream {
            OutputStream::Stdout => self.query.stdout,
            OutputStream::Stderr => self.query.stderr,
        };
        stream && self.query.since.is_none_or(|since| record.time >= since)
    }

    /// Takes whole lines out of the buffer until one can be read.
    fn take_line(&mut self) -> Option<LogRecord> {
        loop {
            let rest = &self.buffer[self.taken..];
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                self.buffer.drain(..self.taken);
                self.taken = 0;
                return None;
            };
            let record = LogRecord::parse(&rest[..length]);
            self.taken += length + 1;
            if record.is_some() {
                return record;
            }
        }
    }

    /// Reads on in the present file; false at its present end.
    async fn read_some(&mut self) -> io::Result<bool> {
        let Some(current) = self.files.front_mut() else { return Ok(false) };
        if self.buffer.len() > LOG_LINE_BYTES_MAX {
            // No line of ours is that long: what follows is looked at, this is not.
            self.buffer.clear();
        }
        self.buffer.reserve(LOG_CHUNK_BYTES);
        Ok(current.file.read_buf(&mut self.buffer).await? > 0)
    }

    /// At the end of a file: turns to the next one. False when there is none.
    async fn go_on_to_next_file(&mut self) -> io::Result<bool> {
        if self.files.len() <= 1 {
            if self.changes.is_none() {
                return Ok(false);
            }
            let before = self.files.len();
            match self.files.front().map(|current| current.inode) {
                Some(inode) => self.files.extend(opened_after(&self.path, inode).await?),
                None => self.files.extend(open_all(&self.path).await?),
            }
            // Once rotated, nothing more is written to the present one: whatever is left there is read first.
            return Ok(self.files.len() > before);
        }
        self.files.pop_front();
        // A part without its newline belongs to no line of the next file.
        self.buffer.clear();
        self.taken = 0;
        Ok(true)
    }

    async fn wait(&mut self) -> io::Result<()> {
        let Some(changes) = &mut self.changes else { return Ok(()) };
        tokio::select! {
            changed = changes.next() => changed,
            // The container's end; a registry that is gone is an end too.
            _over = self.life.wait_for(ContainerLife::is_over) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, OpenOptions};
    use std::io::Write;
    use std::path::Path;
    use std::time::Duration;

    struct Log {
        folder: tempfile::TempDir,
        life: watch::Sender<ContainerLife>,
        written: i64,
    }

    impl Log {
        fn new() -> Self {
            let life = watch::channel(ContainerLife::Running { pid: 1, started_at: Timestamp(0) }).0;
            let log = Self { folder: tempfile::tempdir().unwrap(), life, written: 0 };
            File::create(log.path()).unwrap();
            log
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("c-json.log")
        }

        /// Writes numbered lines, one a second; odd ones to stderr.
        fn write(&mut self, lines: i64) {
            let mut file = OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
            for _ in 0..lines {
                let number = self.written;
                self.written += 1;
                let stream = if number % 2 == 1 { "stderr" } else { "stdout" };
                let time = format!("1970-01-01T00:{:02}:{:02}Z", number / 60, number % 60);
                writeln!(file, r#"{{"log":"{number}\n","stream":"{stream}","time":"{time}"}}"#).unwrap();
            }
        }

        fn rotate(&self) {
            let numbered = |n: u32| self.folder.path().join(format!("c-json.log.{n}"));
            for n in (1..5).rev().filter(|n| numbered(*n).exists()) {
                fs::rename(numbered(n), numbered(n + 1)).unwrap();
            }
            fs::rename(self.path(), numbered(1)).unwrap();
            File::create(self.path()).unwrap();
        }

        fn end(&self) {
            self.life.send_replace(ContainerLife::Lost);
        }

        async fn open(&self, query: LogQuery) -> BoxStream<'static, Result<LogRecord, ContainerError>> {
            LogReader::open(self.path(), query, self.life.subscribe()).await.unwrap().stream()
        }

        async fn read(&self, query: LogQuery) -> Vec<i64> {
            numbers(self.open(query).await, usize::MAX).await
        }
    }

    async fn numbers(
        mut stream: impl futures_util::Stream<Item = Result<LogRecord, ContainerError>> + Unpin,
        most: usize,
    ) -> Vec<i64> {
        let mut numbers = Vec::new();
        while numbers.len() < most {
            let next = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("a line within 20 s");
            let Some(record) = next else { break };
            numbers.push(std::str::from_utf8(&record.unwrap().line).unwrap().trim_end().parse().unwrap());
        }
        numbers
    }

    fn both() -> LogQuery {
        LogQuery { stdout: true, stderr: true, ..LogQuery::default() }
    }

    #[tokio::test]
    async fn tail_since_until_and_streams_choose_lines_over_rotations() {
        let mut log = Log::new();
        for lines in [5, 3, 4] {
            log.write(lines);
            log.rotate();
        }
        log.write(2);
        assert_eq!(log.read(both()).await, (0..14).collect::<Vec<_>>());
        for (tail, first) in [(0, 14), (1, 13), (2, 12), (3, 11), (6, 8), (7, 7), (14, 0), (99, 0)] {
            let query = LogQuery { tail: Some(tail), ..both() };
            assert_eq!(log.read(query).await, (first..14).collect::<Vec<_>>(), "tail {tail}");
        }
        let second = |n: i64| Some(Timestamp(n * 1_000_000_000));
        let query = LogQuery { since: second(3), until: second(8), stderr: false, ..both() };
        assert_eq!(log.read(query).await, [4, 6, 8]);
    }

    #[tokio::test]
    async fn what_comes_is_followed_over_rotations_until_the_container_ends() {
        let mut log = Log::new();
        log.write(2);
        let mut stream = log.open(LogQuery { follow: true, tail: Some(1), ..both() }).await;
        assert_eq!(numbers(&mut stream, 1).await, [1]);
        log.write(2);
        assert_eq!(numbers(&mut stream, 2).await, [2, 3]);
        // Two rotations before the reader looks again.
        log.write(1);
        log.rotate();
        log.write(1);
        log.rotate();
        log.write(1);
        assert_eq!(numbers(&mut stream, 3).await, [4, 5, 6]);
        log.write(1);
        log.end();
        assert_eq!(numbers(&mut stream, usize::MAX).await, [7]);
    }

    #[tokio::test]
    async fn torn_and_foreign_lines_are_left_out() {
        let mut log = Log::new();
        log.write(1);
        let mut file = OpenOptions::new().append(true).open(log.path()).unwrap();
        file.write_all(b"not json\n").unwrap();
        log.write(1);
        file.write_all(b"{\"log\":\"torn").unwrap();
        assert_eq!(log.read(both()).await, [0, 1]);
        assert!(Path::new(&log.path()).exists());
    }
}
