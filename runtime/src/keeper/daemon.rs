//! From a command line to a keeper that serves: a read-only copy of the program, a session and a cgroup of its own, the
//! lock, the socket.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::fs::{CWD, FlockOperation, flock};
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, Rlimit, chdir, getrlimit, setrlimit, setsid};

use crate::cgroup::{self, Step};
use crate::executor::Inherited;
use crate::keeper::host::Host;
use crate::keeper::run::Keeper;
use crate::keeper::{KeepError, KeepOptions};
use crate::sys::{self, Cloned, MountAttributes, SingleThread};

/// Runs a keeper until it is told to end (or, detached, until it serves).
///
/// # Errors
/// When it cannot begin.
pub fn keep(options: &KeepOptions) -> Result<(), KeepError> {
    let single = SingleThread::prove().map_err(KeepError::host("count the threads"))?;
    if !options.sealed {
        return Err(KeepError::Host { what: "execute a read-only copy of this program".to_owned(), source: seal() });
    }
    if !options.detach {
        return serve(single, options, &mut None);
    }
    let (reader, writer) = pipe().map_err(KeepError::host("make a pipe"))?;
    match sys::clone_process(&single, 0, None).map_err(KeepError::host("make the background process"))? {
        Cloned::Child => {
            drop(reader);
            let mut report = Some(File::from(writer));
            let outcome = serve(single, options, &mut report);
            if let (Err(error), Some(mut report)) = (&outcome, report) {
                // It never served, so the launcher still listens, unless somebody ended it.
                let _launcher_gone = writeln!(report, "{}", crate::keeper::error_chain(error));
            }
            outcome
        }
        Cloned::Parent { .. } => {
            drop(writer);
            let mut said = String::new();
            // One line, not all: the background process keeps its end open while it serves.
            BufReader::new(reader).read_line(&mut said).map_err(KeepError::host("hear of the background process"))?;
            if said == SERVING { Ok(()) } else { Err(launch_error(&said)) }
        }
    }
}

fn launch_error(said: &str) -> KeepError {
    let said = said.trim();
    let what = if said.is_empty() { "the background process ended without a word".to_owned() } else { said.to_owned() };
    KeepError::Host { what, source: io::ErrorKind::Other.into() }
}

/// Executes this program again from a detached read-only mount of itself: a container that gets hold of
/// `/proc/PID/exe` of a process on its way in cannot write through it (CVE-2019-5736).
fn seal() -> io::Error {
    let try_seal = || -> io::Result<io::Error> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount = open_tree(CWD, std::env::current_exe()?, flags)?;
        sys::set_attributes(&mount, MountAttributes { set: sys::ATTR_RDONLY, ..MountAttributes::default() })?;
        let path = std::ffi::CString::new(format!("/proc/self/fd/{}", mount.as_fd().as_raw_fd()))?;
        let mut arguments: Vec<std::ffi::CString> = Vec::new();
        for argument in std::env::args_os() {
            arguments.push(std::ffi::CString::new(argument.as_bytes())?);
        }
        arguments.push(c"--sealed".to_owned());
        let arguments: Vec<&std::ffi::CStr> = arguments.iter().map(|argument| argument.as_c_str()).collect();
        Ok(sys::execute(&path, &arguments, &[]))
    };
    try_seal().unwrap_or_else(|error| error)
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((File::from(reader), writer))
}

fn serve(single: SingleThread, options: &KeepOptions, ready: &mut Option<File>) -> Result<(), KeepError> {
    let state = &options.state_directory;
    let bad_state = |source| KeepError::StateDirectory { path: state.clone(), source };
    make_private(state).map_err(bad_state)?;
    let lock = lock(state)?;
    sys::default_signals();
    // The program's file name is a descriptor's number now, which tells nobody anything.
    rustix::thread::set_name(c"shoal-keeper").map_err(|e| KeepError::host("take a name")(e.into()))?;
    if options.detach {
        detach(state).map_err(bad_state)?;
    }
    let inherited = raise_open_files()?;
    // Fails where root lacks CAP_SYS_RESOURCE; then the keeper is as likely to be killed as anybody, and is replaced.
    let _allowed = std::fs::write("/proc/self/oom_score_adj", "-999");
    let host = Host::detect(options)?;
    enter_own_cgroup(&host)?;
    let keeper = Keeper::new(single, options, host, inherited)?;
    let listener = listen(&options.socket)?;
    let keeper = keeper.listen(listener)?;
    if let Some(mut ready) = ready.take() {
        ready.write_all(SERVING.as_bytes()).map_err(KeepError::host("tell the launcher"))?;
    }
    let outcome = keeper.run();
    drop(lock);
    outcome
}

fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o700))
}

/// Held as long as the keeper lives: one state directory, one keeper.
fn lock(state: &Path) -> Result<File, KeepError> {
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(state.join("lock"));
    let file = open.map_err(|source| KeepError::StateDirectory { path: state.to_owned(), source })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(KeepError::Running { path: state.to_owned() }),
        Err(error) => Err(KeepError::StateDirectory { path: state.to_owned(), source: error.into() }),
    }
}

/// Lets go of the launcher: a session of its own, no terminal, output to a log.
fn detach(state: &Path) -> io::Result<()> {
    setsid()?;
    chdir("/")?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(state.join("keeper.log"))?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&log)?;
    Ok(())
}

/// Each container takes some descriptors of the keeper's; containers themselves get the limits that the keeper had.
fn raise_open_files() -> Result<Inherited, KeepError> {
    let had = getrlimit(Resource::Nofile);
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    setrlimit(Resource::Nofile, Rlimit { current: had.maximum, maximum: had.maximum })
        .map_err(|error| KeepError::host("raise the limit of open files")(error.into()))?;
    Ok(Inherited { open_files: (number(had.current), number(had.maximum)) })
}

/// Leaves the launcher's cgroup, whose end (`systemctl stop`) would be the keeper's too.
fn enter_own_cgroup(host: &Host) -> Result<(), KeepError> {
    let plan = host.own_cgroup().map_err(|failure| KeepError::Host {
        what: format!("make a cgroup for the keeper: {failure}"),
        source: io::ErrorKind::InvalidInput.into(),
    })?;
    // The rules for containers' devices are not for the keeper.
    let made = plan.own.iter().filter(|step| matches!(step, Step::MakeDirectory(_) | Step::InheritCpuset(_)));
    cgroup::apply(plan.ancestors.iter().chain(made))
        .and_then(|()| cgroup::enter(&plan.location))
        .map_err(|error| KeepError::Host { what: error.what, source: error.source })
}

fn listen(socket: &Path) -> Result<UnixListener, KeepError> {
    let listen = || -> io::Result<UnixListener> {
        if let Some(directory) = socket.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Nobody can connect between the two: the umask of this moment gives nobody else the right.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let listener = UnixListener::bind(socket);
        rustix::process::umask(before);
        let listener = listener?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|source| KeepError::Listen { path: socket.to_owned(), source })
}

/// What the launcher is told.
const SERVING: &str = "serving\n";
