//! A program that goes on, read line by line: a client that follows logs or events.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::wait_for;

/// A program that goes on; it is killed when this is dropped.
#[derive(Debug)]
pub struct Follow {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    command: String,
}

impl Follow {
    /// Starts it: program, arguments and environment of this command. Lines of both outputs are read as they come.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let text = format!("{command:?}");
        // Tests that run in the background ignore Ctrl-C, and so would their children.
        let mut heeding = Command::new("env");
        heeding.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => heeding.env(key, value),
                None => heeding.env_remove(key),
            };
        }
        let command = heeding.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let (sender, lines) = channel();
        hand_on(child.stdout.take(), sender.clone());
        hand_on(child.stderr.take(), sender);
        Self { child, lines, seen: Vec::new(), command: text }
    }

    /// Waits until the lines so far, all of them, are as wished, and gives them.
    ///
    /// # Panics
    /// When they are not in time.
    #[track_caller]
    pub fn wait(&mut self, what: &str, limit: Duration, fits: impl Fn(&[String]) -> bool) -> &[String] {
        let until = Instant::now() + limit;
        while !fits(&self.seen) {
            let rest = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("{}: no {what} within {limit:?}; it said:\n{}", self.command, self.seen.join("\n")),
            }
        }
        &self.seen
    }

    /// Waits for a line that has all of these in it.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn wait_line(&mut self, parts: &[&str], limit: Duration) -> String {
        let is_it = |line: &&String| parts.iter().all(|part| line.contains(part));
        let seen = self.wait(&format!("line with {parts:?}"), limit, |lines| lines.iter().any(|line| is_it(&line)));
        seen.iter().find(is_it).cloned().unwrap_or_default()
    }

    /// A line that has this in it, when one comes in time.
    pub fn try_line(&mut self, part: &str, limit: Duration) -> Option<String> {
        let until = Instant::now() + limit;
        loop {
            if let Some(line) = self.seen.iter().find(|line| line.contains(part)) {
                return Some(line.clone());
            }
            let rest = until.saturating_duration_since(Instant::now());
            self.seen.push(self.lines.recv_timeout(rest).ok()?);
        }
    }

    /// Ctrl-C. The exit status, 128 + signal when that ended it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn interrupt(&mut self) -> i32 {
        let pid = i32::try_from(self.child.id()).expect("pids are small");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it can be told");
        self.wait_end(Duration::from_secs(10))
    }

    /// Waits until it ends by itself, and reads what it said until then.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn wait_end(&mut self, limit: Duration) -> i32 {
        let status = wait_for(&format!("{} ends", self.command), limit, || {
            self.child.try_wait().ok().flatten().ok_or_else(|| "it runs".to_owned())
        });
        self.seen.extend(self.lines.iter());
        let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
        status.code().unwrap_or(128 + signal)
    }

    /// What it said so far.
    #[must_use]
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn hand_on(pipe: Option<impl Read + Send + 'static>, lines: Sender<String>) {
    let Some(pipe) = pipe else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
