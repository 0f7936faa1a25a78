//! Kills for memory, as they happen. The kernel says that something happened in some cgroup; who it was is read from
//! the counters.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;

use crate::cgroup::{self, Hierarchy, Location};
use crate::keeper::host::Host;
use crate::keeper::poll::{Poller, Source};
use crate::keeper::run::Keeper;
use crate::keeper::timers::Due;
use crate::state::Event;

/// One descriptor for all containers: an eventfd that v1's memory cgroups signal, or an inotify on v2's event files.
#[derive(Debug)]
pub(super) enum OomWatch {
    V1(OwnedFd),
    V2(OwnedFd),
}

impl OomWatch {
    pub(super) fn new(poller: &mut Poller, host: &Host) -> io::Result<Self> {
        let watch = match host.facts.cgroups {
            Hierarchy::V1(_) => Self::V1(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            Hierarchy::V2 { .. } => {
                Self::V2(inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?)
            }
        };
        let (Self::V1(descriptor) | Self::V2(descriptor)) = &watch;
        poller.watch(descriptor, Source::Oom)?;
        Ok(watch)
    }

    /// Watches one cgroup; the watch ends with it.
    pub(super) fn watch(&self, location: &Location) -> io::Result<()> {
        let Some(directory) = location.directory("memory") else { return Ok(()) };
        match self {
            Self::V1(eventfd) => {
                let control = File::open(directory.join("memory.oom_control"))?;
                let line = format!("{} {}", eventfd.as_raw_fd(), control.as_fd().as_raw_fd());
                std::fs::write(directory.join("cgroup.event_control"), line)
            }
            Self::V2(inotify) => {
                inotify::add_watch(inotify, directory.join("memory.events"), inotify::WatchFlags::MODIFY)?;
                Ok(())
            }
        }
    }

    fn take(&self) {
        let (Self::V1(descriptor) | Self::V2(descriptor)) = self;
        let mut buffer = [MaybeUninit::uninit(); TAKE_BYTES];
        // What it says is that it said something; and it may have been taken already.
        while matches!(rustix::io::read(descriptor, &mut buffer), Ok((taken, _)) if taken.len() == TAKE_BYTES) {}
    }
}

impl Keeper {
    /// Somebody ran out of memory, or a watched cgroup went.
    pub(super) fn oom_ready(&mut self) {
        self.oom.take();
        self.oom_scan();
        // v1 tells when the limit is hit, before anybody is killed and counted.
        self.timers.add(COUNT_PAUSE, Due::OomScan);
    }

    /// Looks at the counters of all that have a limit.
    pub(super) fn oom_scan(&mut self) {
        let mut hit = Vec::new();
        for container in self.containers.values_mut() {
            if container.record.memory_limited && container.is_running() {
                let kills = cgroup::oom_kills(&self.host.locate(&container.record.cgroup));
                if kills > container.oom_kills {
                    container.oom_kills = kills;
                    hit.push(container.record.id.clone());
                }
            }
        }
        for id in hit {
            self.tell(&Event::OomKilled { id });
        }
    }
}

const COUNT_PAUSE: Duration = Duration::from_millis(20);
const TAKE_BYTES: usize = 4096;
