//! Second copies of the few descriptors that would end with the keeper: a container with a terminal would be hung up, one
//! that reads its stdin would see the end. They are given to the keeper's successor.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use crate::spec::ContainerId;
use crate::state::Event;
use crate::wire::{Held, Hold};

/// What is held, by container. The lock is never held while waiting.
#[derive(Debug, Default)]
pub(super) struct Holds {
    held: Mutex<HashMap<(ContainerId, Held), OwnedFd>>,
}

impl Holds {
    pub(super) fn take(&self, hold: Hold, descriptor: OwnedFd) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert((hold.id, hold.what), descriptor);
    }

    /// A container that ended needs nothing held; one whose stdin was closed should see its end.
    pub(super) fn hear(&self, event: &Event) {
        if let Event::Exited { id, .. } = event {
            self.release(id, Held::Terminal);
            self.release(id, Held::Stdin);
        }
    }

    pub(super) fn release(&self, id: &ContainerId, what: Held) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&(id.clone(), what));
    }

    /// Copies of the terminals, for a successor.
    pub(super) fn terminals(&self) -> Vec<(ContainerId, OwnedFd)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter()
            .filter(|((_, what), _)| *what == Held::Terminal)
            .filter_map(|((id, _), descriptor)| Some((id.clone(), descriptor.try_clone().ok()?)))
            .collect()
    }
}
