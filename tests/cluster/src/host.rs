//! One test host: a folder, a namespace and a `shoald` in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::Lan;
use crate::run::{Finished, run, wait_for};

/// Which client speaks to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The stock docker command.
    Docker,
    /// Our own.
    Shoal,
}

/// Which daemon a host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Ours.
    Shoal,
    /// Debian's dockerd, the peer of the measurements.
    Docker,
}

/// A host with its daemon.
#[derive(Debug)]
pub struct Host {
    lan: Rc<Lan>,
    /// From 1.
    pub number: usize,
    folder: PathBuf,
    daemon: Option<Child>,
    engine: Engine,
    flags: Vec<String>,
}

/// Longest that one command of a client may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(90);

impl Host {
    /// Starts a daemon on host `number` of `lan`, with its roots below `folder`.
    ///
    /// # Panics
    /// When it does not answer in time.
    #[must_use]
    pub fn start(lan: &Rc<Lan>, number: usize, folder: &Path, flags: &[&str]) -> Self {
        Self::start_engine(Engine::Shoal, lan, number, folder, flags)
    }

    /// Starts a daemon of either kind.
    ///
    /// # Panics
    /// When it does not answer in time.
    #[must_use]
    pub fn start_engine(engine: Engine, lan: &Rc<Lan>, number: usize, folder: &Path, flags: &[&str]) -> Self {
        let folder = folder.join(number.to_string());
        std::fs::create_dir_all(&folder).expect("the host's folder can be made");
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut host = Self { lan: Rc::clone(lan), number, folder, daemon: None, engine, flags };
        host.up();
        host
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Panics
    /// When it does not answer in time; its log is printed.
    pub fn up(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("the log can be opened");
        let mut command = self.lan.command(self.number, "unshare");
        command
            .args(["--uts", "sh", "-c", "echo \"$0\" > /proc/sys/kernel/hostname && exec \"$@\""])
            .arg(format!("host{}", self.number))
            .arg(match self.engine {
                Engine::Shoal => binary("shoald"),
                Engine::Docker => PathBuf::from("/usr/sbin/dockerd"),
            })
            .arg(format!("--data-root={}", self.folder.join("data").display()))
            .arg(format!("--exec-root={}", self.folder.join("exec").display()))
            .arg(format!("--pidfile={}", self.folder.join("daemon.pid").display()))
            .arg(format!("--host=unix://{}", self.socket().display()))
            .arg(format!("--config-file={}", self.config_file().display()))
            .args((self.engine == Engine::Shoal).then(|| format!("--cgroup-parent=/{}", self.cgroup())))
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log);
        self.daemon = Some(command.spawn().expect("shoald can be started"));
        wait_for(&format!("host {} answers", self.number), Duration::from_secs(40), || {
            self.assert_alive();
            let answer = self.docker(&["version", "--format", "{{.Server.Version}}"]);
            if answer.code == 0 { Ok(()) } else { Err(answer.err) }
        });
    }

    /// None of the machine's own: nothing for ours, which takes an empty file, and no setting for dockerd, which does not.
    fn config_file(&self) -> PathBuf {
        if self.engine == Engine::Shoal {
            return PathBuf::from("/dev/null");
        }
        let path = self.folder.join("daemon.json");
        std::fs::write(&path, "{}").expect("the configuration can be written");
        path
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// When the daemon was not running.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        daemon.kill().expect("the daemon can be killed");
        daemon.wait().expect("the daemon can be waited for");
    }

    /// SIGTERM, and its exit status.
    ///
    /// # Panics
    /// When it does not end within 20 s.
    pub fn stop(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id()).expect("pids are small"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("the daemon can be told");
        wait_for("shoald ends at SIGTERM", Duration::from_secs(20), || {
            daemon.try_wait().ok().flatten().map(|status| status.code()).ok_or_else(|| "it runs".to_owned())
        })
    }

    /// Pulls the host's cable.
    pub fn cut(&self) {
        self.lan.cut(self.number);
    }

    /// Puts it back.
    pub fn heal(&self) {
        self.lan.heal(self.number);
    }

    /// Below this cgroup are all that the daemon makes.
    fn cgroup(&self) -> String {
        let namespace = self.lan.namespace(self.number);
        namespace.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The host's address.
    #[must_use]
    pub fn address(&self) -> String {
        self.lan.address(self.number)
    }

    /// The daemon's process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// Where the API is served.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("daemon.sock")
    }

    /// The data-root.
    #[must_use]
    pub fn data_root(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The exec-root.
    #[must_use]
    pub fn exec_root(&self) -> PathBuf {
        self.folder.join("exec")
    }

    /// What the daemon logged.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("daemon.log")
    }

    /// Runs the stock docker client against this host's daemon.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Finished {
        self.client(Client::Docker, arguments)
    }

    /// Runs `shoal` against this host's daemon.
    #[track_caller]
    pub fn shoal(&self, arguments: &[&str]) -> Finished {
        self.client(Client::Shoal, arguments)
    }

    /// Runs a client against this host's daemon.
    #[track_caller]
    pub fn client(&self, client: Client, arguments: &[&str]) -> Finished {
        run(self.client_command(client).args(arguments), COMMAND_LIMIT)
    }

    /// A client that will speak to this host's daemon.
    #[must_use]
    pub fn client_command(&self, client: Client) -> Command {
        let mut command = match client {
            Client::Docker => Command::new("docker"),
            Client::Shoal => Command::new(binary("shoal")),
        };
        let url = format!("unix://{}", self.socket().display());
        command.env("DOCKER_HOST", &url).env("SHOAL_HOST", &url).env("DOCKER_CONFIG", self.folder.join("client"));
        command
    }

    /// A program in the host's namespace.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.lan.command(self.number, program)
    }

    /// The body of `GET http://ADDRESS:PORT/`, asked from this host.
    ///
    /// # Errors
    /// What went wrong, as text.
    pub fn get(&self, address: &str, port: u16) -> Result<String, String> {
        let url = format!("http://{address}:{port}/");
        let answer =
            run(self.command("curl").args(["-sS", "--noproxy", "*", "--max-time", "2", &url]), Duration::from_secs(5));
        if answer.code == 0 { Ok(answer.out) } else { Err(answer.err) }
    }

    fn assert_alive(&self) {
        let Some(pid) = self.pid() else { return };
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let ended = state.is_empty() || state.contains(") Z ");
        assert!(!ended, "shoald of host {} ended:\n{log}", self.number);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(60)..].join("\n");
            eprintln!("--- the last lines of host {}:\n{last}", self.number);
        }
        self.leave_nothing();
    }
}

impl Host {
    /// Ends the daemon, its keeper and its containers, and unmounts what they left.
    fn leave_nothing(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        let folder = self.folder.display().to_string();
        crate::sweep::end_processes_of(&folder);
        crate::sweep::remove_cgroups(&self.cgroup());
        crate::sweep::unmount_below(&folder);
    }
}

/// A binary of the workspace, built beside this test.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the test has a path");
    let folder = own.ancestors().find(|folder| folder.join(name).is_file());
    folder.unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first")).join(name)
}
