//! A keeper of a test's own, a small root file system, and the check that everything is gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use shoal_runtime::client::{Events, Keeper, KeeperOptions};
use shoal_runtime::spec::{ContainerId, ContainerSpec, Layers, LogSpec, ProcessSpec, RootFs};
use shoal_runtime::state::{ContainerStatus, Event, ExitStatus};

/// A keeper and what belongs to it.
pub(crate) struct House {
    pub(crate) keeper: Keeper,
    pub(crate) events: Events,
    pub(crate) options: KeeperOptions,
    directory: tempfile::TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with_program(|_| PathBuf::from(env!("CARGO_BIN_EXE_shoal-runtime")))
    }

    /// A keeper that sees nothing but a v2 tree, as on a host without v1. Limits need controllers that the tree has not
    /// got where the host's are v1; everything else can be tried.
    pub(crate) fn on_v2() -> Self {
        Self::with_program(|directory| {
            let script = directory.join("on-v2");
            let line = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec \"$0\" \"$@\"";
            let text =
                format!("#!/bin/sh\nexec unshare -m sh -c '{line}' {} \"$@\"\n", env!("CARGO_BIN_EXE_shoal-runtime"));
            fs::write(&script, text).unwrap();
            fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            script
        })
    }

    fn with_program(program: impl Fn(&Path) -> PathBuf) -> Self {
        let directory = tempfile::Builder::new().prefix("keeper-").tempdir().unwrap();
        let mut options = KeeperOptions::in_directory(program(directory.path()), directory.path().join("run"));
        let name = directory.path().file_name().unwrap().to_str().unwrap().replace('.', "");
        options.cgroup_parent = format!("/shoal-test-{name}");
        let keeper = Keeper::launch(options.clone()).unwrap();
        let events = keeper.subscribe();
        Self { keeper, events, options, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A container of the test root file system that runs a shell script.
    pub(crate) fn shell(&self, id: &str, script: &str) -> ContainerSpec {
        self.container(id, &["/bin/sh", "-c", script])
    }

    /// A container of the test root file system: an overlay with a layer of its own, and a log.
    pub(crate) fn container(&self, id: &str, args: &[&str]) -> ContainerSpec {
        let base = self.path(id);
        for part in ["upper", "work", "merged"] {
            fs::create_dir_all(base.join(part)).unwrap();
        }
        // A container of the same name before this one may have left its own.
        let _fresh = fs::remove_file(base.join("log"));
        let rootfs = RootFs {
            layers: Layers::Overlay {
                lower: vec![root_file_system().to_owned()],
                upper: base.join("upper"),
                work: base.join("work"),
            },
            mountpoint: base.join("merged"),
            read_only: false,
        };
        let mut process = ProcessSpec::new(args.iter().map(|arg| (*arg).to_owned()).collect());
        process.env = vec!["PATH=/bin".to_owned()];
        let mut spec = ContainerSpec::new(ContainerId::new(id).unwrap(), rootfs, process);
        spec.log =
            Some(LogSpec { path: base.join("log"), max_size: None, max_files: 1, attributes: Default::default() });
        spec
    }

    /// Runs a container to its end, and gives how it ended.
    pub(crate) fn finish(&self, spec: &ContainerSpec) -> ExitStatus {
        self.keeper.run(spec).unwrap_or_else(|error| panic!("run {}: {error}", spec.id));
        self.wait(&spec.id)
    }

    /// Waits for a container to end.
    pub(crate) fn wait(&self, id: &ContainerId) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Subscribed before the list is read: what ends in between comes as an event.
            if let Some(status) = self.ended(id) {
                return status;
            }
            match self.events.next_timeout(deadline.saturating_duration_since(Instant::now())).unwrap() {
                // It may tell of an earlier container of that name: the list says what this one does.
                Some(_) => {}
                None => panic!("{id} did not end within {PATIENCE:?}; its log: {:?}", self.said(id)),
            }
        }
    }

    fn ended(&self, id: &ContainerId) -> Option<ExitStatus> {
        let state = self.keeper.list().unwrap().into_iter().find(|state| state.id == *id)?;
        match state.status {
            ContainerStatus::Exited(status) => Some(status),
            _ => None,
        }
    }

    /// Waits for an event that the test wants.
    pub(crate) fn expect<T>(&self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.next_timeout(deadline.saturating_duration_since(Instant::now())).unwrap() {
                Some(event) => {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                None => panic!("no {what} within {PATIENCE:?}"),
            }
        }
    }

    /// What a container's log holds: all text, both streams.
    pub(crate) fn said(&self, id: &ContainerId) -> String {
        let text = fs::read_to_string(self.path(id.as_str()).join("log")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["log"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Runs a script to its end, and gives what it said.
    pub(crate) fn output(&self, spec: &ContainerSpec) -> (i32, String) {
        let status = self.finish(spec);
        let said = self.said(&spec.id);
        self.keeper.delete(&spec.id).unwrap();
        (status.code(), said)
    }

    /// Waits until a container's log holds a text.
    pub(crate) fn wait_said(&self, id: &ContainerId, text: &str) {
        let attachment = self.keeper.attach(id, false);
        if self.said(id).contains(text) {
            return;
        }
        let mut reader = fs::File::from(attachment.unwrap().stdout);
        let mut buffer = [0; 4096];
        while !self.said(id).contains(text) {
            let count = std::io::Read::read(&mut reader, &mut buffer).unwrap();
            assert!(
                count > 0 || self.said(id).contains(text),
                "{id} ended without saying {text:?}: {:?}",
                self.said(id)
            );
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let quiet = std::thread::panicking();
        for state in self.keeper.list().unwrap_or_default() {
            let deleted = self.keeper.delete(&state.id);
            assert!(quiet || deleted.is_ok(), "delete {}: {deleted:?}", state.id);
        }
        let ended = self.keeper.shutdown();
        assert!(quiet || ended.is_ok(), "shutdown: {ended:?}");
        if quiet {
            let log = self.path("run/keeper.log");
            eprintln!("keeper.log: {}", fs::read_to_string(log).unwrap_or_default());
            return;
        }
        self.check_nothing_left();
    }
}

impl House {
    fn check_nothing_left(&self) {
        // The keeper has answered, and ends now: its lock is free when it has.
        let lock = fs::File::open(self.path("run/lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let run = fs::read_dir(self.path("run")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> =
            run.filter(|name| !["lock", "keeper.log", "keeper.sock"].contains(&name.to_str().unwrap())).collect();
        left.sort();
        assert!(left.is_empty(), "state files left: {left:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.directory.path().to_str().unwrap();
        assert!(!mounts.contains(own), "mounts left on the host:\n{mounts}");
        let cgroups = cgroups_of(self.options.cgroup_parent.trim_start_matches('/'));
        assert!(cgroups.is_empty(), "cgroups left: {cgroups:?}");
    }
}

/// The cgroup directories of this name that exist.
pub(crate) fn cgroups_of(name: &str) -> Vec<PathBuf> {
    let trees = fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path());
    trees.chain([PathBuf::from("/sys/fs/cgroup")]).map(|tree| tree.join(name)).filter(|path| path.exists()).collect()
}

/// A directory with a shell, its libraries and the test's own program, made once for all tests of this process.
pub(crate) fn root_file_system() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rootfs");
        let ready = root.with_extension("ready");
        let lock = fs::File::create(root.with_extension("lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        if !ready.exists() {
            build_root(&root);
            fs::write(&ready, "").unwrap();
        }
        root
    })
}

fn build_root(root: &Path) {
    for directory in ["bin", "etc", "tmp", "root", "proc", "dev", "sys"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv/web:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nwww:x:34:\nlog:x:4:web\n").unwrap();
    for program in
        ["sh", "cat", "sleep", "id", "ls", "stat", "head", "env", "hostname", "touch", "mknod", "dd", "readlink"]
    {
        let path = ["/bin", "/usr/bin"].map(|bin| Path::new(bin).join(program)).into_iter().find(|path| path.exists());
        let path = path.unwrap_or_else(|| panic!("this host has no {program}"));
        fs::copy(&path, root.join("bin").join(program)).unwrap();
        copy_libraries(root, &path);
    }
    let source = root.join("tmp/eat.c");
    fs::write(&source, EAT).unwrap();
    let built = Command::new("cc").arg("-O0").arg("-static").arg("-o").arg(root.join("bin/eat")).arg(&source).status();
    assert!(built.unwrap().success(), "cc -static failed");
    fs::remove_file(source).unwrap();
}

/// What `ldd` names, at the same paths.
fn copy_libraries(root: &Path, program: &Path) {
    let output = Command::new("ldd").arg(program).output().unwrap();
    for word in String::from_utf8_lossy(&output.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
        let target = root.join(word.trim_start_matches('/'));
        if !target.exists() {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(word, target).unwrap();
        }
    }
}

/// Takes as many MiB as it is told, says so, and waits.
const EAT: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    long mib = argc > 1 ? atol(argv[1]) : 0;
    for (long i = 0; i < mib; i++) {
        char *page = malloc(1 << 20);
        if (!page) return 3;
        memset(page, 1, 1 << 20);
    }
    puts("eaten");
    fflush(stdout);
    if (argc > 2) pause();
    return 0;
}
"#;

/// Longer than anything takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
