//! Programs run to their end, and conditions waited for.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a program ended, and what it said.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit status; 128 + signal when it was killed.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The command, for messages.
    pub command: String,
}

impl Finished {
    /// Standard output, trimmed.
    ///
    /// # Panics
    /// When the program failed.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{} failed\n{}\n{}", self.command, self.out, self.err);
        self.out.trim()
    }

    /// Both outputs of a program that was meant to fail.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    #[track_caller]
    pub fn refused(&self) -> String {
        assert_ne!(self.code, 0, "{} was meant to fail\n{}", self.command, self.out);
        format!("{}{}", self.out, self.err)
    }
}

/// Runs a program to its end, at most `limit`; it is killed after that and the test fails.
///
/// # Panics
/// When it can't be started or does not end.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    let text = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{text} can't be started: {error}"));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = std::thread::spawn(move || read_all(out));
    let err = std::thread::spawn(move || read_all(err));
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() > limit => {
                drop(child.kill());
                drop(child.wait());
                let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
                panic!("{text} did not end within {limit:?}\n{out}\n{err}");
            }
            Ok(None) => std::thread::park_timeout(Duration::from_millis(3)),
            Err(error) => panic!("{text} can't be waited for: {error}"),
        }
    };
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
    Finished {
        code: status.code().unwrap_or(128 + signal),
        out: out.join().unwrap_or_default(),
        err: err.join().unwrap_or_default(),
        command: text,
    }
}

/// Runs a program that must succeed.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn must(program: &str, arguments: &[&str]) -> String {
    run(Command::new(program).args(arguments), Duration::from_secs(30)).ok().to_owned()
}

/// Looks again and again until `condition` gives something, for at most `limit`.
///
/// # Panics
/// When it gave nothing in time, with what it said last.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match condition() {
            Ok(found) => return found,
            Err(last) if started.elapsed() > limit => panic!("{what}: not within {limit:?}; last: {last}"),
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        drop(pipe.read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
