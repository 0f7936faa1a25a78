//! From a request to the method that does it.

use std::os::fd::OwnedFd;

use crate::cgroup;
use crate::failure::Failure;
use crate::keeper::clients::ReplyTo;
use crate::keeper::container::Phase;
use crate::keeper::run::Keeper;
use crate::spec::ContainerId;
use crate::state::{ContainerState, Stats};
use crate::wire::{Answer, Request, Welcome};

impl Keeper {
    /// Does what a client asks.
    pub(super) fn request(&mut self, reply: ReplyTo, request: Request, descriptors: Vec<OwnedFd>) {
        match request {
            Request::Hello => {
                let welcome = Welcome { pid: std::process::id(), version: env!("CARGO_PKG_VERSION").to_owned() };
                self.answer(reply, &Answer::Welcome(welcome), Vec::new());
                self.hold_all(reply);
            }
            Request::Create { spec, start } => self.create(reply, &spec, start),
            Request::Start { id } => self.start(reply, &id),
            Request::Signal { id, signal } => {
                let outcome = self.signal(&id, signal);
                self.settle(reply, outcome);
            }
            Request::Stop { id, signal, grace_ms } => {
                let outcome = self.stop(&id, signal, grace_ms);
                self.settle(reply, outcome);
            }
            Request::Delete { id } => self.delete(reply, &id),
            Request::List => {
                let containers = self.list();
                self.answer(reply, &Answer::List { containers }, Vec::new());
            }
            Request::Exec { id, spec } => self.exec(reply, &id, &spec),
            Request::ExecResize { exec, rows, columns } => {
                let outcome = self.exec_resize(&exec, rows, columns);
                self.settle(reply, outcome);
            }
            Request::ExecSignal { exec, signal } => {
                let outcome = self.exec_signal(&exec, signal);
                self.settle(reply, outcome);
            }
            Request::Attach { id, stdin } => self.attach(reply, &id, stdin),
            Request::CloseStdin { id } => {
                let outcome = self.close_stdin(&id);
                self.settle(reply, outcome);
            }
            Request::Resize { id, rows, columns } => {
                let outcome = self.resize(&id, rows, columns);
                self.settle(reply, outcome);
            }
            Request::Stats { id } => match self.stats(&id) {
                Ok(stats) => self.answer(reply, &Answer::Stats(Box::new(stats)), Vec::new()),
                Err(failure) => self.refuse(reply, failure),
            },
            Request::Restore { id } => {
                let outcome = self.restore(&id, descriptors.into_iter().next());
                self.settle(reply, outcome);
            }
            Request::Shutdown => {
                let held = self.containers.len();
                if held > 0 {
                    return self.refuse(reply, Failure::InUse { held });
                }
                self.done(reply);
                self.ending = true;
            }
        }
    }

    fn settle(&mut self, reply: ReplyTo, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => self.done(reply),
            Err(failure) => self.refuse(reply, failure),
        }
    }

    /// Those that are made or being started; one that failed on the way was never there.
    fn list(&self) -> Vec<ContainerState> {
        self.containers
            .values()
            .filter(|container| {
                !matches!(
                    container.phase,
                    Phase::Building { .. } | Phase::Forgotten { .. } | Phase::Failing { ending: None, .. }
                )
            })
            .map(|container| container.record.state())
            .collect()
    }

    fn stats(&self, id: &ContainerId) -> Result<Stats, Failure> {
        let serial = self.find(id)?;
        let container = self.containers.get(&serial).ok_or_else(|| Failure::NotFound { id: id.clone() })?;
        if container.process.is_none() {
            return Err(container.wrong_status("measured"));
        }
        Ok(cgroup::stats(&self.host.locate(&container.record.cgroup)))
    }
}
