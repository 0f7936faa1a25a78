//! `shoal exec`: a command in a running container, with its streams joined to ours and its exit code taken over.
//!
//! The connection is taken over after the start call: raw bytes with a terminal, multiplexed frames without. Our end of
//! input closes the sending half only, so the output still arrives to its end.

use std::io;
use std::path::PathBuf;

use clap::Args;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use shoal_api::types::{ExecCreateRequest, ExecInspect, ExecStartRequest, IdResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::signal::unix::{SignalKind, signal};

use super::terminal::{RawTerminal, size, stdin_is_terminal};
use crate::error::{EXEC, EXIT_DONE, Error};
use crate::flags::FlagError;
use crate::flags::pair::{environment, variable};
use crate::output::console::{print_bytes, print_error_bytes};
use crate::transport::Client;
use crate::transport::stdin::stdin;
use crate::transport::stream::{Channel, Frames};

#[derive(Args, Debug)]
pub(crate) struct ExecArgs {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = variable)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "string")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    workdir: Option<String>,
    /// The container, then the command and its arguments
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
    container_and_command: Vec<String>,
}

/// Runs the command; the result is its exit code.
pub(crate) async fn exec(args: ExecArgs, client: &Client) -> Result<u8, Error> {
    if args.tty && args.interactive && !args.detach && !stdin_is_terminal() {
        return Err(FlagError::InputNoTerminal.into());
    }
    let spec = spec(&args)?;
    let container = &args.container_and_command[0];
    let path = format!("/containers/{container}/exec");
    let created: IdResponse = client.post(path, EXEC).json(&spec).fetch().await?;
    let start = ExecStartRequest { detach: args.detach, tty: args.tty, console_size: spec.console_size };
    let call = client.post(format!("/exec/{}/start", created.id), EXEC).json(&start);
    if args.detach {
        call.done().await?;
        return Ok(EXIT_DONE);
    }
    let (_, connection) = call.take_over().await?;
    attach(&args, client, &created.id, connection).await?;
    let state: ExecInspect = client.get(format!("/exec/{}/json", created.id), EXEC).fetch().await?;
    match state.exit_code {
        Some(code) if !state.running => Ok(u8::try_from(code & 0xff).unwrap_or(crate::error::EXIT_FAILED)),
        // The user detached: the command goes on.
        _ => Ok(EXIT_DONE),
    }
}

fn spec(args: &ExecArgs) -> Result<ExecCreateRequest, Error> {
    Ok(ExecCreateRequest {
        user: args.user.clone().unwrap_or_default(),
        privileged: args.privileged,
        tty: args.tty,
        console_size: if args.tty { size().map(|(rows, columns)| [rows.into(), columns.into()]) } else { None },
        attach_stdin: args.interactive && !args.detach,
        attach_stdout: !args.detach,
        attach_stderr: !args.detach,
        detach_keys: args.detach_keys.clone().unwrap_or_default(),
        env: environment(&args.env_file, &args.env)?,
        working_dir: args.workdir.clone().unwrap_or_default(),
        cmd: args.container_and_command[1..].to_vec(),
    })
}

/// Joins our streams to the connection until the output ends.
async fn attach(args: &ExecArgs, client: &Client, id: &str, connection: TokioIo<Upgraded>) -> Result<(), Error> {
    let _raw = if args.tty && args.interactive { Some(RawTerminal::enter()?) } else { None };
    let (output, input) = split(connection);
    let send = async { if args.interactive { send_input(input).await } else { Ok(()) } };
    let resize = async { if args.tty { follow_size(client, id).await } else { Ok(()) } };
    let receive = async { if args.tty { receive_raw(output).await } else { receive_frames(output).await } };
    tokio::pin!(receive);
    let feed = async { tokio::try_join!(send, resize).map(drop) };
    tokio::select! {
        received = &mut receive => received,
        // Our input ended, or could not be read: what the command still writes is the command's last word either way.
        fed = feed => {
            receive.await?;
            fed
        }
    }
}

async fn send_input(mut input: WriteHalf<TokioIo<Upgraded>>) -> Result<(), Error> {
    let mut stdin = stdin()?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = stdin.read(&mut buffer).await.map_err(|source| Error::Input { source })?;
        if count == 0 {
            break;
        }
        // A command that stopped reading is no error: its exit code says how it went.
        if input.write_all(&buffer[..count]).await.is_err() || input.flush().await.is_err() {
            return Ok(());
        }
    }
    // The command may have ended already, and the connection with it.
    let _closed = input.shutdown().await;
    Ok(())
}

async fn receive_raw(mut output: ReadHalf<TokioIo<Upgraded>>) -> Result<(), Error> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match output.read(&mut buffer).await.map_err(broken)? {
            0 => return Ok(()),
            count => print_bytes(&buffer[..count])?,
        }
    }
}

async fn receive_frames(mut output: ReadHalf<TokioIo<Upgraded>>) -> Result<(), Error> {
    let mut frames = Frames::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = output.read(&mut buffer).await.map_err(broken)?;
        if count == 0 {
            return Ok(());
        }
        frames.push(&buffer[..count]);
        while let Some((channel, bytes)) = frames.next().map_err(|source| Error::Frames { action: EXEC, source })? {
            match channel {
                Channel::Stdout => print_bytes(&bytes)?,
                Channel::Stderr => print_error_bytes(&bytes)?,
                Channel::System => {
                    let message = String::from_utf8_lossy(&bytes).into_owned();
                    return Err(Error::Stream { action: EXEC, message });
                }
            }
        }
    }
}

/// Tells the daemon the terminal's size, now and whenever it changes.
async fn follow_size(client: &Client, id: &str) -> Result<(), Error> {
    let mut changes = signal(SignalKind::window_change()).map_err(|source| Error::Signals { source })?;
    loop {
        if let Some((rows, columns)) = size() {
            let call = client.post(format!("/exec/{id}/resize"), EXEC);
            let told = call.query("h", rows.to_string()).query("w", columns.to_string()).done().await;
            // The command may have ended just now; a size that nobody needs is no failure.
            drop(told);
        }
        changes.recv().await;
    }
}

fn broken(source: io::Error) -> Error {
    Error::Body { action: EXEC, source: source.into() }
}

/// Bytes moved at once.
const CHUNK: usize = 32 * 1024;
