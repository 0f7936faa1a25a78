//! Watches a service until it converged, failed, or the user has seen enough.

use std::collections::BTreeSet;

use shoal_api::types::{Node, NodeState, Task};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::progress::{Goal, Look, Progress, Verdict, unplaceable};
use super::update::fetch;
use crate::error::{EXIT_DONE, Error};
use crate::limits::{POLL_INTERVAL, TROUBLE_MAX};
use crate::output::console::note;
use crate::output::screen::{Line, Screen};
use crate::transport::{Client, Filters};

/// Watches a service that was created, changed or scaled.
pub(crate) async fn watch(client: &Client, service: &str, quiet: bool) -> Result<u8, Error> {
    watch_for(client, service, quiet, Goal::Forward).await
}

/// Watches a service on its way to a goal. Ctrl-C ends the watch, never the operation.
pub(crate) async fn watch_for(client: &Client, service: &str, quiet: bool, goal: Goal) -> Result<u8, Error> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|source| Error::Signals { source })?;
    let mut watch = Watch {
        client,
        service,
        screen: Screen::new(quiet),
        progress: Progress::new(goal),
        started: Instant::now(),
        heard: Instant::now(),
        hinted: quiet,
    };
    let outcome = watch.run(&mut interrupt).await;
    watch.screen.close();
    outcome.map(|()| EXIT_DONE)
}

struct Watch<'a> {
    client: &'a Client,
    service: &'a str,
    screen: Screen,
    progress: Progress,
    started: Instant,
    /// When the daemon last answered sensibly.
    heard: Instant,
    /// Has the user been told that a task finds no node?
    hinted: bool,
}

impl Watch<'_> {
    async fn run(&mut self, interrupt: &mut Signal) -> Result<(), Error> {
        loop {
            let look = tokio::select! {
                look = look(self.client, self.service) => look,
                _ = interrupt.recv() => return self.interrupted(),
            };
            match look {
                Ok(look) => {
                    self.heard = Instant::now();
                    if self.take(&look)? {
                        return Ok(());
                    }
                }
                Err(error) if passes(&error) && self.heard.elapsed() < TROUBLE_MAX => {}
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                _ = interrupt.recv() => return self.interrupted(),
            }
        }
    }

    /// Shows one look; true when there is nothing more to wait for.
    fn take(&mut self, look: &Look) -> Result<bool, Error> {
        let (lines, verdict) = self.progress.observe(self.started.elapsed(), look);
        self.screen.replace(&lines)?;
        let service = || self.service.to_owned();
        match verdict {
            Verdict::Wait => {
                self.hint(look);
                Ok(false)
            }
            Verdict::Converged => {
                self.last_line(lines, Line::new("verify", format!("Service {} converged", self.service)))
            }
            Verdict::JobComplete => self.last_line(lines, Line::new("job", "complete")),
            Verdict::Paused { operation, message } => Err(Error::Paused { service: service(), operation, message }),
            Verdict::RolledBack { message } => Err(Error::RolledBack { service: service(), message }),
            Verdict::Failed { reason } => Err(Error::NotConverged { service: service(), reason }),
        }
    }

    fn last_line(&mut self, mut lines: Vec<Line>, last: Line) -> Result<bool, Error> {
        lines.push(last);
        self.screen.replace(&lines).map(|()| true)
    }

    /// Says once why a task waits for a node and what would help; the watch goes on, since a node may come.
    fn hint(&mut self, look: &Look) {
        if !self.hinted
            && let Some(reason) = unplaceable(look)
        {
            self.hinted = true;
            note(&format!("hint: {reason}: change the service or add a node that fits; Ctrl-C stops watching"));
        }
    }

    fn interrupted(&self) -> Result<(), Error> {
        if self.progress.is_converged() { Ok(()) } else { Err(Error::Interrupted { service: self.service.to_owned() }) }
    }
}

/// Does an error speak of the daemon's state of the moment, not of the service?
fn passes(error: &Error) -> bool {
    match error {
        Error::Api { status, .. } => *status >= 500,
        Error::Transport { .. } | Error::Body { .. } | Error::Connect { .. } => true,
        _ => false,
    }
}

async fn look(client: &Client, name: &str) -> Result<Look, Error> {
    let service = fetch(client, name).await?;
    let one = |value: &str| [(value.to_owned(), true)].into();
    let filters = Filters::from([
        ("service".to_owned(), one(&service.id)),
        // The daemon's own word for tasks of the present spec.
        ("_up-to-date".to_owned(), one("true")),
    ]);
    let tasks: Vec<Task> = client.get("/tasks", "list the tasks").filters(&filters).fetch().await?;
    let nodes: Vec<Node> = client.get("/nodes", "list the nodes").fetch().await?;
    let up = nodes.into_iter().filter(|node| node.status.state != NodeState::Down);
    Ok(Look { service, tasks, nodes: up.map(|node| node.id).collect::<BTreeSet<_>>() })
}
