//! The containers of this host in memory: what each is, and how far it is, for everyone who waits for a change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{ContainerError, ContainerLife, ContainerRecord, ContainerView};

/// The containers of this host. The lock guards the map only; nothing waits under it.
#[derive(Debug, Default)]
pub(super) struct Registry {
    entries: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    record: Arc<ContainerRecord>,
    life: watch::Sender<ContainerLife>,
}

impl Registry {
    pub(super) fn insert(&self, record: ContainerRecord, life: ContainerLife) {
        let (life, _) = watch::channel(life);
        self.lock().insert(record.id.clone(), Entry { record: Arc::new(record), life });
    }

    /// Takes a container out; who waits for it learns that it is gone.
    pub(super) fn remove(&self, id: &str) -> Option<Arc<ContainerRecord>> {
        let entry = self.lock().remove(id)?;
        entry.life.send_replace(ContainerLife::Removed);
        Some(entry.record)
    }

    /// Changes how far a container is, when `change` says so. The record, when it did.
    pub(super) fn change(
        &self,
        id: &str,
        change: impl FnOnce(&ContainerLife) -> Option<ContainerLife>,
    ) -> Option<Arc<ContainerRecord>> {
        let entries = self.lock();
        let entry = entries.get(id)?;
        let next = change(&entry.life.borrow())?;
        entry.life.send_replace(next);
        Some(Arc::clone(&entry.record))
    }

    pub(super) fn get(&self, id: &str) -> Option<ContainerView> {
        self.lock().get(id).map(Entry::view)
    }

    pub(super) fn all(&self) -> Vec<ContainerView> {
        self.lock().values().map(Entry::view).collect()
    }

    /// By id, name, or beginning of an id.
    pub(super) fn find(&self, text: &str) -> Result<ContainerView, ContainerError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let entries = self.lock();
        if let Some(entry) = entries.get(text).or_else(|| entries.values().find(|entry| entry.record.name == text)) {
            return Ok(entry.view());
        }
        let mut begins =
            entries.range(text.to_owned()..).take_while(|(id, _)| id.starts_with(text) && !text.is_empty());
        match (begins.next(), begins.next()) {
            (Some((_, entry)), None) => Ok(entry.view()),
            (Some(_), Some(_)) => Err(ContainerError::Ambiguous(text.to_owned())),
            (None, _) => Err(ContainerError::NotFound(text.to_owned())),
        }
    }

    /// How far a container is, now and at each change.
    pub(super) fn watch(&self, id: &str) -> Option<watch::Receiver<ContainerLife>> {
        self.lock().get(id).map(|entry| entry.life.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn view(&self) -> ContainerView {
        ContainerView { record: Arc::clone(&self.record), life: self.life.borrow().clone() }
    }
}

/// A map that forgets its oldest entry when it is full.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    entries: BTreeMap<String, T>,
    order: VecDeque<String>,
    most: usize,
}

impl<T> Remembered<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: BTreeMap::new(), order: VecDeque::new(), most }
    }

    pub(super) fn insert(&mut self, key: String, value: T) {
        while self.order.len() >= self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        self.order.push_back(key.clone());
        self.entries.insert(key, value);
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.entries.iter()
    }
}
