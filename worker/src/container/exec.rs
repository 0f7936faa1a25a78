//! Commands run in a running container: made, started once, their streams handed out, their outcome remembered.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rand::Rng;
use shoal_runtime::client::{ExecHandle, KeeperError, Stdio};
use shoal_runtime::failure::Failure as Refusal;
use shoal_runtime::signal::Signal;
use shoal_runtime::spec::ExecSpec;
use shoal_runtime::state::ExecId;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::registry::Remembered;
use super::store::{Inner, key};
use super::{ContainerError, LocalContainers};
use crate::limits::EXECS_REMEMBERED;

/// A command to be run in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// The command; at least one word.
    pub args: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<String>,
    /// The container's when absent.
    pub cwd: Option<String>,
    /// `USER[:GROUP]`; the container's when absent.
    pub user: Option<String>,
    /// A terminal for it.
    pub tty: bool,
    /// Rows and columns of the terminal.
    pub size: Option<(u16, u16)>,
    /// Its standard input is wanted.
    pub stdin: bool,
    /// Its standard output is wanted.
    pub stdout: bool,
    /// Its standard error is wanted.
    pub stderr: bool,
}

/// What is known of an exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecView {
    /// 64 hexadecimal digits.
    pub id: String,
    /// In which container.
    pub container: String,
    /// What.
    pub request: ExecRequest,
    /// It runs.
    pub running: bool,
    /// Its process on the host, once it was started.
    pub pid: Option<i32>,
    /// How it ended.
    pub exit_code: Option<i32>,
}

/// A sink of bytes; dropped, the process sees the end of its input.
pub type ExecInput = Pin<Box<dyn AsyncWrite + Send>>;
/// A source of bytes.
type Output = Pin<Box<dyn AsyncRead + Send>>;

/// A process's outputs.
pub enum ExecOutput {
    /// A terminal: one stream.
    Terminal(Output),
    /// Two pipes; `None` for one that was not wanted.
    Pipes {
        /// Standard output.
        stdout: Option<Output>,
        /// Standard error.
        stderr: Option<Output>,
    },
}

/// A process's ends.
pub struct ExecStreams {
    /// `None` when it was not wanted.
    pub stdin: Option<ExecInput>,
    /// What it writes.
    pub output: ExecOutput,
    /// Ends once its exit code is known.
    pub finished: BoxFuture<'static, ()>,
}

/// The execs of this host.
#[derive(Debug)]
pub(super) struct Execs {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    execs: Remembered<Exec>,
    /// Ends that were heard of before the start was answered.
    early: Remembered<i32>,
}

#[derive(Debug)]
struct Exec {
    view: ExecView,
    kept: Option<ExecId>,
    over: watch::Sender<bool>,
}

impl Default for Execs {
    fn default() -> Self {
        let known = Known { execs: Remembered::new(EXECS_REMEMBERED), early: Remembered::new(EXECS_REMEMBERED) };
        Self { known: Mutex::new(known) }
    }
}

impl Execs {
    fn with<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Exec) -> Result<T, ContainerError>,
    ) -> Result<T, ContainerError> {
        let mut known = self.lock();
        work(known.execs.get_mut(id).ok_or_else(|| ContainerError::ExecNotFound(id.to_owned()))?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalContainers {
    /// Notes a command to be run; its id. Nothing runs yet.
    ///
    /// # Errors
    /// When the container does not run or there is no command.
    pub fn create_exec(&self, container: &str, request: ExecRequest) -> Result<String, ContainerError> {
        let view = self.inner.registry.find(container)?;
        if !view.life.is_running() {
            return Err(ContainerError::NotRunning(view.record.id.clone()));
        }
        if request.args.is_empty() {
            return Err(ContainerError::invalid("exec command", "", "give at least one word"));
        }
        let id = super::plan::hex(&rand::rng().random::<[u8; 32]>());
        let what = format!("exec_create: {}", request.args.join(" "));
        let exec = ExecView {
            id: id.clone(),
            container: view.record.id.clone(),
            request,
            running: false,
            pid: None,
            exit_code: None,
        };
        let exec = Exec { view: exec, kept: None, over: watch::channel(false).0 };
        self.inner.execs.lock().execs.insert(id.clone(), exec);
        self.inner.publish_for(&view.record, &what, exec_attributes(&id));
        Ok(id)
    }

    /// Starts it. `None` when it was to run with nobody listening.
    ///
    /// # Errors
    /// When there is none, it was started before, or its command can't be run: then its exit code is 126 or 127.
    pub async fn start_exec(&self, id: &str, detach: bool) -> Result<Option<ExecStreams>, ContainerError> {
        let (container, request, mut over) = self.inner.execs.with(id, |exec| {
            if exec.view.running || exec.view.exit_code.is_some() {
                return Err(ContainerError::ExecStarted(id.to_owned()));
            }
            exec.view.running = true;
            Ok((exec.view.container.clone(), exec.view.request.clone(), exec.over.subscribe()))
        })?;
        let exec = id.to_owned();
        let handle = self.blocking(move |inner| inner.start_exec(&exec, &container, &request, detach)).await?;
        if detach {
            return Ok(None);
        }
        let (stdin, output) =
            streams(handle.stdio).map_err(|error| ContainerError::file("use the streams of", id, error))?;
        let finished = async move {
            // A sender that is gone remembers no more than we do.
            let _over = over.wait_for(|over| *over).await;
        };
        Ok(Some(ExecStreams { stdin, output, finished: finished.boxed() }))
    }

    /// What is known of an exec, also after its end.
    ///
    /// # Errors
    /// When there is none.
    pub fn inspect_exec(&self, id: &str) -> Result<ExecView, ContainerError> {
        self.inner.execs.with(id, |exec| Ok(exec.view.clone()))
    }

    /// Kills what still runs of it; no error when it ended.
    ///
    /// # Errors
    /// When there is none, or the keeper does not answer.
    pub(super) async fn kill_exec(&self, id: &str) -> Result<(), ContainerError> {
        let kept = self.inner.execs.with(id, |exec| Ok(exec.kept.clone().filter(|_| exec.view.running)))?;
        let Some(kept) = kept else { return Ok(()) };
        self.blocking(move |inner| match inner.keeper.exec_signal(&kept, Signal::KILL) {
            Err(KeeperError::Refused(Refusal::ExecNotFound { .. })) => Ok(()),
            outcome => Ok(outcome?),
        })
        .await
    }

    /// The execs of a container that still run.
    #[must_use]
    pub fn execs_of(&self, container: &str) -> Vec<String> {
        let known = self.inner.execs.lock();
        let running = known.execs.iter().filter(|(_, exec)| exec.view.running && exec.view.container == container);
        running.map(|(id, _)| id.clone()).collect()
    }

    /// Sets the size of its terminal; before its start, the size that it begins with.
    ///
    /// # Errors
    /// When there is none, or it ended.
    pub async fn resize_exec(&self, id: &str, rows: u16, columns: u16) -> Result<(), ContainerError> {
        let kept = self.inner.execs.with(id, |exec| {
            exec.view.request.size = Some((rows, columns));
            Ok(exec.kept.clone())
        })?;
        match kept {
            Some(kept) => self.blocking(move |inner| Ok(inner.keeper.exec_resize(&kept, rows, columns)?)).await,
            None => Ok(()),
        }
    }
}

impl Inner {
    fn start_exec(
        &self,
        id: &str,
        container: &str,
        request: &ExecRequest,
        detach: bool,
    ) -> Result<ExecHandle, ContainerError> {
        let mut spec = ExecSpec::new(request.args.clone());
        spec.env.clone_from(&request.env);
        if request.tty && !request.env.iter().any(|entry| entry.starts_with("TERM=")) {
            spec.env.push("TERM=xterm".to_owned());
        }
        spec.cwd.clone_from(&request.cwd);
        spec.user.clone_from(&request.user);
        spec.terminal = request.tty;
        spec.terminal_size = request.size;
        spec.stdin = request.stdin && !detach;
        spec.stdout = request.stdout && !detach;
        spec.stderr = request.stderr && !detach;
        let handle = match self.keeper.exec(&key(container)?, &spec) {
            Ok(handle) => handle,
            Err(error) => {
                self.end_exec(id, exec_code(&error));
                return Err(error.into());
            }
        };
        self.publish(container, &format!("exec_start: {}", request.args.join(" ")), exec_attributes(id));
        let early = {
            let mut known = self.execs.lock();
            if let Some(exec) = known.execs.get_mut(id) {
                exec.kept = Some(handle.exec.clone());
                exec.view.pid = i32::try_from(handle.pid).ok();
            }
            known.early.get_mut(&handle.exec.0).map(|code| *code)
        };
        if let Some(code) = early {
            self.end_exec(id, code);
        }
        Ok(handle)
    }

    /// The keeper says that an exec ended.
    pub(super) fn note_exec_exited(&self, container: &str, kept: &ExecId, code: i32) {
        let id = {
            let mut known = self.execs.lock();
            let id = known.execs.iter().find(|(_, exec)| exec.kept.as_ref() == Some(kept)).map(|(id, _)| id.clone());
            if id.is_none() {
                known.early.insert(kept.0.clone(), code);
            }
            id
        };
        if let Some(id) = id {
            self.end_exec(&id, code);
            let mut attributes = exec_attributes(&id);
            attributes.insert("exitCode".to_owned(), code.to_string());
            self.publish(container, "exec_die", attributes);
        }
    }

    /// A container's end is the end of all that ran in it.
    pub(super) fn note_execs_over(&self, container: &str) {
        let running: Vec<String> = {
            let known = self.execs.lock();
            let running = known.execs.iter().filter(|(_, exec)| exec.view.running && exec.view.container == container);
            running.map(|(id, _)| id.clone()).collect()
        };
        for id in running {
            self.end_exec(&id, 137);
        }
    }

    fn end_exec(&self, id: &str, code: i32) {
        // One that was forgotten meanwhile has nobody who asks.
        let _forgotten = self.execs.with(id, |exec| {
            exec.view.running = false;
            exec.view.exit_code.get_or_insert(code);
            exec.over.send_replace(true);
            Ok(())
        });
    }
}

/// Docker's exit code for a command that could not be run.
fn exec_code(error: &KeeperError) -> i32 {
    match error {
        KeeperError::Refused(Refusal::Start(failure)) if failure.exit_code() != 128 => i32::from(failure.exit_code()),
        // Unlike a container, a command in one has this code whatever else went wrong.
        _ => 126,
    }
}

fn exec_attributes(id: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("execID".to_owned(), id.to_owned())])
}

fn streams(stdio: Stdio) -> io::Result<(Option<ExecInput>, ExecOutput)> {
    let reader = |fd: Option<OwnedFd>| -> io::Result<Option<Output>> {
        fd.map(|fd| Ok(Box::pin(pipe::Receiver::from_owned_fd(fd)?) as Output)).transpose()
    };
    match stdio {
        Stdio::Terminal(master) => {
            let writer = Terminal::new(master.try_clone()?)?;
            Ok((Some(Box::pin(writer)), ExecOutput::Terminal(Box::pin(Terminal::new(master)?))))
        }
        Stdio::Pipes { stdin, stdout, stderr } => {
            let stdin = stdin.map(|fd| io::Result::Ok(Box::pin(pipe::Sender::from_owned_fd(fd)?) as ExecInput));
            Ok((stdin.transpose()?, ExecOutput::Pipes { stdout: reader(stdout)?, stderr: reader(stderr)? }))
        }
    }
}

/// The master side of a terminal. Its last reader's error, once no process holds the other side, is the end.
#[derive(Debug)]
struct Terminal {
    master: AsyncFd<OwnedFd>,
}

impl Terminal {
    fn new(master: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&master, true)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of types that lend descriptors; an `OwnedFd` owns its own"
        )]
        let master = AsyncFd::new(master)?;
        Ok(Self { master })
    }
}

impl AsyncRead for Terminal {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.master.poll_read_ready(context))?;
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), buffer.initialize_unfilled())?));
            match read {
                Ok(Ok(bytes)) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.master.poll_write_ready(context))?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(outcome) => return Poll::Ready(outcome),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for ExecStreams {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ExecStreams").field("output", &self.output).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExecOutput {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if matches!(self, Self::Terminal(_)) { "Terminal" } else { "Pipes" })
    }
}
