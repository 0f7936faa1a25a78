//! One container, and execs in it, which are processes of this host.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use shoal_api::types::{
    ContainerInspect, ContainerState, ContainerSummary, ExecCreateRequest, ExecInspect, ExecStartRequest, PortSummary,
    StringMap,
};
use shoal_api::{
    ApiError, ByteReader, ByteWriter, ContainerBackend, ContainerListQuery, ExecOutput, ExecStarted, ExecStreams,
    LogFeed, LogRecord, LogsQuery, OutputStream, TerminalSize,
};
use tokio::process::{Child, Command};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;

use super::{CONTAINER_ID, Fake, no_such, time};

pub(crate) struct Exec {
    pub(crate) inspect: ExecInspect,
    request: ExecCreateRequest,
    terminal: Option<Arc<OwnedFd>>,
    size: TerminalSize,
}

fn container(id: &str) -> Result<(), ApiError> {
    if ["web.1", "c0ffee", CONTAINER_ID].contains(&id) {
        Ok(())
    } else {
        Err(ApiError::not_found(format!("No such container: {id}")))
    }
}

#[async_trait]
impl ContainerBackend for Fake {
    async fn list_containers(&self, query: ContainerListQuery) -> Result<Vec<ContainerSummary>, ApiError> {
        let ContainerListQuery { all, limit, size, filters } = query;
        self.note(format!("list_containers(all: {all}, limit: {limit:?}, size: {size}, {})", filters.to_json()));
        Ok(vec![ContainerSummary {
            id: CONTAINER_ID.into(),
            names: vec!["/web.1".into()],
            image: "web:1".into(),
            command: "serve".into(),
            created: 3,
            ports: vec![PortSummary { private_port: 80, kind: "tcp".into(), ..PortSummary::default() }],
            state: "running".into(),
            status: "Up 5 minutes".into(),
            ..ContainerSummary::default()
        }])
    }

    async fn inspect_container(&self, id: &str, size: bool) -> Result<ContainerInspect, ApiError> {
        self.note(format!("inspect_container({id}, {size})"));
        container(id)?;
        Ok(ContainerInspect {
            id: CONTAINER_ID.into(),
            name: "/web.1".into(),
            created: time(3),
            state: ContainerState { status: "running".into(), running: true, pid: 7, ..ContainerState::default() },
            ..ContainerInspect::default()
        })
    }

    async fn container_logs(&self, id: &str, query: LogsQuery) -> Result<LogFeed, ApiError> {
        self.note(format!("container_logs({id}, {query:?})"));
        container(id)?;
        let record = |stream, line: &'static str| {
            Ok(LogRecord { stream, time: time(5), details: StringMap::new(), line: line.into() })
        };
        let past = [record(OutputStream::Stdout, "to stdout\n"), record(OutputStream::Stderr, "to stderr\n")];
        let past = futures_util::stream::iter(past);
        if !query.follow {
            return Ok(LogFeed { tty: false, records: past.boxed() });
        }
        let live = futures_util::stream::unfold(self.log_lines.subscribe(), |mut receiver| async move {
            match receiver.recv().await {
                Ok(record) => Some((Ok(record), receiver)),
                Err(RecvError::Closed) => None,
                Err(lagged) => Some((Err(ApiError::system(lagged.to_string())), receiver)),
            }
        });
        Ok(LogFeed { tty: false, records: past.chain(live).boxed() })
    }

    async fn create_exec(&self, id: &str, request: ExecCreateRequest) -> Result<String, ApiError> {
        let mut state = self.noted(format!("create_exec({id}, {:?}, tty: {})", request.cmd, request.tty));
        container(id)?;
        let id = format!("exec{:0>60}", state.number());
        let inspect = ExecInspect { id: id.clone(), container_id: CONTAINER_ID.into(), ..ExecInspect::default() };
        state.execs.insert(id.clone(), Exec { inspect, request, terminal: None, size: TerminalSize::default() });
        Ok(id)
    }

    async fn start_exec(&self, id: &str, start: ExecStartRequest) -> Result<ExecStarted, ApiError> {
        let mut state = self.noted(format!("start_exec({start:?})"));
        let exec =
            state.execs.get_mut(id).ok_or_else(|| ApiError::not_found(format!("No such exec instance: {id}")))?;
        if exec.inspect.exit_code.is_some() || exec.inspect.running {
            return Err(ApiError::conflict(format!("exec {id} has already run")));
        }
        let mut command = Command::new(&exec.request.cmd[0]);
        command.args(&exec.request.cmd[1..]);
        let started = if start.tty { on_terminal(command, exec) } else { on_pipes(command, exec) };
        let (child, streams) = match started {
            Ok(started) => started,
            Err(error) => {
                exec.inspect.exit_code = Some(127);
                return Ok(ExecStarted::Failed(format!("exec: {:?}: {error}", exec.request.cmd[0])));
            }
        };
        exec.inspect.running = true;
        let (done, finished) = oneshot::channel();
        tokio::spawn(reap(child, id.to_owned(), self.weak(), done));
        if start.detach {
            return Ok(ExecStarted::Detached);
        }
        let finished = Box::pin(async move { drop(finished.await) });
        Ok(ExecStarted::Attached(ExecStreams { stdin: streams.0, output: streams.1, finished }))
    }

    async fn resize_exec(&self, id: &str, size: TerminalSize) -> Result<(), ApiError> {
        let mut state = self.noted(format!("resize_exec({size:?})"));
        let exec = state.execs.get_mut(id).ok_or_else(|| no_such("exec", id))?;
        exec.size = size;
        exec.apply_size();
        Ok(())
    }

    async fn inspect_exec(&self, id: &str) -> Result<ExecInspect, ApiError> {
        let state = self.noted("inspect_exec()".into());
        state.execs.get(id).map(|exec| exec.inspect.clone()).ok_or_else(|| no_such("exec", id))
    }
}

type Streams = (Option<ByteWriter>, ExecOutput);

fn on_pipes(mut command: Command, exec: &mut Exec) -> std::io::Result<(Child, Streams)> {
    let piped = |wanted| if wanted { Stdio::piped() } else { Stdio::null() };
    command.stdin(piped(exec.request.attach_stdin));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take().map(|pipe| Box::pin(pipe) as ByteWriter);
    let stdout = child.stdout.take().map(|pipe| Box::pin(pipe) as ByteReader);
    let stderr = child.stderr.take().map(|pipe| Box::pin(pipe) as ByteReader);
    Ok((child, (stdin, ExecOutput::Pipes { stdout, stderr })))
}

fn on_terminal(mut command: Command, exec: &mut Exec) -> std::io::Result<(Child, Streams)> {
    let pty = nix::pty::openpty(None, None)?;
    let end = || pty.slave.try_clone().map(Stdio::from);
    let child = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
    drop(command);
    let reader = tokio::fs::File::from_std(File::from(pty.master.try_clone()?));
    let writer = tokio::fs::File::from_std(File::from(pty.master.try_clone()?));
    exec.terminal = Some(Arc::new(pty.master));
    exec.apply_size();
    Ok((child, (Some(Box::pin(writer)), ExecOutput::Terminal(Box::pin(reader)))))
}

impl Exec {
    fn apply_size(&self) {
        let TerminalSize { rows, columns } = self.size;
        if let Some(terminal) = &self.terminal {
            let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(terminal, size).unwrap();
        }
    }
}

async fn reap(mut child: Child, id: String, fake: Weak<Fake>, done: oneshot::Sender<()>) {
    let status = child.wait().await.unwrap();
    if let Some(fake) = fake.upgrade() {
        let mut state = fake.lock();
        let exec = &mut state.execs.get_mut(&id).unwrap().inspect;
        exec.running = false;
        exec.exit_code = Some(i64::from(status.code().unwrap_or(137)));
    }
    drop(done);
}
