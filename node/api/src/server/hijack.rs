//! A connection that was handed over to a process: its input one way, its output, in frames unless there is a
//! terminal, the other. Owns the connection until the process has ended and its exit code can be asked for.

use std::io;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::stdcopy::{FrameStream, frame};
use crate::backend::{ByteReader, ByteWriter, ExecOutput, ExecStarted, ExecStreams};
use crate::limits::{EXEC_CHUNK_BYTES, HIJACK_LINGER};

/// A process waiting for its connection.
pub(super) struct Hijack {
    pub(super) upgrade: OnUpgrade,
    pub(super) started: ExecStarted,
    /// Whether the client expects bytes without frames.
    pub(super) tty: bool,
}

type Client = TokioIo<Upgraded>;

impl Hijack {
    /// Connects client and process until the process has ended.
    pub(super) async fn run(self) {
        let client = match self.upgrade.await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => return tracing::debug!(%error, "a client left before its exec began"),
        };
        let (from_client, to_client) = tokio::io::split(client);
        let mut output = Output { to_client, framed: !self.tty };
        let ended = match self.started {
            ExecStarted::Attached(streams) => attach(streams, from_client, &mut output).await,
            ExecStarted::Failed(reason) => {
                let told = output.send(FrameStream::Stdout, format!("{reason}\r\n").as_bytes()).await;
                told.map(|()| (from_client, None))
            }
            ExecStarted::Detached => Ok((from_client, None)),
        };
        match ended {
            Ok((from_client, stdin)) => hang_up(output, from_client, stdin).await,
            Err(error) => tracing::debug!(%error, "a client left its exec"),
        }
    }
}

/// Carries bytes both ways until the process's output ends and its exit code is known. The end of the client's input
/// is the end of the process's, no more: its output goes on.
async fn attach(
    streams: ExecStreams,
    from_client: ReadHalf<Client>,
    output: &mut Output,
) -> io::Result<(ReadHalf<Client>, Option<ByteWriter>)> {
    let mut input = Input { from_client, stdin: streams.stdin };
    let outward = async {
        match streams.output {
            ExecOutput::Terminal(terminal) => output.copy_one(terminal).await?,
            ExecOutput::Pipes { stdout, stderr } => output.copy_two(stdout, stderr).await?,
        }
        streams.finished.await;
        Ok(())
    };
    tokio::select! {
        done = outward => done.map(|()| (input.from_client, input.stdin)),
        never = input.copy() => match never {},
    }
}

/// Tells the client the end, then reads what it still sends: a socket closed with unread bytes loses the end.
async fn hang_up(mut output: Output, mut from_client: ReadHalf<Client>, stdin: Option<ByteWriter>) {
    drop(stdin);
    if let Err(error) = output.to_client.shutdown().await {
        return tracing::debug!(%error, "a client left before the end of its exec");
    }
    let mut sink = tokio::io::sink();
    let rest = tokio::io::copy(&mut from_client, &mut sink);
    if tokio::time::timeout(HIJACK_LINGER, rest).await.is_err() {
        tracing::debug!("a client goes on sending to an exec that has ended; cut");
    }
}

struct Input {
    from_client: ReadHalf<Client>,
    stdin: Option<ByteWriter>,
}

impl Input {
    /// Carries the client's bytes to the process, and never ends: that is for the output to say.
    async fn copy(&mut self) -> std::convert::Infallible {
        let mut chunk = vec![0; EXEC_CHUNK_BYTES];
        loop {
            let read = self.from_client.read(&mut chunk).await.unwrap_or(0);
            if read == 0 {
                break;
            }
            let Some(stdin) = &mut self.stdin else { continue };
            let written = match stdin.write_all(&chunk[..read]).await {
                Ok(()) => stdin.flush().await,
                failed => failed,
            };
            if let Err(error) = written {
                tracing::debug!(%error, "a process does not take more input");
                self.stdin = None;
            }
        }
        if let Some(mut stdin) = self.stdin.take()
            && let Err(error) = stdin.shutdown().await
        {
            tracing::debug!(%error, "failed to end a process's input");
        }
        std::future::pending().await
    }
}

struct Output {
    to_client: WriteHalf<Client>,
    framed: bool,
}

impl Output {
    async fn copy_one(&mut self, mut terminal: ByteReader) -> io::Result<()> {
        let mut chunk = vec![0; EXEC_CHUNK_BYTES];
        loop {
            match read(&mut terminal, &mut chunk).await {
                0 => return Ok(()),
                length => self.send(FrameStream::Stdout, &chunk[..length]).await?,
            }
        }
    }

    /// Sends in the order in which the two arrive.
    async fn copy_two(&mut self, mut stdout: Option<ByteReader>, mut stderr: Option<ByteReader>) -> io::Result<()> {
        let mut out_chunk = vec![0; EXEC_CHUNK_BYTES];
        let mut err_chunk = vec![0; EXEC_CHUNK_BYTES];
        while stdout.is_some() || stderr.is_some() {
            tokio::select! {
                length = read_some(&mut stdout, &mut out_chunk) => match length {
                    0 => stdout = None,
                    length => self.send(FrameStream::Stdout, &out_chunk[..length]).await?,
                },
                length = read_some(&mut stderr, &mut err_chunk) => match length {
                    0 => stderr = None,
                    length => self.send(FrameStream::Stderr, &err_chunk[..length]).await?,
                },
            }
        }
        Ok(())
    }

    async fn send(&mut self, stream: FrameStream, bytes: &[u8]) -> io::Result<()> {
        if self.framed {
            self.to_client.write_all(&frame(stream, bytes)).await?;
        } else {
            self.to_client.write_all(bytes).await?;
        }
        self.to_client.flush().await
    }
}

/// Reads from an end that may be closed already: then it waits for ever.
async fn read_some(reader: &mut Option<ByteReader>, chunk: &mut [u8]) -> usize {
    match reader {
        Some(reader) => read(reader, chunk).await,
        None => std::future::pending().await,
    }
}

/// An error ends a process's output as its end does: a terminal whose process is gone answers EIO.
async fn read(reader: &mut ByteReader, chunk: &mut [u8]) -> usize {
    match reader.read(chunk).await {
        Ok(length) => length,
        Err(error) => {
            tracing::debug!(%error, "a process's output ended");
            0
        }
    }
}
