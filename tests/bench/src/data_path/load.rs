//! The load program: built, run where it is wanted, and what it said.
//!
//! Leaves what to run to the measurements. Invariant: a program that was started ends with its owner.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use shoal_cluster_tests::{run, wait_for};

use super::interrupt;
use super::limits::CLIENT_SLACK;

/// The path of the program in its image.
pub(super) const IN_IMAGE: &str = "/program";

/// Builds the program into `folder` and gives its path.
pub(super) fn build(folder: &Path) -> PathBuf {
    let program = folder.join("load");
    let sources = ["main.c", "sum.c", "serve.c", "stream.c", "connections.c", "requests.c", "resolve.c"];
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("load");
    let mut command = Command::new("cc");
    command.args(["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
    command.args(sources.map(|name| own.join(name)));
    run(&mut command, Duration::from_secs(60)).ok();
    program
}

/// What a client printed: lines of `name value`, and lines of other shapes.
#[derive(Debug, Default)]
pub(super) struct Said {
    values: BTreeMap<String, f64>,
    /// One a failure, without the first word.
    pub(super) failures: Vec<String>,
    text: String,
}

impl Said {
    fn parse(text: &str) -> Self {
        let mut said = Self { text: text.to_owned(), ..Self::default() };
        for line in text.lines() {
            let Some((name, value)) = line.split_once(' ') else { continue };
            if name == "fail" {
                said.failures.push(value.to_owned());
            } else if let Ok(value) = value.parse() {
                said.values.insert(name.to_owned(), value);
            }
        }
        said
    }

    /// A value that is always there.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub(super) fn value(&self, name: &str) -> f64 {
        let value = self.values.get(name).copied();
        value.unwrap_or_else(|| panic!("the client said no {name}:\n{}", self.text))
    }

    /// By what follows `prefix` in their names.
    pub(super) fn values_of<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.values.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, *value)))
    }

    /// All that failed, of whatever kind.
    pub(super) fn failed(&self) -> f64 {
        FAILURES.iter().map(|name| self.value(name)).sum()
    }

    /// Per second of the run.
    #[track_caller]
    pub(super) fn rate(&self, name: &str) -> f64 {
        self.value(name) / (self.value("us") / 1e6)
    }

    /// All of it, for messages.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The kinds of failures that clients count.
pub(super) const FAILURES: [&str; 6] = ["refused", "reset", "closed", "timeout", "unreachable", "wrong"];

/// Runs a client to its end, which comes after about `seconds`.
///
/// # Panics
/// When it fails, or the end was told.
#[track_caller]
pub(super) fn run_client(command: &mut Command, seconds: u32) -> Said {
    interrupt::check();
    let limit = Duration::from_secs(seconds.into()) + CLIENT_SLACK;
    let said = Said::parse(run(command, limit).ok());
    interrupt::check();
    said
}

/// A program that runs until its owner ends it.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    output: PathBuf,
}

impl Running {
    /// Starts it; its output goes to the file `output`.
    pub(super) fn start(command: &mut Command, output: PathBuf) -> Self {
        #[expect(clippy::expect_used, reason = "a measurement that can't go on has failed")]
        let file = File::create(&output).expect("the output's file can be made");
        let child = command.stdin(Stdio::piped()).stdout(file).stderr(Stdio::inherit()).spawn();
        #[expect(clippy::expect_used, reason = "a measurement that can't go on has failed")]
        Self { child: child.expect("the program can be started"), output }
    }

    /// Ends a client by the end of its input, and gives what it said.
    ///
    /// # Panics
    /// When it does not end, or fails.
    #[track_caller]
    pub(super) fn finish(mut self) -> Said {
        drop(self.child.stdin.take());
        let status = wait_for("the client ends", CLIENT_SLACK, || {
            self.child.try_wait().ok().flatten().ok_or_else(|| "it runs".to_owned())
        });
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        assert!(status.success(), "the client failed: {status}\n{text}");
        Said::parse(&text)
    }

    /// Goes on, unless it ended.
    ///
    /// # Panics
    /// When it did.
    #[track_caller]
    pub(super) fn assert_runs(&mut self) {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        assert!(matches!(self.child.try_wait(), Ok(None)), "a program ended before its time:\n{text}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
