//! What containers say: read, logged, and handed to whoever is attached.

use std::io;

use crate::keeper::container::Container;
use crate::keeper::lifecycle::would_block;
use crate::keeper::poll::{Serial, Stream};
use crate::keeper::run::Keeper;
use crate::limits::OUTPUT_READS_MAX;
use crate::state::Timestamp;

impl Keeper {
    /// An output can be read.
    pub(super) fn output_ready(&mut self, serial: Serial, stream: Stream) {
        self.with(serial, |keeper, container| keeper.read_output(container, stream, OUTPUT_READS_MAX));
    }

    /// Reads what is left in a pipe whose writer ended. More than a pipe holds can only come from somebody who should
    /// have ended too.
    pub(super) fn drain(&mut self, container: &mut Container, stream: Stream) {
        self.read_output(container, stream, DRAIN_READS_MAX);
    }

    fn read_output(&mut self, container: &mut Container, stream: Stream, reads: usize) {
        for _ in 0..reads {
            let source = match stream {
                Stream::Stdout => &container.streams.stdout,
                Stream::Stderr => &container.streams.stderr,
            };
            let Some(source) = source else { return };
            match rustix::io::read(&source.descriptor, self.buffer.as_mut_slice()).map_err(io::Error::from) {
                Ok(0) => return self.close_output(container, stream),
                Ok(count) => {
                    let buffer = std::mem::take(&mut self.buffer);
                    self.said(container, stream, &buffer[..count]);
                    self.buffer = buffer;
                }
                Err(error) if would_block(&error) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A terminal that nobody has open any more says EIO.
                Err(_) => return self.close_output(container, stream),
            }
        }
    }

    fn said(&mut self, container: &mut Container, stream: Stream, bytes: &[u8]) {
        if let Some(log) = &mut container.streams.log
            && let Err(error) = log.append(stream, bytes, Timestamp::now())
        {
            eprintln!("log of {}: {error}", container.record.id);
        }
        self.pass_on(container, stream, bytes);
    }

    fn close_output(&mut self, container: &mut Container, stream: Stream) {
        let source = match stream {
            Stream::Stdout => container.streams.stdout.take(),
            Stream::Stderr => container.streams.stderr.take(),
        };
        if let Some(source) = source {
            source.close(&mut self.poller);
        }
    }

    /// The container ended: nothing more will be said.
    pub(super) fn close_streams(&mut self, container: &mut Container) {
        self.close_output(container, Stream::Stdout);
        self.close_output(container, Stream::Stderr);
        container.streams.stdin = None;
        if let Some(mut log) = container.streams.log.take()
            && let Err(error) = log.finish(Timestamp::now())
        {
            eprintln!("log of {}: {error}", container.record.id);
        }
        self.end_attached(container);
    }
}

/// Sixteen times the largest pipe an unprivileged process can make (1 MiB).
const DRAIN_READS_MAX: usize = 256;
